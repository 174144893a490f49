package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	bolt "go.etcd.io/bbolt"
)

// The bucket that every file has, and its one key: the version of what the
// file holds. It grows when an older ndp6 could not read the file any more.
const (
	metaBucket = "meta"
	schemaKey  = "schema"
)

// A migration changes what a file holds from one version to the next.
type migration func(tx *bolt.Tx) error

// migrations lead from version 1 to that of this ndp6, one after the other.
// None is ever removed or changed: a file may come from any earlier version.
func migrations() []migration {
	return nil
}

// version is the one that these migrations lead to.
func version(steps []migration) int { return 1 + len(steps) }

// migrate brings the file to the version of this ndp6 in one transaction, and
// keeps a copy of what it was. A newer file is refused.
func (f *file) migrate(steps []migration) error {
	var have int
	err := f.view(func(tx *bolt.Tx) (err error) {
		have, err = getVersion(tx)
		return err
	})
	want := version(steps)
	switch {
	case err != nil || have == want:
		return err
	case have > want:
		return fmt.Errorf("%w: its schema version is %d, this one knows %d: install the version of ndp6 that wrote it, or move the file away to start empty", ErrNewer, have, want)
	}
	backup := fmt.Sprintf("%s.schema-%d", f.path, have)
	if err := f.copyTo(backup); err != nil {
		return fmt.Errorf("copy it to %s before its migration: %w", backup, err)
	}
	err = f.update(func(tx *bolt.Tx) error {
		for i, step := range steps[have-1:] {
			if err := step(tx); err != nil {
				return fmt.Errorf("migrate it from schema version %d to %d: %w", have+i, have+i+1, err)
			}
		}
		return setVersion(tx, want)
	})
	if err != nil {
		return fmt.Errorf("%w: the file is as it was: install the version of ndp6 that wrote it", err)
	}
	f.migrated = backup
	return nil
}

// copyTo makes a complete copy of the file at path, or none.
func (f *file) copyTo(path string) error {
	unborn := path + ".new"
	if err := f.view(func(tx *bolt.Tx) error { return tx.CopyFile(unborn, 0o600) }); err != nil {
		return errors.Join(err, os.Remove(unborn))
	}
	return errors.Join(os.Rename(unborn, path), syncDir(filepath.Dir(path)))
}

// getVersion returns the version of what the file holds.
func getVersion(tx *bolt.Tx) (int, error) {
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return 0, fmt.Errorf("%w: it has no schema version, ndp6 did not make it", ErrDamaged)
	}
	text := string(meta.Get([]byte(schemaKey)))
	v, err := strconv.Atoi(text)
	if err != nil || v < 1 {
		return 0, fmt.Errorf("%w: its schema version is %q", ErrDamaged, text)
	}
	return v, nil
}

func setVersion(tx *bolt.Tx, v int) error {
	b, err := tx.CreateBucketIfNotExists([]byte(metaBucket))
	if err != nil {
		return err
	}
	return b.Put([]byte(schemaKey), []byte(strconv.Itoa(v)))
}
