package fault_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/plugin"
	"github.com/ndp6/ndp6/plugin/settings"
)

// What is set in a child process: it serves with the state in a directory, and
// with what is to answer.
const (
	childDir       = "NDP6_FAULT_CHILD"
	childAnswering = "NDP6_FAULT_ANSWERING"
)

// TestMain is the whole of a child process: ndp6 as it is, on the network
// namespace that it was started in.
func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	err := plugin.Serve(context.Background(), settings.Settings{
		Sockets: []string{socket(dir)}, StateDir: dir, Uplink: settings.Auto,
		Sysctls: settings.Manage, SysctlDir: "/proc/sys/net", ResyncPeriod: time.Minute,
		Responder: plan.Answering(os.Getenv(childAnswering)),
	}, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	slog.New(slog.NewTextHandler(os.Stderr, nil)).Error("served no longer", "err", err)
	os.Exit(1)
}

func socket(dir string) string { return filepath.Join(dir, "ndp6.sock") }

// A victim is a process that is killed again and again.
type victim struct {
	t *testing.T
	*bed
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd ended
	kills int

	longest time.Duration // that a process lives
	served  bool          // this process came to answer
	early   int           // processes in a row that did not
}

// patience is how many processes in a row may be killed before they answer: on
// a slow machine the next ones live longer.
const patience = 10

// start starts the process, which is killed at a moment that nobody knows:
// while it starts, or in one of the next calls.
func (v *victim) start() {
	v.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+v.dir, childAnswering+"="+string(v.answering))
	cmd.Stderr = os.Stderr
	// The test's thread, which is locked, is the parent.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	time.AfterFunc(rand.N(v.longest), func() { _ = cmd.Process.Kill() })
	v.cmd, v.ended, v.served = cmd, ended, false
}

// reap waits for the end of a process that was killed.
func (v *victim) reap() {
	if v.cmd != nil {
		_ = v.cmd.Process.Kill()
		<-v.ended
		v.cmd = nil
		v.kills++
		v.early++
		if v.served {
			v.early = 0
		}
		if v.early == patience {
			v.early, v.longest = 0, 2*v.longest
		}
	}
}

// post sends a call, over a connection of its own. A socket on which nobody
// answers is tried again, as dockerd does; a broken connection is status 0.
func (v *victim) post(method, body string) (int, string) {
	dialed := false
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, "unix", socket(v.dir))
			dialed = err == nil
			v.served = v.served || dialed
			return c, err
		},
	}}
	for {
		if v.cmd == nil {
			v.start()
		}
		resp, err := client.Post("http://ndp6/"+method, "application/json", strings.NewReader(body))
		if err == nil {
			answer, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil {
				return resp.StatusCode, string(answer)
			}
		}
		select {
		case <-v.ended:
			v.reap()
		default:
			if !dialed {
				time.Sleep(time.Millisecond) // dockerd waits for a second
			}
		}
		if dialed && !errors.Is(err, syscall.ECONNREFUSED) {
			return 0, ""
		}
	}
}

// TestKill kills the whole process at random moments, with the signal that
// nothing can catch, while containers come and go, and looks at what is left.
func TestKill(t *testing.T) {
	b := newBed(t)
	v := &victim{t: t, bed: b, longest: 150 * time.Millisecond}
	lives := 0
	for end := time.Now().Add(10 * time.Second / time.Duration(stride())); time.Now().Before(end) && !t.Failed(); lives++ {
		b.answering = []plan.Answering{plan.AnswerKernel, plan.AnswerAuto}[lives%2] // each finds what the other left
		d := &docker{tb: t, host: b.host, sandbox: b.sandbox, post: v.post}
		if d.createNetwork() == nil {
			for range 3 {
				if d.run() == nil {
					d.stop()
				}
			}
		}
		keep := lives%4 < 2
		if !keep && d.network != "" {
			d.removeNetwork()
		}
		v.reap()
		p := b.start(t)
		p.sweep(t, d)
		p.check(t, d, "after a life")
		if keep && d.network != "" {
			d.post = p.post
			d.removeNetwork()
			p.check(t, d, "after network rm")
		}
		p.end()
		if diff := differs(t, b.before); diff != "" {
			t.Errorf("host (-before +after):\n%s", diff)
		}
		if t.Failed() {
			t.Log("calls that failed:\n" + strings.Join(d.crossed, "\n"))
		}
	}
	t.Logf("%d kills in %d lives of a network and its containers", v.kills, lives)
}
