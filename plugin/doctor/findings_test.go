package doctor_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFindingsAreDocumented compares the codes that there are with those that
// docs/findings.md explains, and with those that checks use.
func TestFindingsAreDocumented(t *testing.T) {
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var codes, names, documented []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+) +Code = "(.+)"$`).FindAllStringSubmatch(read("code.go"), -1) {
		names, codes = append(names, m[1]), append(codes, m[2])
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\| (?:error|warning|note) \\| .+ \\| .+ \\|$").FindAllStringSubmatch(read("../../docs/findings.md"), -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(codes)
	slices.Sort(documented)
	if diff := cmp.Diff(codes, documented); diff != "" || len(codes) == 0 {
		t.Errorf("codes (-in the code +in docs/findings.md):\n%s", diff)
	}
	files, err := filepath.Glob("check_*.go")
	if err != nil {
		t.Fatal(err)
	}
	var checks strings.Builder
	for _, file := range files {
		checks.WriteString(read(file))
	}
	for _, name := range names {
		if !regexp.MustCompile(`\b` + name + `\b`).MatchString(checks.String()) {
			t.Errorf("no check finds %s", name)
		}
	}
}
