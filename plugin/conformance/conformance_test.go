package conformance_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ndp6/ndp6/netutil/golden"
)

// TestClauses wants each clause to have a test or a reason, and each test to
// name a clause that there is.
func TestClauses(t *testing.T) {
	tests := byClause(allShown(t))
	for _, s := range standards() {
		for _, c := range s.clauses {
			id := s.id(c)
			named, ok := tests[id]
			switch delete(tests, id); {
			case !ok && c.because == "":
				t.Errorf("%s (%s) has no test and no reason: write // Shows %s. at one", id, c.asks, id)
			case ok && c.because != "":
				t.Errorf("%s has a reason to have no test, and %s", id, named[0].function)
			}
		}
	}
	for id, named := range tests {
		t.Errorf("%s: %s shows %s, which is not in the list of clauses", named[0].file, named[0].function, id)
	}
}

// TestPage compares docs/conformance.md with the clauses and the tests.
func TestPage(t *testing.T) {
	golden.Expect(t, "../../docs/conformance.md", page(byClause(allShown(t))))
}

func byClause(all []shown) map[string][]shown {
	tests := make(map[string][]shown)
	for _, s := range all {
		if !slices.Contains(tests[s.clause], s) {
			tests[s.clause] = append(tests[s.clause], s)
		}
	}
	return tests
}

const intro = `# Conformance

What the standards ask of ndp6, and the test that shows it; where none does, the reason. The page is written from the tests
(` + "`go test ./plugin/conformance -update`" + `), which fail where a clause has neither. Levels are the standards' own.
`

func page(tests map[string][]shown) string {
	b := new(strings.Builder)
	b.WriteString(intro)
	for _, s := range standards() {
		fmt.Fprintf(b, "\n## RFC %d: %s\n\n", s.rfc, s.title)
		b.WriteString("| Section | Level | What it asks | Shown by |\n|---|---|---|---|\n")
		for _, c := range s.clauses {
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", c.section, c.level, c.asks, evidence(tests[s.id(c)], c))
		}
	}
	b.WriteString("\n## Standards that ask nothing of ndp6\n\n| RFC | Why |\n|---|---|\n")
	for _, g := range unbound() {
		fmt.Fprintf(b, "| %s | %s |\n", g.rfcs, g.because)
	}
	return b.String()
}

// evidence is links to the tests of a clause, or the reason why there is none.
func evidence(tests []shown, c clause) string {
	links := make([]string, 0, len(tests))
	for _, s := range tests {
		file, _ := filepath.Rel(filepath.Join(root, "docs"), s.file)
		links = append(links, fmt.Sprintf("[%s](%s)", s.function, filepath.ToSlash(file)))
	}
	if len(links) == 0 {
		return "– " + c.because
	}
	return strings.Join(links, ", ")
}
