// Package page is what a run of the benchmark leaves: a document with its
// tables and charts, and every figure as JSON, from which the next run keeps
// the parts that it did not measure.
package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
)

// Part is one question and its answer, as measured at one time on one machine.
type Part struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Text    []string `json:"text"`    // paragraphs: what was measured, and how
	Short   string   `json:"short"`   // the answer, in a line
	Command string   `json:"command"` // that measures it again
	Date    string   `json:"date"`
	Machine string   `json:"machine"`
	// Versions of what took part, each with its name.
	Versions []string `json:"versions"`
	Tables   []Table  `json:"tables"`
	Charts   []Chart  `json:"charts,omitempty"`
}

// Table is one with a title.
type Table struct {
	Title string `json:"title,omitempty"`
	sheet.Table
}

// Chart is a picture in a file of its own: bars or lines.
type Chart struct {
	Name  string       `json:"name"` // of the file, without its end
	Bars  *chart.Bars  `json:"bars,omitempty"`
	Lines *chart.Lines `json:"lines,omitempty"`
}

func (c Chart) draw() (title, svg string) {
	if c.Bars != nil {
		return c.Bars.Title, c.Bars.SVG()
	}
	return c.Lines.Title, c.Lines.SVG()
}

// Print writes the tables of a part for a terminal.
func (p Part) Print(w io.Writer) error {
	fmt.Fprintf(w, "\n%s (%s)\n", p.Title, p.Name)
	for _, t := range p.Tables {
		fmt.Fprintln(w)
		if t.Title != "" {
			fmt.Fprintf(w, "  %s\n", t.Title)
		}
		if err := t.Text(w); err != nil {
			return err
		}
	}
	return nil
}

// Page is all parts, in their order.
type Page struct {
	Parts []Part `json:"parts"`
}

const resultsFile = "results.json"

// Read returns the page that Write wrote to a folder, an empty one where there is none.
func Read(dir string) (Page, error) {
	var p Page
	data, err := os.ReadFile(filepath.Join(dir, resultsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return p, fmt.Errorf("read the results in %s: %w", dir, err)
	}
	return p, nil
}

// With is the page with these parts in place of those of the same name, in the
// order of names; parts that are not among names are dropped.
func (p Page) With(names []string, parts ...Part) Page {
	var all Page
	for _, name := range names {
		for _, from := range [][]Part{parts, p.Parts} {
			i := slices.IndexFunc(from, func(q Part) bool { return q.Name == name })
			if i >= 0 {
				all.Parts = append(all.Parts, from[i])
				break
			}
		}
	}
	return all
}

// Write writes README.md, the charts and results.json to a folder, and removes
// charts there that the page does not have.
func (p Page) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	results, err := p.results()
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	files := map[string]string{"README.md": p.Markdown(), resultsFile: results}
	for _, part := range p.Parts {
		for _, c := range part.Charts {
			_, files[c.Name+".svg"] = c.draw()
		}
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	for _, name := range old {
		if _, ok := files[filepath.Base(name)]; !ok {
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("write the page: %w", err)
			}
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write the page: %w", err)
		}
	}
	return nil
}

// results is the page as JSON, with each sample on one line.
func (p Page) results() (string, error) {
	text, err := json.MarshalIndent(p, "", " ")
	numbers := regexp.MustCompile(`\[[-+.0-9e,\s]+\]`)
	text = numbers.ReplaceAllFunc(text, func(list []byte) []byte { return []byte(strings.Join(strings.Fields(string(list)), "")) })
	return string(text) + "\n", err
}

const preamble = `# Benchmarks

<!-- Written by make bench ARGS="-write docs/benchmarks": do not edit. -->

Everything of one table was measured in one run, in private namespaces on one machine, the subjects in turn in each round, so
that what else the machine did fell on all of them. Figures are medians with half the distance between the quartiles; ratios are
taken within a round. Take the ratios with you, not the figures: they are those of one machine and of links between
namespaces. All of it again, in about a quarter of an hour, as root on Debian:

    make bench ARGS="-write docs/benchmarks"

Every value is in [results.json](results.json). Any other program that answers solicitations can be put beside these:

    make bench ARGS="-parts ping,nud,solicit -responder-command 'ndpresponder -i {link} -n {prefix}'"

Without -write the tables go to the terminal alone, and what -parts does not name stays on the page as it is.
`

// Markdown is the document.
func (p Page) Markdown() string {
	var b strings.Builder
	b.WriteString(preamble)
	if len(p.Parts) == 0 {
		b.WriteString("\nNothing is measured yet.\n")
	}
	for i, part := range p.Parts {
		if i == 0 {
			b.WriteString("\n## In short\n\n")
		}
		fmt.Fprintf(&b, "- %s: %s.\n", part.Title, part.Short)
	}
	for _, part := range p.Parts {
		fmt.Fprintf(&b, "\n## %s\n\n", part.Title)
		for _, text := range part.Text {
			b.WriteString(wrap(text) + "\n\n")
		}
		for _, t := range part.Tables {
			if t.Title != "" {
				b.WriteString("**" + t.Title + "**\n\n")
			}
			b.WriteString(t.Markdown() + "\n")
		}
		for _, c := range part.Charts {
			title, _ := c.draw()
			fmt.Fprintf(&b, "![%s](%s.svg)\n\n", title, c.Name)
		}
		fmt.Fprintf(&b, "Measured %s on %s: %s.\n\n    %s\n", part.Date, part.Machine, strings.Join(part.Versions, ", "), part.Command)
	}
	return b.String()
}

// column is where lines of prose end.
const column = 125

// wrap breaks a paragraph into lines.
func wrap(text string) string {
	var lines []string
	for word := range strings.FieldsSeq(text) {
		if n := len(lines); n > 0 && len(lines[n-1])+1+len(word) <= column {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return strings.Join(lines, "\n")
}
