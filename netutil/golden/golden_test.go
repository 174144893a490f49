package golden_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/ndp6/ndp6/netutil/golden"
)

// A failing notes that a test failed.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Helper()               {}
func (f *failing) Errorf(string, ...any) { f.failed = true }
func (f *failing) Fatalf(string, ...any) { f.failed = true }

func TestExpect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kept")
	differs := func(got string) bool {
		f := &failing{TB: t}
		golden.Expect(f, path, got)
		return f.failed
	}
	if !differs("one\n") {
		t.Error("no file, and no error")
	}
	set := func(value string) {
		if err := flag.Set("update", value); err != nil {
			t.Fatal(err)
		}
	}
	set("true")
	wrong := differs("one\n")
	set("false")
	if data, err := os.ReadFile(path); wrong || err != nil || string(data) != "one\n" {
		t.Errorf("with -update: %q, %v", data, err)
	}
	if differs("one\n") || !differs("two\n") {
		t.Error("equal text differs, or other text does not")
	}
}
