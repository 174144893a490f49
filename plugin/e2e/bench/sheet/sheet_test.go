package sheet_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
)

func example() sheet.Table {
	ping := stat.Sample{0.1, 0.2, 0.3, 0.4, 9}
	slow := stat.Sample{400, 420, 430, 410, 806}
	return sheet.Table{
		Corner: "who answers",
		Columns: []sheet.Column{
			{Name: "first ping", Unit: "ms"}, {Name: "p99", Unit: "ms", Quantile: 0.99}, {Name: "failures"},
		},
		Rows: []sheet.Row{
			{Name: "ndp6", Cells: []stat.Sample{ping, ping, {0, 0}}},
			{Name: "recipe", Cells: []stat.Sample{slow, slow, {8, 7}}},
			{Name: "other", Cells: []stat.Sample{{1}}},
		},
		Ratios: []sheet.Ratio{{Of: "recipe", To: "ndp6"}, {Of: "nobody", To: "ndp6"}, {Of: "other", To: "recipe"}},
	}
}

func TestText(t *testing.T) {
	var b strings.Builder
	if err := example().Text(&b); err != nil {
		t.Fatal(err)
	}
	want := `
     who answers  first ping, ms  p99, ms  failures
            ndp6       0.3 ±33 %      0.4      0
          recipe        420 ±2 %      430      7
           other            1        -         -
   recipe / ndp6   1,433 ±37 %    1,075         -
  other / recipe           0.00238        -         -
`
	fields := func(s string) [][]string {
		var all [][]string
		for line := range strings.Lines(strings.TrimSpace(s)) {
			all = append(all, strings.Fields(line))
		}
		return all
	}
	if diff := cmp.Diff(fields(want), fields(b.String())); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, b.String())
	}
}

func TestLookup(t *testing.T) {
	table := example()
	got := []string{
		table.Median("recipe", 0), table.Median("other", 2), table.Median("nobody", 0),
		table.Ratio("recipe", "ndp6", 0), table.Ratio("recipe", "nobody", 0), table.Ratio("ndp6", "recipe", 2),
	}
	if diff := cmp.Diff([]string{"420", "-", "-", "1,433", "-", "0"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMarkdown(t *testing.T) {
	want := `| who answers | first ping, ms | p99, ms | failures |
|---|---:|---:|---:|
| other | 1 | - | - |
`
	table := example()
	table.Rows, table.Ratios = table.Rows[2:], nil
	if diff := cmp.Diff(want, table.Markdown()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.00001: "1.0e-05", 0.0123: "0.0123", 0.15: "0.15", 0.9: "0.9", 0.123456: "0.123", 1: "1", 2.5: "2.50", 7: "7", 9.999: "10.0", 12.34: "12.3",
		99.96: "100", 168: "168", 55123: "55,123", 1234567: "1,234,567", -1234: "-1,234", math.NaN(): "-",
	} {
		if got := sheet.Number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
