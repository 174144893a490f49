// Package etcdtest runs a real etcd for tests. It is for tests only.
package etcdtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

const inside = "NDP6_ETCDTEST"

// Main runs the tests of a package in a network namespace of their own, and
// returns their exit code: neither etcd nor whoever asks it leaves that. Without
// root they run where they are, and Start skips them.
func Main(m *testing.M) int {
	if os.Geteuid() != 0 || os.Getenv(inside) != "" {
		return m.Run()
	}
	runtime.LockOSThread()                                                      // Pdeathsig is about the thread.
	cmd := exec.Command("/bin/sh", "-c", `ip link set lo up && exec "$0" "$@"`) //nolint:noctx // it ends with the tests.
	cmd.Args = append(cmd.Args, os.Args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "tests without etcd: make a network namespace:", err)
		return m.Run()
	}
	return cmd.ProcessState.ExitCode()
}

// lastPort makes ports that differ between servers.
var lastPort atomic.Int32

// A Server is an etcd, or a member of one.
type Server struct {
	// URL is where clients reach it.
	URL   string
	peer  string // where other members do
	port  int32
	space string // path of its namespace, empty for that of the caller
	args  []string
	log   string
	cmd   *exec.Cmd
}

// Start starts an etcd with one member until the test ends. Without etcd, or a
// namespace of Main, the test is skipped.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	if os.Getenv(inside) == "" {
		nettest.Unavailable(tb, "etcd needs root and a network namespace of its own")
	}
	return StartAt(tb, "127.0.0.1", args...)
}

// StartAt is Start for a test that is in a namespace of nettest, in which host
// is an address.
func StartAt(tb testing.TB, host string, args ...string) *Server {
	tb.Helper()
	return start(tb, []Place{{Host: host}}, args...)[0]
}

// A Place is where a member runs: a namespace that has an address.
type Place struct{ Space, Host string }

// StartMembers starts an etcd with a member at each place. They may be in
// namespaces that reach each other.
func StartMembers(tb testing.TB, at ...Place) []*Server {
	tb.Helper()
	all := start(tb, at)
	for _, s := range all {
		s.Ready(tb)
	}
	return all
}

func start(tb testing.TB, at []Place, args ...string) (all []*Server) {
	tb.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		nettest.Unavailable(tb, "etcd is not installed: it is in the package etcd-server")
	}
	scheme := "http"
	for _, a := range args {
		if strings.HasPrefix(a, "--cert-file") {
			scheme = "https"
		}
	}
	var members []string
	for i, place := range at {
		port := 20000 + 2*lastPort.Add(1)
		s := &Server{
			URL: scheme + "://" + net.JoinHostPort(place.Host, fmt.Sprint(port)), port: port, space: place.Space,
			peer: fmt.Sprintf("http://127.0.0.1:%d", port+1),
		}
		if len(at) > 1 {
			s.peer = "http://" + net.JoinHostPort(place.Host, fmt.Sprint(port+1))
		}
		members = append(members, fmt.Sprintf("member%d=%s", i, s.peer))
		all = append(all, s)
	}
	for i, s := range all {
		dir := tb.TempDir()
		s.log = filepath.Join(dir, "log")
		s.args = append([]string{
			fmt.Sprintf("--name=member%d", i), "--data-dir=" + filepath.Join(dir, "data"), "--logger=zap", "--log-level=error",
			"--listen-client-urls=" + s.URL, "--advertise-client-urls=" + s.URL,
			"--listen-peer-urls=" + s.peer, "--initial-advertise-peer-urls=" + s.peer, "--initial-cluster=" + strings.Join(members, ","),
		}, args...)
		s.Restart(tb)
		tb.Cleanup(func() { s.Kill() })
	}
	return all
}

// Restart starts an etcd that was killed, with the data that it had, and waits
// until it listens.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	defer out.Close()
	command := append([]string{"etcd"}, s.args...)
	if s.space != "" {
		command = append([]string{"nsenter", "--net=" + s.space}, command...)
	}
	s.cmd = exec.Command(command[0], command[1:]...) //nolint:noctx // Kill ends it.
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); !s.listens(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			text, _ := os.ReadFile(s.log)
			tb.Fatalf("etcd does not listen on %s:\n%s", s.URL, text)
		}
	}
}

// listens looks for the port among those of the process's namespace.
func (s *Server) listens() bool {
	listening := regexp.MustCompile(fmt.Sprintf(`:%04X 0+:0000 0A`, s.port))
	for _, family := range []string{"tcp", "tcp6"} {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", s.cmd.Process.Pid, family)); err == nil && listening.Match(text) {
			return true
		}
	}
	return false
}

// dial connects from the etcd's own namespace.
func (s *Server) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	if s.space == "" {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	err = netns.Do(s.space, func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// Ready waits until a member serves, and knows who leads. It is for members of
// StartMembers.
func (s *Server) Ready(tb testing.TB) {
	tb.Helper()
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: s.dial}}
	healthy := func() bool {
		req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, s.URL+"/health", http.NoBody)
		if err != nil {
			tb.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK // after a read that all members agreed on
	}
	for end := time.Now().Add(time.Minute); !healthy(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			text, _ := os.ReadFile(s.log)
			tb.Fatalf("etcd at %s is not healthy:\n%s", s.URL, text)
		}
	}
}

// Kill ends the etcd without a word.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Resident is how much memory the etcd has.
func (s *Server) Resident(tb testing.TB) (octets float64) {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kibibytes float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kibibytes); err == nil {
			return kibibytes * 1024
		}
	}
	tb.Fatalf("no memory in\n%s", text)
	return 0
}

// Signal sends a signal to the etcd, such as SIGSTOP.
func (s *Server) Signal(tb testing.TB, sig os.Signal) {
	tb.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		tb.Fatal(err)
	}
}

// Call posts to the JSON gateway of an etcd without TLS, as its administrator
// would, and returns the answer.
func (s *Server) Call(tb testing.TB, path string, request map[string]any) map[string]any {
	tb.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		tb.Fatal(err)
	}
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, s.URL+path, bytes.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil || resp.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %s: %s", path, resp.Status, body)
	}
	return answer
}
