package responder_test

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/responder"
)

var (
	ourMAC    = inet.MAC{0x02, 0x42, 0, 0, 0, 0x05}
	routerMAC = inet.MAC{0x02, 0x42, 0, 0, 0, 0x01}
	otherMAC  = inet.MAC{0x02, 0x42, 0, 0, 0, 0x77}

	routerAddr = netip.MustParseAddr("fe80::1")
	linkLocal  = netip.MustParseAddr("fe80::5")
	target     = netip.MustParseAddr("2001:db8::a:2")
	unassigned = netip.MustParseAddr("2001:db8::a:3")
	own        = netip.MustParseAddr("2001:db8::a:4")
	foreign    = netip.MustParseAddr("2001:db8::b:2")
	pool       = netip.MustParsePrefix("2001:db8::a:0/112")
	nobody     = netip.IPv6Unspecified()
)

// What becomes of a frame.
const (
	kernels  = -1
	dropped  = 2
	answered = 7
)

// uplink makes eth0, which forwards and has two addresses, one in the pool.
func uplink(tb testing.TB) *net.Interface {
	tb.Helper()
	nettest.Enter(tb)
	nettest.Run(tb,
		"ip link add eth0 address 02:42:00:00:00:05 type veth peer name lan0",
		"sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.all.forwarding=1",
		"ip link set lan0 up", "ip link set eth0 up",
		"ip addr add 2001:db8::a:4/64 dev eth0 nodad", "ip addr add fe80::5/64 dev eth0 nodad")
	nettest.Local(tb, own.String())
	ifi, err := net.InterfaceByName("eth0")
	if err != nil {
		tb.Fatal(err)
	}
	return ifi
}

// start makes a responder for the uplink, with one target and one pool.
func start(tb testing.TB, ifi *net.Interface) *responder.Responder {
	tb.Helper()
	r, err := responder.New(responder.Config{Index: ifi.Index, Name: ifi.Name, MAC: ourMAC, Source: linkLocal})
	if err != nil {
		if responder.Available() != nil {
			nettest.Unavailable(tb, err.Error())
		}
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.Close() })
	if err := r.Add(target); err != nil {
		tb.Fatal(err)
	}
	if err := r.SetPools([]netip.Prefix{pool}); err != nil {
		tb.Fatal(err)
	}
	return r
}

// expect wants a verdict and a change of the counts, if any, and the frame as it was.
func expect(t *testing.T, r *responder.Responder, name string, frame []byte, want int32, change ...string) {
	t.Helper()
	before := counts(t, r)
	verdict, out, err := r.Run(frame, 0)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if verdict != want {
		t.Errorf("%s: want verdict %d, got %d: %s", name, want, verdict, advertisement(out))
	}
	if verdict != answered && !slices.Equal(out, frame) {
		t.Errorf("%s: the frame changed:\n% x\n% x", name, frame, out)
	}
	if got := since(before, counts(t, r)); !slices.Equal(got, change) {
		t.Errorf("%s: want counts %q, got %q", name, change, got)
	}
}

// counts returns how often each thing happened.
func counts(tb testing.TB, r *responder.Responder) map[string]uint64 {
	tb.Helper()
	c, err := r.Counts()
	if err != nil {
		tb.Fatal(err)
	}
	return all(c)
}

// all is the counts by name alone.
func all(c responder.Counts) map[string]uint64 {
	m := maps.Clone(c.Answers)
	maps.Copy(m, c.Drops)
	return m
}

// since is the difference of two counts.
func since(before, after map[string]uint64) []string {
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if n := after[name] - before[name]; n != 0 {
			changed = append(changed, fmt.Sprintf("%s %d", name, n))
		}
	}
	return changed
}

// here is a path of the namespace that the calling test is in.
func here(tb testing.TB) string {
	tb.Helper()
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(fd) })
	return fmt.Sprintf("/proc/self/fd/%d", fd)
}
