package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serviceManager is what systemd is to a service: it holds the socket, passes
// it to each process, and hears what the process says of itself.
type serviceManager struct {
	dir    string
	socket *net.UnixListener
	ears   *net.UnixConn
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	if ok, err := netnsCondition("netns"); err != nil {
		t.Fatal(err)
	} else if !ok {
		t.Skip("no private network namespace here")
	}
	dir, err := os.MkdirTemp("", "ndp6") //nolint:usetesting // TempDir's names are too long for a socket's.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &serviceManager{dir: dir}
	if m.socket, err = net.ListenUnix("unix", &net.UnixAddr{Name: m.path(), Net: "unix"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.socket.Close() })
	if m.ears, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.ears.Close() })
	return m
}

func (m *serviceManager) path() string { return filepath.Join(m.dir, "ndp6.sock") }

// service is a process that a serviceManager started.
type service struct {
	*exec.Cmd
	log bytes.Buffer
}

// start runs serve with that socket as descriptor 3. LISTEN_PID is the
// process's own id, which only the process itself knows before it runs.
func (m *serviceManager) start(t *testing.T, socket *os.File, flags ...string) *service {
	t.Helper()
	const script = `LISTEN_PID=$$ WATCHDOG_PID=$$ exec unshare -n ndp6 serve "$@"`
	args := append([]string{"-c", script, "sh", "--firewalld", "ignore", "--docker-socket", "none", "--state-dir", filepath.Join(m.dir, "state")}, flags...)
	s := &service{Cmd: exec.CommandContext(t.Context(), "sh", args...)}
	s.Stderr = &s.log
	s.ExtraFiles = []*os.File{socket}
	s.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=ndp6.socket", "WATCHDOG_USEC=200000", "NOTIFY_SOCKET="+m.ears.LocalAddr().String())
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// hear waits until the process says this.
func (m *serviceManager) hear(t *testing.T, s *service, want string) {
	t.Helper()
	if err := m.ears.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 100); ; {
		n, err := m.ears.Read(buf)
		if err != nil {
			t.Fatalf("wait for %s: %v\n%s", want, err, s.log.String())
		}
		if string(buf[:n]) == want {
			return
		}
	}
}

func (m *serviceManager) activate(ctx context.Context) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", m.path())
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://ndp6/Plugin.Activate", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// TestService is a service's life below systemd: a call that came before the
// process is answered, the manager hears of it, and between two processes the
// socket stays and calls wait.
func TestService(t *testing.T) {
	m := newServiceManager(t)
	socket, err := m.socket.File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for _, run := range []string{"first", "second"} {
		answered := make(chan error, 1)
		go func() { answered <- m.activate(t.Context()) }()
		s := m.start(t, socket, "--socket", m.path())
		m.hear(t, s, "READY=1")
		if err := <-answered; err != nil {
			t.Errorf("%s process: call that came before it: %v", run, err)
		}
		for range 3 {
			m.hear(t, s, "WATCHDOG=1")
		}
		if err := s.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		m.hear(t, s, "STOPPING=1")
		if err := s.Wait(); err != nil {
			t.Errorf("%s process: %v\n%s", run, err, s.log.String())
		}
		if _, err := os.Stat(m.path()); err != nil {
			t.Errorf("after the %s process: %v, want that the socket stays", run, err)
		}
	}
}

// TestServiceOtherSocket passes a socket that --socket does not name: both are served.
func TestServiceOtherSocket(t *testing.T) {
	m := newServiceManager(t)
	socket, err := m.socket.File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	own := filepath.Join(m.dir, "own.sock")
	s := m.start(t, socket, "--socket", own)
	m.hear(t, s, "READY=1")
	if err := m.activate(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(own); err != nil {
		t.Error(err)
	}
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(); err != nil {
		t.Errorf("%v\n%s", err, s.log.String())
	}
	if _, err := os.Stat(own); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("own socket after the end: %v, want it gone", err)
	}
}

// TestServiceWrongSocket passes one that Docker could not call.
func TestServiceWrongSocket(t *testing.T) {
	m := newServiceManager(t)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	s := m.start(t, socket, "--socket", m.path())
	if err := s.Wait(); err == nil {
		t.Error("serve took a TCP socket")
	}
	const want = "ndp6: take socket ndp6.socket from systemd: 127.0.0.1:"
	if got := s.log.String(); !strings.Contains(got, want) || !strings.Contains(got, "want ListenStream=/run/docker/plugins/ndp6.sock") {
		t.Errorf("error %s, want %s...", got, want)
	}
}
