package page_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/golden"
	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
)

func part(name, title string) page.Part {
	return page.Part{
		Name: name, Title: title, Text: []string{"What it is, in so many words that they are more than fit into one line of a document that people read beside the code, as these do."}, Short: "2 ms with ndp6", Command: "make bench", Date: "2000-01-01", Machine: "Linux 1.0, 2 CPUs",
		Versions: []string{"Docker 1.0"},
		Tables: []page.Table{{Title: "All", Table: sheet.Table{
			Corner: "who", Columns: []sheet.Column{{Name: "ping", Unit: "ms"}}, Rows: []sheet.Row{{Name: "ndp6", Cells: []stat.Sample{{1, 2, 3}}}},
		}}},
		Charts: []page.Chart{{Name: name, Bars: &chart.Bars{Title: title, Unit: "ms", Bars: []chart.Bar{{Name: "ndp6", Value: 2, Ours: true}}}}},
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "benchmarks")
	want := page.Page{Parts: []page.Part{part("first", "First ping"), part("second", "Second ping")}}
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	golden.Expect(t, "testdata/README.md", string(readme))
	results, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil || !strings.Contains(string(results), "[1,2,3]") {
		t.Errorf("a sample is not on one line: %v\n%s", err, results)
	}
	got, err := page.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	if err := (page.Page{Parts: want.Parts[:1]}).Write(dir); err != nil {
		t.Fatal(err)
	}
	charts, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "first.svg")}, charts); diff != "" {
		t.Errorf("charts of a smaller page (-want +got):\n%s", diff)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	if got, err := page.Read(dir); err != nil || len(got.Parts) != 0 {
		t.Errorf("empty folder: got %v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := page.Read(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("broken results: got %v, want an error that names the folder", err)
	}
}

func TestEmpty(t *testing.T) {
	dir := t.TempDir()
	if err := (page.Page{}).Write(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := page.Read(dir); err != nil || len(got.Parts) != 0 {
		t.Errorf("read again: got %v, %v", got, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil || !strings.Contains(string(text), "Nothing is measured yet.") {
		t.Errorf("an empty page does not say so: %v\n%s", err, text)
	}
}

// TestWith keeps what was not measured again, and nothing that is measured no more.
func TestWith(t *testing.T) {
	old := page.Page{Parts: []page.Part{part("a", "old"), part("b", "old"), part("gone", "old")}}
	var got []string
	for _, p := range old.With([]string{"c", "a", "b", "d"}, part("b", "new"), part("c", "new")).Parts {
		got = append(got, p.Name+" "+p.Title)
	}
	if diff := cmp.Diff([]string{"c new", "a old", "b new"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	if err := part("first", "First ping").Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"First ping (first)", "All", "ndp6"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}
