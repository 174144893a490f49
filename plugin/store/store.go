// Package store keeps records on disk: those that outlive the host's boot, and
// those that are true only until it ends.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/ndp6/ndp6/plugin/exposition"
)

// A Store is two files of records. It is made by [Open].
type Store struct {
	lasting *file
	boot    *file
}

// Open opens the store in the directory dir, which it makes when it is missing.
// What was recorded by [Boot] buckets under another boot id is forgotten.
//
// A file of an older ndp6 is migrated, and a copy of it kept beside.
//
// A file that is damaged, that a newer ndp6 wrote, or that another process
// uses is an error that says what to do, and stays as it is. Only the damaged
// file of this boot is moved aside with a warning: the records in it can be
// found out again.
func Open(dir, bootID string, log *slog.Logger) (*Store, error) {
	return openStore(dir, bootID, log, migrations())
}

func openStore(dir, bootID string, log *slog.Logger, steps []migration) (*Store, error) {
	if bootID == "" || filepath.Base(bootID) != bootID {
		return nil, fmt.Errorf("open store in %s: boot id %q cannot be part of a file's name", dir, bootID)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w: make it, or choose another with --state-dir", err)
	}
	// First, because its lock keeps a second process away from the rest.
	lasting, err := openFile(filepath.Join(dir, "state.db"), durable, steps)
	if err != nil {
		return nil, err
	}
	boot, err := openBoot(dir, bootID, log, steps)
	if err != nil {
		return nil, errors.Join(err, lasting.close())
	}
	for _, f := range []*file{lasting, boot} {
		if f.migrated != "" {
			log.Info("store migrated to this version of ndp6", "path", f.path, "schema", version(steps), "copy_of_before", f.migrated)
		}
	}
	return &Store{lasting: lasting, boot: boot}, nil
}

func openBoot(dir, bootID string, log *slog.Logger, steps []migration) (*file, error) {
	path := filepath.Join(dir, "boot-"+bootID+".db")
	if err := removeOtherBoots(dir, path); err != nil {
		return nil, err
	}
	f, err := openFile(path, volatile, steps)
	if !errors.Is(err, ErrDamaged) {
		return f, err
	}
	aside := path + ".damaged"
	log.Warn("store of this boot is damaged, starting without its records", "moved_to", aside, "error", err)
	if err := os.Rename(path, aside); err != nil {
		return nil, fmt.Errorf("move damaged store aside: %w", err)
	}
	return openFile(path, volatile, steps)
}

// removeOtherBoots removes the boot files in dir except the one at keep.
func removeOtherBoots(dir, keep string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for stores of earlier boots: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if !strings.HasPrefix(e.Name(), "boot-") || !strings.Contains(e.Name(), ".db") || strings.HasPrefix(path, keep) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove store of an earlier boot: %w", err)
		}
	}
	return nil
}

// Writes are the transactions that changed a file, or should have.
type Writes struct {
	Failed uint64
	// Took is how long they took, those that failed as well.
	Took exposition.Spread
}

// Counts returns the writes to the file of [Lasting] and to that of [Boot].
func (s *Store) Counts() (lasting, boot Writes) { return s.lasting.writes(), s.boot.writes() }

func (f *file) writes() Writes { return Writes{Failed: f.failed.Load(), Took: f.took.Spread()} }

// Close closes both files. Its buckets answer every later call with an error.
func (s *Store) Close() error {
	return errors.Join(s.boot.close(), s.lasting.close())
}

// BootID returns the kernel's identifier of the running boot, as [Open] wants it.
func BootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}
