package conformance_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// root is the repository.
const root = "../.."

// A shown is a test that says what it shows.
type shown struct {
	file, function string
	clause         string // its id
}

var marker = regexp.MustCompile(`^Shows (RFC [0-9]+ [A-Z0-9.-]+ \([^()]+\))\.$`)

// shownIn returns what the tests of a file show.
func shownIn(name string, source any) ([]shown, error) {
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []shown
	for _, comment := range file.Comments {
		for line := range strings.Lines(comment.Text()) {
			if !strings.HasPrefix(line, "Shows RFC ") {
				continue
			}
			m := marker.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil {
				return nil, fmt.Errorf("%s: %q is not like \"Shows RFC 4861 7.2.8 (override).\"", positions.Position(comment.Pos()), line)
			}
			f := functionOf(file, comment)
			if f == "" {
				return nil, fmt.Errorf("%s: %q stands at no function", positions.Position(comment.Pos()), line)
			}
			all = append(all, shown{name, f, m[1]})
		}
	}
	return all, nil
}

// functionOf is the function that a comment is at or in.
func functionOf(file *ast.File, comment *ast.CommentGroup) string {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && (f.Doc == comment || f.Pos() <= comment.Pos() && comment.End() <= f.End()) {
			return f.Name.Name
		}
	}
	return ""
}

// allShown is what all tests of the repository show, in the order of files.
func allShown(t *testing.T) []shown {
	t.Helper()
	var all []shown
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "build"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		some, err := shownIn(path, nil)
		all = append(all, some...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestMarkers(t *testing.T) {
	const begin = "package x\n"
	for _, tt := range []struct {
		name, source string
		want         []shown
		err          string
	}{
		{
			name: "at and in tests",
			source: begin + "// TestA tests.\n//\n// Shows RFC 4861 7.2.8 (override).\n// Shows RFC 4291 A (EUI-64).\nfunc TestA() {\n\t// Shows RFC 6092 REC-5 (outbound source).\n}\n" +
				"// TestB shows RFC 1.\nfunc TestB() {}\n",
			want: []shown{{"x_test.go", "TestA", "RFC 4861 7.2.8 (override)"}, {"x_test.go", "TestA", "RFC 4291 A (EUI-64)"}, {"x_test.go", "TestA", "RFC 6092 REC-5 (outbound source)"}},
		},
		{name: "without a name", source: begin + "// Shows RFC 4861 7.2.8.\nfunc TestA() {}\n", err: `x_test.go:2:1: "Shows RFC 4861 7.2.8.\n" is not like "Shows RFC 4861 7.2.8 (override)."`},
		{name: "at nothing", source: begin + "// Shows RFC 4861 7.2.8 (override).\n\nfunc TestA() {}\n", err: `x_test.go:2:1: "Shows RFC 4861 7.2.8 (override).\n" stands at no function`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := shownIn("x_test.go", tt.source)
			message := ""
			if err != nil {
				message = err.Error()
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(shown{})) + cmp.Diff(tt.err, message); diff != "" {
				t.Error(diff)
			}
		})
	}
}
