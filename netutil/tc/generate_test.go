package tc_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGenerate wants the objects to be what clang-14 makes of the sources.
func TestGenerate(t *testing.T) {
	if testing.Short() {
		t.Skip("compiling needs clang-14: the kernel tests (make test-kernel) install it")
	}
	for _, name := range []string{"responder", "fastpath"} {
		t.Run(name, func(t *testing.T) { generate(t, name) })
	}
}

// generate makes the objects of a package beside this one, and compares.
func generate(t *testing.T, name string) {
	t.Helper()
	t.Chdir(filepath.Join("..", name))
	source, err := os.ReadFile("generate.go")
	if err != nil {
		t.Fatal(err)
	}
	line, ok := strings.CutPrefix(regexp.MustCompile(`(?m)^//go:generate .*$`).FindString(string(source)), "//go:generate ")
	if !ok {
		t.Fatal("generate.go has no command")
	}
	dir := t.TempDir()
	// The shell and go generate read these quotes alike.
	line = strings.Replace(line, "bpf2go ", "bpf2go -output-dir "+dir+" ", 1)
	cmd := exec.Command("sh", "-c", line)
	cmd.Env = append(os.Environ(), "GOPACKAGE="+name, "GOFILE=generate.go")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	made, err := filepath.Glob(filepath.Join(dir, "program_*"))
	if err != nil || len(made) != 4 {
		t.Fatalf("made %q, %v", made, err)
	}
	for _, path := range made {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, got) {
			t.Errorf("%s is not made of the source: run make generate", filepath.Base(path))
		}
	}
}
