package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/ndp6/ndp6/plugin/store"
)

func TestInspect(t *testing.T) {
	if err := store.Inspect(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	dir := filled(t)
	path := filepath.Join(dir, "state.db")
	before := read(t, path)
	if err := store.Inspect(dir); err != nil {
		t.Errorf("all is well: %v", err)
	}
	s := open(t, dir, "one")
	if err := store.Inspect(dir); !errors.Is(err, store.ErrLocked) {
		t.Errorf("in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Inspect(dir); err != nil || !bytes.Equal(before, read(t, path)) {
		t.Errorf("inspected again: %v, or the file was changed", err)
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			rewrite(t, filepath.Join(dir, "state.db"), damage)
			if err := store.Inspect(dir); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("newer", func(t *testing.T) {
		dir := t.TempDir()
		s, err := store.OpenWith(dir, "one", quiet, make([]store.Migration, 3))
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if err := store.Inspect(dir); !errors.Is(err, store.ErrNewer) {
			t.Errorf("got %v", err)
		}
	})
}
