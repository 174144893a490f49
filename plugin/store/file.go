package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	// schema is the version of what the files hold. It grows when an older
	// ndp6 could not read them any more, with a migration from each version before.
	schema = 1
	// lockWait is how long a process that is just ending may hold on to a file.
	lockWait = 2 * time.Second
)

// The bucket that every file has, and its one key.
const (
	metaBucket = "meta"
	schemaKey  = "schema"
)

// errDamaged is wrapped by the error of a file whose content makes no sense.
var errDamaged = errors.New("the file is damaged")

// durability says whether a commit waits for the disk.
type durability bool

const (
	durable  durability = true
	volatile durability = false
)

// A file is one bbolt database and where it is.
type file struct {
	path string
	db   *bolt.DB
}

// openFile opens the database at path, and makes it when nothing is there.
func openFile(path string, d durability) (*file, error) {
	f := &file{path: path}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = create(path)
	case err == nil && info.Size() == 0:
		err = fmt.Errorf("%w: it is empty", errDamaged) // For bbolt it would be a new one.
	}
	if err != nil {
		return nil, f.explain(err)
	}
	if f.db, err = openDB(path, d); err != nil {
		return nil, f.explain(err)
	}
	if err := f.check(); err != nil {
		return nil, f.explain(errors.Join(err, f.close()))
	}
	return f, nil
}

// create makes a complete file or none, so that an incomplete one is always
// damage, never a start that was interrupted.
func create(path string) error {
	unborn := path + ".new"
	if err := os.Remove(unborn); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := openDB(unborn, durable)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte(metaBucket))
		if err != nil {
			return err
		}
		return b.Put([]byte(schemaKey), []byte(strconv.Itoa(schema)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, cannot replace what another process just made.
	if err := os.Link(unborn, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return errors.Join(os.Remove(unborn), syncDir(filepath.Dir(path)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openDB opens a database and gives up its lock when that goes wrong half-way.
func openDB(path string, d durability) (db *bolt.DB, err error) {
	var opened *os.File
	defer func() {
		if err != nil && opened != nil {
			// Closing is not enough while bbolt has the file mapped. When
			// bbolt did both already, nothing is left to do.
			_ = syscall.Flock(int(opened.Fd()), syscall.LOCK_UN)
			_ = opened.Close()
		}
	}()
	err = guard(func() error {
		// With NoFreelistSync bbolt would look for free pages in a goroutine
		// of its own, where a damaged file's panic cannot be caught.
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout:      lockWait,
			NoSync:       d == volatile,
			NoGrowSync:   d == volatile,
			FreelistType: bolt.FreelistMapType,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				opened, err = os.OpenFile(name, flag, mode)
				if err != nil {
					return nil, err
				}
				return opened, opened.Chmod(mode) // It has secrets, whoever restored it.
			},
		})
		return err
	})
	return db, err
}

// check reads the whole file once: what is damaged is found before any of it is used.
func (f *file) check() error {
	return f.view(func(tx *bolt.Tx) error {
		info, err := os.Stat(f.path)
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return fmt.Errorf("%w: it has %d of %d bytes", errDamaged, info.Size(), tx.Size())
		}
		if err := checkSchema(tx); err != nil {
			return err
		}
		if pages := tx.Size() / int64(f.db.Info().PageSize); int64(f.db.Stats().FreePageN) > pages {
			return fmt.Errorf("%w: more pages are free than its %d", errDamaged, pages)
		}
		// Not tx.Check: it runs in a goroutine of its own, where a fault ends
		// the process.
		return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
			return b.ForEach(func(id, value []byte) error {
				_, _ = bytes.Clone(id), bytes.Clone(value) // Touches what only the map points to.
				return nil
			})
		})
	})
}

func checkSchema(tx *bolt.Tx) error {
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return fmt.Errorf("%w: it has no schema version, ndp6 did not make it", errDamaged)
	}
	version, err := strconv.Atoi(string(meta.Get([]byte(schemaKey))))
	switch {
	case err != nil || version < 1:
		return fmt.Errorf("%w: its schema version is %q", errDamaged, meta.Get([]byte(schemaKey)))
	case version > schema:
		return fmt.Errorf("its schema version is %d, this ndp6 knows %d: install the version of ndp6 that wrote it, or move the file away to start empty", version, schema)
	}
	return nil
}

// explain says which file cannot be opened and what the operator can do.
func (f *file) explain(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("open store %s: another process uses it: stop that one (is ndp6 running already, as a service or a managed plugin?), or choose another --state-dir", f.path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	if errors.Is(err, errDamaged) {
		return fmt.Errorf("open store %s: %w: restore it from a backup, or move it away to start empty and make the networks of ndp6 again", f.path, err)
	}
	return fmt.Errorf("open store %s: %w", f.path, err)
}

func (f *file) view(do func(*bolt.Tx) error) error {
	return guard(func() error { return f.db.View(do) })
}

func (f *file) update(do func(*bolt.Tx) error) error {
	return guard(func() error { return f.db.Update(do) })
}

func (f *file) close() error {
	return f.db.Close()
}

// guard turns what bbolt does on a damaged file into an error: it panics, or
// follows a page number out of the mapped file, which raises a signal.
func guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return do()
}
