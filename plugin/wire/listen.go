package wire

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// maxPath is what fits in a sockaddr_un, its closing zero apart.
const maxPath = 107

// A Listener is a unix socket that a [Server] answers on. Until it is served,
// callers wait; so listen when everything is ready.
type Listener struct {
	*net.UnixListener
	path  string
	file  fs.FileInfo
	close func() error
}

// Listen makes a unix socket at path that only its owner may connect to, and
// the directory that it is in. It replaces a socket that nobody accepts on. A
// socket that another process serves, and a file that is no socket, are errors
// and are left alone.
func Listen(path string) (*Listener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("listen on socket %s: %w", path, err)
	}
	return l, nil
}

func listen(path string) (_ *Listener, err error) {
	dir, name := filepath.Split(path)
	if err := os.MkdirAll(filepath.Clean(dir), 0o755); err != nil {
		return nil, err
	}
	// The umask belongs to the whole process, so the socket is born where
	// nobody else can reach it, and appears at path with its final mode.
	private := filepath.Join(dir, "."+name+".new")
	born := filepath.Join(private, "s")
	if over := len(born) - maxPath; over > 0 {
		return nil, fmt.Errorf("the path is %d bytes too long: choose a shorter one", over)
	}
	// What a process that was killed here left behind.
	_, _ = os.Remove(born), os.Remove(private)
	if err := os.Mkdir(private, 0o700); err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(private) }()
	defer func() { _ = os.Remove(born) }()

	ul, err := net.ListenUnix("unix", &net.UnixAddr{Name: born, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ul.SetUnlinkOnClose(false) // It would remove born, and leave path.
	defer func() {
		if err != nil {
			_ = ul.Close()
		}
	}()
	if err := os.Chmod(born, 0o600); err != nil {
		return nil, err
	}
	if err := place(born, path); err != nil {
		return nil, err
	}
	l := &Listener{UnixListener: ul, path: path}
	l.close = sync.OnceValue(l.closeAndRemove)
	l.file, err = os.Lstat(path)
	return l, err
}

// place gives the socket at born the name path. A link, unlike a rename, never
// takes the name from a process that came first.
func place(born, path string) error {
	err := os.Link(born, path)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := checkStale(path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Link(born, path)
}

// checkStale says why what is at path must stay there, nil if nobody needs it.
func checkStale(path string) error {
	file, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case file.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file that is not a socket: move it away, or choose another path")
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil:
		_ = conn.Close()
		return errors.New("another process serves it: stop that one (is ndp6 running already, as a service or a managed plugin?), or choose another path")
	}
	return fmt.Errorf("try the socket that is there: %w", err)
}

// Path returns where the socket is.
func (l *Listener) Path() string { return l.path }

// Addr returns the socket's address.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close stops accepting and removes the socket, unless another process has put
// its own in its place. Connections that were accepted stay. Closing again
// does nothing more.
func (l *Listener) Close() error { return l.close() }

func (l *Listener) closeAndRemove() error {
	// Removed first: dockerd finds no socket sooner than one that refuses it.
	return errors.Join(l.removeFile(), l.UnixListener.Close())
}

func (l *Listener) removeFile() error {
	now, err := os.Lstat(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("remove socket: %w", err)
	case !os.SameFile(now, l.file):
		return nil
	}
	return os.Remove(l.path)
}
