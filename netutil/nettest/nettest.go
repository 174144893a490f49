// Package nettest gives tests a private network namespace. It is for tests only.
package nettest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// Enter moves the calling test into a new network namespace whose loopback is
// up, until the test ends. Code under test must open its sockets from the
// test's goroutine. Without privilege the test is skipped, or fails where
// NDP6_REQUIRE_NETNS is 1. A test that is parallel says so before it calls Enter.
// Its subtests run on threads outside the namespace: each calls Enter for itself.
func Enter(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		Unavailable(tb, "making a network namespace needs root")
		return
	}
	runtime.LockOSThread()
	old, err := netns.Get()
	if err != nil {
		tb.Fatalf("get network namespace: %v", err)
	}
	ns, err := netns.New()
	if err != nil {
		runtime.UnlockOSThread()
		Unavailable(tb, "make network namespace: "+err.Error())
		return
	}
	tb.Cleanup(func() {
		if err := netns.Set(old); err != nil {
			// The thread is in the wrong place: leaving it locked ends it with the goroutine.
			tb.Errorf("return to network namespace: %v", err)
			return
		}
		ns.Close()
		old.Close()
		runtime.UnlockOSThread()
	})
	Run(tb, "ip link set lo up")
}

// Unavailable skips the test with the reason, or fails it where
// NDP6_REQUIRE_NETNS is 1: a machine that should have it must not pass without.
func Unavailable(tb testing.TB, reason string) {
	tb.Helper()
	if os.Getenv("NDP6_REQUIRE_NETNS") == "1" {
		tb.Fatal(reason)
	}
	tb.Skip(reason)
}

// Run runs each line as a command without a shell in the test's namespace and
// returns what they printed. The test fails at the first that does.
func Run(tb testing.TB, lines ...string) string {
	tb.Helper()
	var out strings.Builder
	for _, line := range lines {
		args := strings.Fields(line)
		cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // the test's own thread must run it, and it ends by itself.
		b, err := cmd.CombinedOutput()
		if err != nil {
			tb.Fatalf("%s: %v\n%s", line, err, b)
		}
		out.Write(b)
	}
	return out.String()
}

// Local waits until packets to these IPv6 addresses of the test's namespace
// are taken: the kernel makes the routes some time after the address.
func Local(tb testing.TB, addrs ...string) {
	tb.Helper()
	for _, a := range addrs {
		for end := time.Now().Add(10 * time.Second); !strings.Contains(Run(tb, "ip -6 route show table local"), "local "+a+" "); {
			if time.Now().After(end) {
				tb.Fatalf("the kernel has no route to its own address %s", a)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// Another makes a second namespace, whose loopback is up, until the test ends.
// It returns a path for netns.Do, RunIn and "ip link set ... netns".
func Another(tb testing.TB) string {
	tb.Helper()
	type made struct {
		ns  netns.NsHandle
		err error
	}
	done := make(chan made, 1)
	go func() {
		runtime.LockOSThread() // And never unlocked, so that the thread ends in the namespace.
		ns, err := netns.New()
		done <- made{ns, err}
	}()
	m := <-done
	if m.err != nil {
		Unavailable(tb, "make network namespace: "+m.err.Error())
		return ""
	}
	tb.Cleanup(func() { m.ns.Close() })
	path := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(m.ns))
	RunIn(tb, path, "ip link set lo up")
	return path
}

// RunIn is Run in the namespace at path.
func RunIn(tb testing.TB, path string, lines ...string) string {
	tb.Helper()
	inside := make([]string, len(lines))
	for i, line := range lines {
		inside[i] = "nsenter --net=" + path + " " + line
	}
	return Run(tb, inside...)
}
