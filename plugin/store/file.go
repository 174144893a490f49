package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/ndp6/ndp6/plugin/exposition"
)

const (
	// lockWait is how long a process that is just ending may hold on to a file.
	lockWait = 2 * time.Second
	// lockPoll is how often it is asked again.
	lockPoll = 20 * time.Millisecond
)

var (
	// ErrDamaged is wrapped by the error of a file whose content makes no sense.
	ErrDamaged = errors.New("the file is damaged")
	// ErrLocked is wrapped where another process uses the file.
	ErrLocked = errors.New("the file is locked")
	// ErrNewer is wrapped where a newer ndp6 wrote the file.
	ErrNewer = errors.New("a newer ndp6 wrote the file")
)

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
	// migrated is where the file is as it was before a migration, empty if there was none.
	migrated string

	failed atomic.Uint64
	took   *exposition.Timer
}

// openFile opens the database at path, and makes it when nothing is there.
func openFile(path string, d durability, steps []migration) (*file, error) {
	f := &file{path: path, took: exposition.NewTimer(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = create(path, version(steps))
	case err == nil && info.Size() == 0:
		err = fmt.Errorf("%w: it is empty", ErrDamaged) // For bbolt it would be a new one.
	}
	if err != nil {
		return nil, f.explain(err)
	}
	if f.db, err = openDB(path, d); err != nil {
		return nil, f.explain(err)
	}
	if err := f.migrate(steps); err != nil {
		return nil, f.explain(errors.Join(err, f.close()))
	}
	return f, nil
}

// create makes a complete file or none, so that an incomplete one is always
// damage, never a start that was interrupted.
func create(path string, version int) error {
	unborn := path + ".new"
	if err := os.Remove(unborn); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := openDB(unborn, durable)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		return setVersion(tx, version)
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
			Timeout:      lockWait, // never needed: prepare has the lock
			NoSync:       d == volatile,
			NoGrowSync:   d == volatile,
			FreelistType: bolt.FreelistMapType,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				opened, err = os.OpenFile(name, flag, mode)
				if err != nil {
					return nil, err
				}
				return opened, prepare(opened, mode)
			},
		})
		return err
	})
	return db, err
}

// prepare makes an open file ready for bbolt: locked, private and verified.
func prepare(f *os.File, mode os.FileMode) error {
	if err := lock(f); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil { // It has secrets, whoever restored it.
		return err
	}
	info, err := f.Stat()
	if err != nil || info.Size() == 0 { // bbolt begins it
		return err
	}
	return verify(f, info.Size())
}

// lock takes the lock of the file that bbolt takes as well: nobody else may
// write while it is verified.
func lock(f *os.File) error {
	for end := time.Now().Add(lockWait); ; time.Sleep(lockPoll) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case time.Now().After(end):
			return ErrLocked
		}
	}
}

// explain says which file cannot be opened and what the operator can do.
func (f *file) explain(err error) error {
	switch {
	case errors.Is(err, ErrLocked):
		return fmt.Errorf("open store %s: another process uses it: stop that one (is ndp6 running already, as a service or a managed plugin?), or choose another --state-dir", f.path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("open store %s: %w: restore it from a backup, or move it away to start empty and make the networks of ndp6 again", f.path, err)
	}
	return fmt.Errorf("open store %s: %w", f.path, err)
}

func (f *file) view(do func(*bolt.Tx) error) error {
	return guard(func() error { return f.db.View(do) })
}

func (f *file) update(do func(*bolt.Tx) error) error {
	begin := time.Now()
	err := guard(func() error { return f.db.Update(do) })
	if f.took.Observe(time.Since(begin)); err != nil {
		f.failed.Add(1)
	}
	return err
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
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return do()
}
