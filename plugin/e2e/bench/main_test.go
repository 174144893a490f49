package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/e2e/bench/load"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == load.Command {
		exit(load.Main(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// TestShort measures the parts that need no Docker, as little as can be: every
// subject has its row, no cell of it lacks, and all of it is on the page.
func TestShort(t *testing.T) {
	binary := os.Getenv("NDP6_BINARY")
	if os.Getenv("NDP6_E2E") == "" || binary == "" {
		t.Skip("set NDP6_E2E=1 and NDP6_BINARY, as make test-e2e does")
	}
	dir := t.TempDir()
	var out bytes.Buffer
	small := []string{"calls", "solicit", "forward", "update"}
	o := options{binary: binary, parts: strings.Join(small, ","), short: true, rounds: 2, write: dir, command: "sleep 1000"}
	if err := run(t.Context(), &out, o); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	t.Log(out.String())
	p, err := page.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, part := range p.Parts {
		got = append(got, part.Name)
		checkPart(t, dir, part)
	}
	slices.Sort(got)
	slices.Sort(small)
	if diff := cmp.Diff(small, got); diff != "" {
		t.Fatalf("parts (-want +got):\n%s", diff)
	}
	i := slices.IndexFunc(p.Parts, func(p page.Part) bool { return p.Name == "solicit" })
	checkAnswers(t, p.Parts[i].Tables[0])
}

// checkPart wants a row of ndp6 that has everything, and the charts.
func checkPart(t *testing.T, dir string, p page.Part) {
	t.Helper()
	if p.Date == "" || p.Machine == "" || len(p.Versions) == 0 || p.Command == "" || len(p.Text) == 0 || p.Short == "" || strings.Contains(p.Short, " - ") || len(p.Charts) == 0 {
		t.Errorf("%s does not say when, where and how: %+v", p.Name, p)
	}
	for _, table := range p.Tables {
		for _, r := range table.Rows {
			if p.Name == "solicit" && !strings.HasPrefix(r.Name, "ndp6") {
				continue // Some answer nobody.
			}
			for i, c := range table.Columns {
				if i >= len(r.Cells) || len(r.Cells[i]) == 0 {
					t.Errorf("%s: row %q has no %q", p.Name, r.Name, c.Name)
				} else if m := r.Cells[i].Median(); m <= 0 && c.Name != "CPU of each" { // A difference of small numbers.
					t.Errorf("%s: row %q: %q is %v", p.Name, r.Name, c.Name, m)
				}
			}
		}
	}
	for _, c := range p.Charts {
		if svg, err := os.ReadFile(filepath.Join(dir, c.Name+".svg")); err != nil || !strings.HasPrefix(string(svg), "<svg") {
			t.Errorf("chart of %s: %v", p.Name, err)
		}
	}
}

// checkAnswers wants what does not depend on how fast the machine is: who
// answers the group, and who the unicast questions.
func checkAnswers(t *testing.T, table page.Table) {
	t.Helper()
	type answers struct{ Group, Alone float64 }
	want := map[string]answers{
		nameKernel: {few, few}, nameKernel + ", packed": {few, few}, nameNdppd: {few, 0}, nameRecipe: {few, 0}, "sleep": {0, 0},
	}
	if _, ok := table.Row(nameBPF); ok {
		want[nameBPF] = answers{few, few}
	}
	got := make(map[string]answers)
	for _, r := range table.Rows {
		if r.Name != nameSilent {
			got[r.Name] = answers{r.Cells[2].Median(), r.Cells[3].Median()}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers of %d (-want +got):\n%s", few, diff)
	}
}

func TestCommand(t *testing.T) {
	for _, c := range []struct {
		arguments []string
		want      string
	}{
		{nil, `make bench ARGS="-parts ping"`},
		{[]string{"-binary", "bin/ndp6", "-parts", "ping,start", "-short", "--write=docs", "-rounds", "3"}, `make bench ARGS="-parts ping -short -rounds 3"`},
		{[]string{"-responder-command", "x -i {link}"}, `make bench ARGS="-parts ping -responder-command 'x -i {link}'"`},
	} {
		if got := command(options{arguments: c.arguments}, "ping"); got != c.want {
			t.Errorf("%v: got %s, want %s", c.arguments, got, c.want)
		}
	}
}

func TestUnknownPart(t *testing.T) {
	err := run(t.Context(), new(bytes.Buffer), options{parts: "ping,speed"})
	if err == nil || !strings.Contains(err.Error(), `"speed"`) || !strings.Contains(err.Error(), "update") {
		t.Errorf("got %v, want an error that names the part and those there are", err)
	}
}
