package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A block is an indented or fenced piece of a document.
type block struct {
	file string // from the repository's root
	line int
	lang string // of a fence
	text string
}

func (b block) first() string { line, _, _ := strings.Cut(b.text, "\n"); return line }

func (b block) String() string { return fmt.Sprintf("%s:%d %q", b.file, b.line, b.first()) }

// documents are those whose blocks are tried, in the order in which a new user
// reads them.
func documents(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"README.md"}
	for _, p := range pages {
		names = append(names, filepath.Join("docs", filepath.Base(p)))
	}
	return names
}

func readDocument(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func readBlocks(t *testing.T, file string) []block {
	t.Helper()
	return parseBlocks(file, readDocument(t, file))
}

// findBlock is the block of a document that begins with this line.
func findBlock(t *testing.T, file, first string) block {
	t.Helper()
	blocks := readBlocks(t, file)
	i := slices.IndexFunc(blocks, func(b block) bool { return b.first() == first })
	if i < 0 {
		t.Fatalf("%s has no block that begins with %q", file, first)
	}
	return blocks[i]
}

var listItem = regexp.MustCompile(`^(-|\*|[0-9]+\.) `)

// parseBlocks finds the blocks of a document: what stands between fences, and
// what is indented by four behind an empty line, or by six within a list.
func parseBlocks(file, document string) []block {
	var found []block
	lines := strings.Split(document, "\n")
	need := 4
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		text := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(text, "```"):
			b := block{file: file, line: i + 1, lang: strings.TrimLeft(text, "`")}
			var inside []string
			for i++; i < len(lines) && !strings.HasPrefix(strings.TrimSpace(lines[i]), "```"); i++ {
				inside = append(inside, lines[i])
			}
			b.text = dedent(inside)
			found = append(found, b)
		case indent(line) >= need && text != "" && (i == 0 || strings.TrimSpace(lines[i-1]) == ""):
			b := block{file: file, line: i + 1}
			var inside []string
			for ; i < len(lines) && (indent(lines[i]) >= need || strings.TrimSpace(lines[i]) == ""); i++ {
				inside = append(inside, lines[i])
			}
			i--
			b.text = dedent(inside)
			found = append(found, b)
		case listItem.MatchString(line):
			need = 6
		case text != "" && indent(line) == 0:
			need = 4
		}
	}
	return found
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// dedent takes from lines what all are indented by, and empty lines at the end.
func dedent(lines []string) string {
	least := -1
	for _, l := range lines {
		if n := indent(l); strings.TrimSpace(l) != "" && (least < 0 || n < least) {
			least = n
		}
	}
	for i, l := range lines {
		lines[i] = l[min(max(least, 0), len(l)):]
	}
	return strings.TrimRight(strings.Join(lines, "\n"), " \n")
}

// A step is one command of a block, and what the document says that it prints.
type step struct {
	command string
	output  string
}

// runnable are the commands that a lab host has, and may be asked to run.
func runnable() []string { return []string{"docker", "ndp6", "ip", "nft", "sysctl", "ls"} }

func isRunnable(line string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return slices.Contains(runnable(), word)
}

// steps returns the commands of a block that is made of runnable ones, or is a
// session: commands behind "# ", each with its output.
func (b block) steps() ([]step, bool) {
	if !slices.Contains([]string{"", "sh", "bash", "console"}, b.lang) {
		return nil, false
	}
	session := strings.HasPrefix(b.text, "# ") && isRunnable(b.text[2:])
	var steps []step
	for line := range strings.SplitSeq(strings.ReplaceAll(b.text, "\\\n", " "), "\n") {
		command, prompt := strings.CutPrefix(line, "# ")
		switch {
		case session && prompt && isRunnable(command), !session && isRunnable(line):
			steps = append(steps, step{command: command})
		case session:
			last := &steps[len(steps)-1]
			last.output += line + "\n"
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		default:
			return nil, false
		}
	}
	return steps, len(steps) > 0
}

// isCompose tells whether a block is a compose file.
func (b block) isCompose() bool {
	return b.lang == "yaml" && regexp.MustCompile(`(?m)^services:`).MatchString(b.text)
}

func TestParseBlocks(t *testing.T) {
	const document = "# Title\n\nText\n    goes on\n\n    docker ps\n\n    ip link \\\n      show\n\n" +
		"- item:\n\n    text of it\n\n      nft list ruleset\n\nText\n\n```yaml\nservices:\n  www: {}\n```\n"
	want := []block{
		{file: "x.md", line: 6, text: "docker ps\n\nip link \\\n  show"},
		{file: "x.md", line: 15, text: "nft list ruleset"},
		{file: "x.md", line: 19, lang: "yaml", text: "services:\n  www: {}"},
	}
	got := parseBlocks("x.md", document)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(block{})); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
}

func TestSteps(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []step
	}{
		{"commands", "docker ps   # all\nip link \\\n  show", []step{{command: "docker ps   # all"}, {command: "ip link    show"}}},
		{"session", "# ndp6 status\nhealthy\n# docker ps\nID", []step{{"ndp6 status", "healthy\n"}, {"docker ps", "ID\n"}}},
		{"unknown command", "docker ps\nrm -rf x", nil},
		{"output alone", "network 4f1c2a9b7d30", nil},
		{"comment alone", "# net.ipv6", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := block{text: tt.text}.steps()
			if ok != (tt.want != nil) || ok && cmp.Diff(tt.want, got, cmp.AllowUnexported(step{})) != "" {
				t.Errorf("steps %+v, %t, want %+v", got, ok, tt.want)
			}
		})
	}
}

// TestBlocks wants each block of each document to be one that TestDocuments
// runs, or listed in exceptions_test.go.
func TestBlocks(t *testing.T) {
	used := make(map[string]bool)
	for _, file := range documents(t) {
		for _, b := range readBlocks(t, file) {
			e, listed := exceptions()[file][b.first()]
			_, runs := b.steps()
			switch {
			case listed:
				used[file+" "+b.first()] = true
				if e.check == nil {
					t.Errorf("%s: the exception has no check", b)
				} else if err := e.check(t, b); err != nil {
					t.Errorf("%s (%s): %v", b, e.why, err)
				}
			case !runs && !b.isCompose():
				t.Errorf("%s is neither run nor listed: TestDocuments runs blocks whose lines all begin with one of %s, sessions of them behind \"# \", "+
					"and ```yaml compose files. Write it so, or list it in plugin/e2e/exceptions_test.go with the reason and a check",
					b, strings.Join(runnable(), ", "))
			}
		}
	}
	for file, blocks := range exceptions() {
		for first := range blocks {
			if !used[file+" "+first] {
				t.Errorf("plugin/e2e/exceptions_test.go: %s has no block that begins with %q any more: remove the exception", file, first)
			}
		}
	}
}
