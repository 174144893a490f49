// Package sheet holds tables of measurements and writes them as text and as
// Markdown: medians with their spread, and the ratios between rows.
package sheet

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
)

// Column is one thing that was measured.
type Column struct {
	Name string `json:"name"`
	Unit string `json:"unit,omitempty"`
	// Quantile is shown of each sample; 0 is the median, with its spread.
	Quantile float64 `json:"quantile,omitempty"`
}

// Row is what one subject gave: a sample for each column, empty where there is none.
type Row struct {
	Name  string        `json:"name"`
	Cells []stat.Sample `json:"cells"`
}

// Ratio compares two rows, by their names.
type Ratio struct {
	Of string `json:"of"`
	To string `json:"to"`
}

// Table is a row for each subject, and then the ratios.
type Table struct {
	Corner  string   `json:"corner"` // what the rows are
	Columns []Column `json:"columns"`
	Rows    []Row    `json:"rows"`
	Ratios  []Ratio  `json:"ratios,omitempty"`
}

// Row returns the row of that name, and whether there is one.
func (t Table) Row(name string) (Row, bool) {
	for _, r := range t.Rows {
		if r.Name == name {
			return r, true
		}
	}
	return Row{}, false
}

// Median is that of a row's column, as a table shows it, or "-".
func (t Table) Median(row string, column int) string {
	r, _ := t.Row(row)
	return Number(r.cell(column).Median())
}

// Ratio is the median of the ratios between two rows' columns, as a table shows
// it, or "-".
func (t Table) Ratio(of, to string, column int) string {
	a, _ := t.Row(of)
	b, _ := t.Row(to)
	return Number(stat.Ratio(a.cell(column), b.cell(column)).Median())
}

// Text writes the table for a terminal.
func (t Table) Text(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range t.lines() {
		fmt.Fprintln(out, strings.Join(line, "\t")+"\t")
	}
	return out.Flush()
}

// Markdown is the table for a document.
func (t Table) Markdown() string {
	var b strings.Builder
	for i, line := range t.lines() {
		b.WriteString("| " + strings.Join(line, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|---|" + strings.Repeat("---:|", len(line)-1) + "\n")
		}
	}
	return b.String()
}

func (t Table) lines() [][]string {
	head := []string{t.Corner}
	for _, c := range t.Columns {
		name := c.Name
		if c.Unit != "" {
			name += ", " + c.Unit
		}
		head = append(head, name)
	}
	lines := [][]string{head}
	for _, r := range t.Rows {
		line := []string{r.Name}
		for i, c := range t.Columns {
			line = append(line, c.cell(r.cell(i)))
		}
		lines = append(lines, line)
	}
	for _, r := range t.Ratios {
		of, ok := t.Row(r.Of)
		to, there := t.Row(r.To)
		if !ok || !there {
			continue // It was not measured this time.
		}
		line := []string{r.Of + " / " + r.To}
		for i, c := range t.Columns {
			line = append(line, c.ratio(of.cell(i), to.cell(i)))
		}
		lines = append(lines, line)
	}
	return lines
}

func (r Row) cell(i int) stat.Sample {
	if i >= len(r.Cells) {
		return nil
	}
	return r.Cells[i]
}

func (c Column) cell(s stat.Sample) string {
	switch {
	case len(s) == 0:
		return "-"
	case c.Quantile != 0:
		return Number(s.Quantile(c.Quantile))
	default:
		return spread(s)
	}
}

func (c Column) ratio(of, to stat.Sample) string {
	if c.Quantile != 0 {
		of, to = stat.Sample{of.Quantile(c.Quantile)}, stat.Sample{to.Quantile(c.Quantile)}
	}
	r := stat.Ratio(of, to)
	if len(r) == 0 || math.IsNaN(r.Median()) || math.IsInf(r.Median(), 0) {
		return "-"
	}
	return spread(r)
}

func spread(s stat.Sample) string {
	if s.Spread() < 0.005 {
		return Number(s.Median())
	}
	return fmt.Sprintf("%s ±%.0f %%", Number(s.Median()), 100*s.Spread())
}

// Number is v with three digits that say something, and all that stand before
// the point, in groups of three.
func Number(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	abs := math.Abs(v)
	switch {
	case abs < 99 && v == math.Trunc(v):
		return fmt.Sprint(int(v))
	case abs < 0.0001:
		return fmt.Sprintf("%.1e", v)
	case abs < 1:
		return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.*f", 2-int(math.Floor(math.Log10(abs))), v), "0"), ".")
	case abs < 9.995:
		return fmt.Sprintf("%.2f", v)
	case abs < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	digits := fmt.Sprintf("%.0f", abs)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if v < 0 {
		digits = "-" + digits
	}
	return digits
}
