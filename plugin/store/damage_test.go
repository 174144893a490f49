package store_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/ndp6/ndp6/plugin/store"
)

// filled makes a store with enough records for a tree of pages.
func filled(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := open(t, dir, "one")
	for i := range 300 {
		put(t, store.Lasting[lease](s, "leases"), fmt.Sprint("container ", i), web)
		put(t, store.Boot[lease](s, "leases"), fmt.Sprint("container ", i), web)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// damages are ways to break a file that bbolt meets in different places.
var damages = map[string]func(content []byte) []byte{
	"emptied":               func([]byte) []byte { return nil },
	"cut in the first page": func(c []byte) []byte { return c[:100] },
	"cut after its heads":   func(c []byte) []byte { return c[:2*4096] },
	"cut in the middle":     func(c []byte) []byte { return c[:len(c)/2/4096*4096] },
	"not a database":        func([]byte) []byte { return bytes.Repeat([]byte("network "), 4096) },
	"heads wiped":           func(c []byte) []byte { clear(c[:2*4096]); return c },
	"pages wiped":           func(c []byte) []byte { clear(c[2*4096:]); return c },
	"pages overwritten": func(c []byte) []byte {
		for i := 2 * 4096; i < len(c); i++ {
			c[i] = 0xff
		}
		return c
	},
}

func TestDamaged(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			path := filepath.Join(dir, "state.db")
			broken := rewrite(t, path, damage)
			for range 2 { // The first refusal must not leave the file locked.
				_, err := store.Open(dir, "one", quiet)
				if err == nil || !strings.HasPrefix(err.Error(), "open store "+path+": the file is damaged: ") ||
					!strings.HasSuffix(err.Error(), ": restore it from a backup, or move it away to start empty and make the networks of ndp6 again") {
					t.Errorf("error %v, want that the file is damaged and what to do", err)
				}
			}
			if !bytes.Equal(broken, read(t, path)) {
				t.Error("the damaged file was changed")
			}
		})
	}
}

func TestDamagedBoot(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			path := filepath.Join(dir, "boot-one.db")
			broken := rewrite(t, path, damage)
			var log bytes.Buffer
			s, err := store.Open(dir, "one", slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			checkAll(t, store.Boot[lease](s, "leases"), map[string]lease{})
			put(t, store.Boot[lease](s, "leases"), "c1", web)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(broken, read(t, path+".damaged")) {
				t.Error("the damaged file was not kept")
			}
			if !strings.Contains(log.String(), "level=WARN") {
				t.Errorf("log %q, want a warning", &log)
			}
			s = open(t, dir, "one")
			checkAll(t, store.Boot[lease](s, "leases"), map[string]lease{"c1": web})
		})
	}
}

func TestSchema(t *testing.T) {
	for _, tt := range []struct{ name, version, err string }{
		{
			name: "newer", version: "2",
			err: "a newer ndp6 wrote the file: its schema version is 2, this one knows 1: install the version of ndp6 that wrote it, or move the file away to start empty",
		},
		{
			name: "none", version: "",
			err: `the file is damaged: its schema version is "": restore it from a backup, or move it away to start empty and make the networks of ndp6 again`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			open(t, dir, "one").Close()
			path := filepath.Join(dir, "state.db")
			edit, err := bolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := edit.Update(func(tx *bolt.Tx) error {
				return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte(tt.version))
			}); err != nil {
				t.Fatal(err)
			}
			edit.Close()
			_, err = store.Open(dir, "one", quiet)
			checkError(t, err, "open store "+path+": "+tt.err)
		})
	}
}
