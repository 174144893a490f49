package wire_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/wire"
)

func listen(tb testing.TB, path string) *wire.Listener {
	tb.Helper()
	l, err := wire.Listen(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return l
}

func dial(tb testing.TB, path string) net.Conn {
	tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(tb.Context(), "unix", path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return conn
}

// names lists a directory with the modes of what is in it.
func names(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, fmt.Sprint(info.Mode(), " ", e.Name()))
	}
	return list
}

func TestListen(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		err     string // after "listen on socket PATH: "
		after   []string
	}{
		{
			name:  "new directory",
			after: []string{"Srw------- ndp6.sock"},
		},
		{
			name: "stale socket",
			prepare: func(t *testing.T, path string) {
				t.Helper()
				l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
				if err != nil {
					t.Fatal(err)
				}
				l.SetUnlinkOnClose(false)
				l.Close()
			},
			after: []string{"Srw------- ndp6.sock"},
		},
		{
			name: "what a killed process left behind",
			prepare: func(t *testing.T, path string) {
				t.Helper()
				private := filepath.Join(filepath.Dir(path), ".ndp6.sock.new")
				if err := os.Mkdir(private, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(private, "s"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			after: []string{"Srw------- ndp6.sock"},
		},
		{
			name: "live socket",
			prepare: func(t *testing.T, path string) {
				t.Helper()
				listen(t, path)
			},
			err:   "another process serves it: stop that one (is ndp6 running already, as a service or a managed plugin?), or choose another path",
			after: []string{"Srw------- ndp6.sock"},
		},
		{
			name: "file that is no socket",
			prepare: func(t *testing.T, path string) {
				t.Helper()
				if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			err:   "there is a file that is not a socket: move it away, or choose another path",
			after: []string{"-rw------- ndp6.sock"},
		},
		{
			name: "symbolic link",
			prepare: func(t *testing.T, path string) {
				t.Helper()
				if err := os.Symlink("elsewhere", path); err != nil {
					t.Fatal(err)
				}
			},
			err:   "there is a file that is not a socket: move it away, or choose another path",
			after: []string{"Lrwxrwxrwx ndp6.sock"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(socketDir(t), "plugins", "ndp6.sock")
			if tt.prepare != nil {
				if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				tt.prepare(t, path)
			}
			l, err := wire.Listen(path)
			if err == nil {
				defer l.Close()
				dial(t, path)
			}
			got, want := "", ""
			if err != nil {
				got = err.Error()
			}
			if tt.err != "" {
				want = "listen on socket " + path + ": " + tt.err
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.after, names(t, filepath.Dir(path))); diff != "" {
				t.Errorf("directory (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListenLongPath(t *testing.T) {
	dir := socketDir(t)
	_, err := wire.Listen(filepath.Join(dir, strings.Repeat("n", 100)+".sock"))
	if err == nil || !strings.Contains(err.Error(), "bytes too long: choose a shorter one") {
		t.Errorf("error %v, want one that says how much too long the path is", err)
	}
	if got := names(t, dir); got != nil {
		t.Errorf("left behind: %s", got)
	}
}

// TestListenNeverOpen watches the directory while sockets come and go under a
// permissive umask: nothing that others could connect to may ever be there.
func TestListenNeverOpen(t *testing.T) {
	dir := socketDir(t)
	path := filepath.Join(dir, "ndp6.sock")
	umask := syscall.Umask(0)
	defer syscall.Umask(umask)
	done := make(chan struct{})
	defer func() { <-done }()
	go func() {
		defer close(done)
		for range 300 {
			l, err := wire.Listen(path)
			if err != nil {
				t.Error(err)
				return
			}
			l.Close()
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm()&0o077 != 0 {
				t.Fatalf("%s had mode %s", e.Name(), info.Mode())
			}
		}
	}
}

func TestCloseKeepsSuccessor(t *testing.T) {
	path := filepath.Join(socketDir(t), "ndp6.sock")
	old := listen(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	listen(t, path)
	for range 2 {
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dial(t, path)
}
