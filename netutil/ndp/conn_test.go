package ndp_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/ndp"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

var (
	hostMAC = inet.MAC{0x02, 0x42, 0, 0, 0, 0x01}
	peerMAC = inet.MAC{0x02, 0x42, 0, 0, 0, 0x02}
	target  = netip.MustParseAddr("2001:db8::42:ac11:2")
	free    = netip.MustParseAddr("2001:db8::42:ac11:3")
)

var byValue = cmpopts.EquateComparable(netip.Addr{})

// wait is long enough for an answer over a veth on a busy machine.
const wait = 2 * time.Second

// lan puts the test in a namespace whose eth0 leads to the eth0 of another,
// and returns our Link and the other namespace's path.
func lan(t *testing.T) (link ndp.Link, peer string) {
	t.Helper()
	nettest.Enter(t)
	peer = nettest.Another(t)
	nettest.Run(t,
		"ip link add eth0 address 02:42:00:00:00:01 type veth peer name eth0 address 02:42:00:00:00:02 netns "+peer,
		"ip addr add fe80::1/64 dev eth0 nodad",
		"ip link set eth0 up")
	nettest.RunIn(t, peer,
		"ip addr add fe80::2/64 dev eth0 nodad",
		"ip link set eth0 up")
	awaitUp(t, func() string { return nettest.Run(t, "ip link show dev eth0") })
	awaitUp(t, func() string { return nettest.RunIn(t, peer, "ip link show dev eth0") })
	ifi, err := net.InterfaceByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	return ndp.Link{Index: ifi.Index, Name: "eth0", MAC: hostMAC, Source: netip.MustParseAddr("fe80::1")}, peer
}

// awaitUp waits until a link carries packets: before, the kernel drops them.
func awaitUp(t *testing.T, show func() string) {
	t.Helper()
	out := ""
	for end := time.Now().Add(wait); time.Now().Before(end); {
		if out = show(); strings.Contains(out, "state UP") {
			return
		}
	}
	t.Fatalf("the link does not come up:\n%s", out)
}

func open(t *testing.T, l ndp.Link) *ndp.Conn {
	t.Helper()
	c, err := ndp.Open(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// openPeer opens a Conn in the other namespace.
func openPeer(t *testing.T, path string) *ndp.Conn {
	t.Helper()
	var c *ndp.Conn
	err := netns.Do(path, func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		c, err = ndp.Open(ndp.Link{Index: ifi.Index, Name: "eth0", MAC: peerMAC, Source: netip.MustParseAddr("fe80::2")})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Hosts that look for one address at once do not take each other for its owner.
func TestFind(t *testing.T) {
	link, peer := lan(t)
	c, other := open(t, link), openPeer(t, peer)
	both := func(want bool) {
		t.Helper()
		elsewhere := make(chan bool, 1)
		wait := 50 * time.Millisecond
		if want {
			wait = time.Minute
		}
		go func() {
			_, found, err := other.Find(t.Context(), target, 50*time.Millisecond)
			if err != nil {
				t.Error(err)
			}
			elsewhere <- found
		}()
		owner, found, err := c.Find(t.Context(), target, wait)
		if err != nil || found != want || found && owner != peerMAC {
			t.Errorf("Find = %s, %t, %v, want %t", owner, found, err, want)
		}
		if <-elsewhere {
			t.Error("the owner finds itself, or who asks for it")
		}
	}
	both(false)
	nettest.RunIn(t, peer, "ip addr add "+target.String()+"/64 dev eth0 nodad")
	both(true)
	if _, _, err := c.Find(t.Context(), netip.MustParseAddr("192.0.2.1"), time.Minute); err == nil {
		t.Error("an IPv4 address is looked for")
	}
}

// Shows RFC 4862 5.4.4 (advertisement).
func TestProbe(t *testing.T) {
	tests := []struct {
		name string
		peer string // a command of the other host
		wait time.Duration
		want error
	}{
		{
			name: "free",
			wait: 50 * time.Millisecond,
		},
		{
			name: "owned by another host",
			peer: "ip addr add 2001:db8::42:ac11:2/64 dev eth0 nodad",
			wait: wait,
			want: &ndp.DuplicateError{Addr: target, Owner: peerMAC},
		},
		{
			name: "answered for by another host's proxy entry",
			peer: "ip -6 neigh add proxy 2001:db8::42:ac11:2 dev eth0",
			wait: wait,
			want: &ndp.DuplicateError{Addr: target, Owner: peerMAC},
		},
		{
			name: "another address of the same group",
			peer: "ip addr add 2001:db8::1:42:ac11:2/64 dev eth0 nodad",
			wait: 50 * time.Millisecond,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			link, peer := lan(t)
			nettest.RunIn(t, peer,
				"sysctl -qw net.ipv6.conf.eth0.proxy_ndp=1",
				"sysctl -qw net.ipv6.conf.eth0.forwarding=1",
				"sysctl -qw net.ipv6.neigh.eth0.proxy_delay=0")
			if test.peer != "" {
				nettest.RunIn(t, peer, test.peer)
			}
			got := open(t, link).Probe(t.Context(), target, test.wait)
			if diff := cmp.Diff(test.want, got, byValue); diff != "" {
				t.Errorf("Probe (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProbesAtOnce(t *testing.T) {
	link, peer := lan(t)
	nettest.RunIn(t, peer, "ip addr add 2001:db8::42:ac11:2/64 dev eth0 nodad")
	c := open(t, link)
	got := make([]error, 8)
	var probes sync.WaitGroup
	for i := range got {
		probes.Go(func() {
			if i%2 == 0 {
				got[i] = c.Probe(t.Context(), target, wait)
			} else {
				got[i] = c.Probe(t.Context(), free, 50*time.Millisecond)
			}
		})
	}
	probes.Wait()
	taken := &ndp.DuplicateError{Addr: target, Owner: peerMAC}
	want := []error{taken, nil, taken, nil, taken, nil, taken, nil}
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Errorf("Probe (-want +got):\n%s", diff)
	}
	// Nothing of the probes is left on the link.
	if out := nettest.Run(t, "ip maddress show dev eth0"); strings.Contains(out, "33:33:ff:11:00:02") {
		t.Errorf("still a member of the probed group:\n%s", out)
	}
}

// Shows RFC 4862 5.4.3 (duplicates).
func TestTwoHostsProbeAtOnce(t *testing.T) {
	link, peer := lan(t)
	host, other := open(t, link), openPeer(t, peer)
	got := make([]error, 2)
	var probes sync.WaitGroup
	probes.Go(func() { got[0] = host.Probe(t.Context(), target, wait/4) })
	probes.Go(func() { got[1] = other.Probe(t.Context(), target, wait/4) })
	probes.Wait()
	// Only who listens already hears the other's solicitation, so one may win.
	want := []error{
		&ndp.DuplicateError{Addr: target, Owner: peerMAC},
		&ndp.DuplicateError{Addr: target, Owner: hostMAC},
	}
	for i := range got {
		if got[i] != nil && !cmp.Equal(want[i], got[i], byValue) {
			t.Errorf("Probe %d: got %v, want %v or nil", i, got[i], want[i])
		}
	}
	if got[0] == nil && got[1] == nil {
		t.Error("neither prober saw the other")
	}
}

func TestProbeEnds(t *testing.T) {
	link, _ := lan(t)
	c, err := ndp.Open(link)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() { got <- c.Probe(ctx, target, time.Hour) }()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: got %v, want context.Canceled", err)
	}
	go func() { got <- c.Probe(t.Context(), target, time.Hour) }()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-got; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: got %v, want net.ErrClosed", err)
	}
}

// Shows RFC 4861 7.2.6 (solicited).
// Shows RFC 4861 7.2.8 (announcement).
func TestAnnounceReplacesStaleEntry(t *testing.T) {
	link, peer := lan(t)
	nettest.RunIn(t, peer, "ip -6 neigh add 2001:db8::42:ac11:2 dev eth0 lladdr 02:42:00:00:00:99 nud reachable")
	c := open(t, link)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := c.Announce(target); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	want := "2001:db8::42:ac11:2 dev eth0 lladdr 02:42:00:00:00:01 STALE"
	got := ""
	for end := time.Now().Add(wait); time.Now().Before(end) && got != want; {
		got = strings.TrimSpace(nettest.RunIn(t, peer, "ip -6 neigh show to 2001:db8::42:ac11:2"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("neighbor of the other host (-want +got):\n%s", diff)
	}
}

func TestLinkDown(t *testing.T) {
	link, peer := lan(t)
	nettest.RunIn(t, peer, "ip addr add 2001:db8::42:ac11:2/64 dev eth0 nodad")
	c := open(t, link)
	nettest.Run(t, "ip link set eth0 down")
	err := c.Announce(target)
	want := "announce 2001:db8::42:ac11:2 dev eth0: "
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "network is down") {
		t.Errorf("Announce on a link that is down: got %v, want %s... network is down", err, want)
	}
	// The same Conn serves the link when it is up again.
	nettest.Run(t, "ip link set eth0 up")
	awaitUp(t, func() string { return nettest.Run(t, "ip link show dev eth0") })
	if diff := cmp.Diff(error(&ndp.DuplicateError{Addr: target, Owner: peerMAC}), c.Probe(t.Context(), target, wait), byValue); diff != "" {
		t.Errorf("Probe (-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	link, _ := lan(t)
	c := open(t, link)
	noMAC, noSource, noLink := link, link, link
	noMAC.MAC = inet.MAC{}
	noSource.Source = netip.Addr{}
	noLink.Index = 9999
	openError := func(l ndp.Link) error {
		_, err := ndp.Open(l)
		return err
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"link without MAC", openError(noMAC), "open link eth0 for neighbor discovery: MAC 00:00:00:00:00:00 is all zero"},
		{"link without source", openError(noSource), `open link eth0 for neighbor discovery: the source "invalid IP" is not an IPv6 address of a host`},
		{"no link", openError(noLink), "open link eth0 for neighbor discovery: "},
		{"probe IPv4", c.Probe(t.Context(), netip.MustParseAddr("192.0.2.1"), 0), "probe 192.0.2.1 dev eth0: not an IPv6 address of a host"},
		{"probe group", c.Probe(t.Context(), inet.AllNodes, 0), "probe ff02::1 dev eth0: not an IPv6 address of a host"},
		{"announce IPv4", c.Announce(netip.MustParseAddr("192.0.2.1")), "announce 192.0.2.1 dev eth0: "},
		{"duplicate", &ndp.DuplicateError{Addr: target, Owner: peerMAC}, "address 2001:db8::42:ac11:2 is in use by the host with MAC 02:42:00:00:00:02"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.err == nil || !strings.HasPrefix(test.err.Error(), test.want) {
				t.Errorf("got %v, want %s...", test.err, test.want)
			}
		})
	}
}
