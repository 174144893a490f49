// Package golden compares what tests make with files that are kept. It is for
// tests only: whoever imports it has the flag -update, which writes the files.
package golden

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the files that tests compare with; look at them then")

// Expect wants the file at path to be got. With -update it writes it.
func Expect(tb testing.TB, path, got string) {
	tb.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			tb.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		tb.Fatalf("%v: go test -update makes it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		tb.Errorf("%s is not what it should be: go test -update writes it (-is +should be):\n%s", path, diff)
	}
}
