package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/packet"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// patience is how long a test waits for a repair. One takes well under a
// second, which the tests print and a busy machine may not keep to.
const patience = 10 * time.Second

// run keeps the host until stop is called. The loop changes it from a thread in
// the test's namespace, where the sysctls are.
func (n *node) run(tb testing.TB) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	namespace := fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), syscall.Gettid())
	entered := make(chan struct{})
	go func() {
		done <- netns.Do(namespace, func() error {
			close(entered)
			return n.Run(ctx)
		})
	}()
	<-entered
	n.rest(tb)
	return func() {
		tb.Helper()
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("run: %v", err)
		}
	}
}

// rest waits until the loop has nothing to do: not even for an event of what it
// did itself.
func (n *node) rest(tb testing.TB) {
	tb.Helper()
	const quiet = 200 * time.Millisecond
	for last := int64(-1); n.looked.Load() != last; {
		last = n.looked.Load()
		<-time.After(quiet)
	}
}

// repaired waits until nothing is missing and says how long that took.
func repaired(t *testing.T, begin time.Time, missing func() string) {
	t.Helper()
	for {
		what := missing()
		took := time.Since(begin).Round(time.Millisecond)
		switch {
		case what == "":
			t.Logf("repaired within %v", took)
			return
		case took > patience:
			t.Fatalf("not repaired within %v:\n%s", took, what)
		}
	}
}

// shows returns what is missing from the output of commands.
func shows(tb testing.TB, want map[string]string) string {
	tb.Helper()
	var missing strings.Builder
	for command, line := range want {
		args := strings.Fields(command)
		// What a command asks for may not be there yet.
		got, err := exec.CommandContext(tb.Context(), args[0], args[1:]...).CombinedOutput()
		if err != nil || !strings.Contains(string(got), line) {
			fmt.Fprintf(&missing, "%s: want %q in:\n%s", command, line, got)
		}
	}
	return missing.String()
}

func TestRepair(t *testing.T) {
	for _, h := range harms() {
		t.Run(h.name, func(t *testing.T) {
			enter(t)
			n := newNode(t, memory{})
			n.serve(t)
			t.Cleanup(n.run(t))
			before := observe(t)
			n.damage(t, h.damage...)
			begin := time.Now()
			repaired(t, begin, func() string { return h.missing(t, before) })
		})
	}
}

// Neighbors send to the MAC that they know until they are told another.
//
// Shows RFC 4861 7.2.6 (changed).
// Shows RFC 4861 7.2.8 (announcement).
func TestAnnouncesAgain(t *testing.T) {
	for _, m := range moves() {
		t.Run(m.name, func(t *testing.T) {
			enter(t)
			nettest.Run(t, "ip link set eth0 address 02:42:00:00:00:05")
			n := newNode(t, memory{})
			n.serve(t)
			n.speaker.Silence(box(0).Addrs[0])
			t.Cleanup(n.run(t))
			conn := listen(t, "lan0")
			n.damage(t, m.damage...)
			begin := time.Now()
			mac, err := net.ParseMAC(m.mac)
			if err != nil {
				t.Fatal(err)
			}
			repaired(t, begin, func() string { return announced(t, conn, box(0).Addrs[0], mac) })
		})
	}
}

func listen(tb testing.TB, name string) *packet.Conn {
	tb.Helper()
	link, err := net.InterfaceByName(name)
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := packet.Listen(link, packet.Raw, syscall.ETH_P_IPV6, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	return conn
}

// announced reads one packet and returns why it is not an advertisement of
// addr at mac that overrides what is known.
func announced(tb testing.TB, conn *packet.Conn, addr netip.Addr, mac net.HardwareAddr) string {
	tb.Helper()
	const header, advertisement, override = 14 + 40, 136, 0x20
	b := make([]byte, 1500)
	length, _, err := conn.ReadFrom(b)
	if errors.Is(err, syscall.ENETDOWN) {
		return "the link was down"
	}
	if err != nil {
		tb.Fatal(err)
	}
	if length < header+32 || b[header] != advertisement {
		return "another packet"
	}
	target := netip.AddrFrom16([16]byte(b[header+8 : header+24]))
	flags, linkLayer := b[header+4], net.HardwareAddr(b[header+26:header+32])
	if target != addr || flags&override == 0 || linkLayer.String() != mac.String() {
		return fmt.Sprintf("an advertisement of %s at %s with flags %#x", target, linkLayer, flags)
	}
	return ""
}
