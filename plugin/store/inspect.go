package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// Inspect returns why Open would refuse the records in dir that outlive the
// host's boot, nil if it would not. The error wraps ErrLocked, ErrDamaged,
// ErrNewer, or fs.ErrNotExist where there are none yet. It changes nothing.
func Inspect(dir string) error {
	path := filepath.Join(dir, "state.db")
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("inspect store: %w", err)
	}
	defer f.Close()
	if err := inspect(f, path); err != nil {
		return fmt.Errorf("inspect store %s: %w", path, err)
	}
	return nil
}

func inspect(f *os.File, path string) error {
	// Shared, so that bbolt can have one too. Open waits longer than this takes.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return ErrLocked
		}
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	if err := verify(f, info.Size()); err != nil {
		return err
	}
	return guard(func() error {
		db, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true, Timeout: lockWait})
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		defer db.Close()
		return db.View(func(tx *bolt.Tx) error {
			have, err := getVersion(tx)
			if want := version(migrations()); err == nil && have > want {
				return fmt.Errorf("%w: its schema version is %d, this one knows %d", ErrNewer, have, want)
			}
			return err
		})
	})
}
