package kernel_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// patience is how long a test waits for an event that must come.
const patience = 5 * time.Second

// watch starts c.Watch and returns the channel of its events. It has begun
// when watch returns, and ends with the test.
func watch(t *testing.T, c *kernel.Conn) <-chan kernel.Event {
	t.Helper()
	events := make(chan kernel.Event, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Watch(ctx, func(e kernel.Event) { events <- e }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	// Watch does not say when it begins, so make noise until it hears some.
	for end := time.Now().Add(patience); len(events) == 0; {
		nettest.Run(t, "ip link set lo down", "ip link set lo up")
		if time.Now().After(end) {
			t.Fatal("Watch does not begin")
		}
	}
	mark(t, events)
	return events
}

// mark makes a change and returns the events before that of this change.
func mark(t *testing.T, events <-chan kernel.Event) []kernel.Event {
	t.Helper()
	nettest.Run(t, "ip route add unreachable 192.0.2.99 proto 99", "ip route del unreachable 192.0.2.99 proto 99")
	var before []kernel.Event
	timeout := time.After(patience)
	for {
		select {
		case e := <-events:
			if e.Kind == kernel.KindRoute && e.Protocol == 99 && e.Deleted {
				return before
			}
			if e.Protocol != 99 {
				before = append(before, e)
			}
		case <-timeout:
			t.Fatal("an event does not come")
		}
	}
}

func TestWatch(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	nettest.Run(t, "ip link add eth0 type bridge", "ip link set eth0 addrgenmode none", "ip link set eth0 up")
	link, err := c.Link("eth0")
	if err != nil {
		t.Fatal(err)
	}
	index := link.Index
	events := watch(t, c)
	for _, step := range []struct {
		name   string
		change string
		want   kernel.Event
		none   bool
	}{
		{name: "link down", change: "ip link set eth0 down", want: kernel.Event{Kind: kernel.KindLink, Link: "eth0", Index: index}},
		{name: "link up", change: "ip link set eth0 up", want: kernel.Event{Kind: kernel.KindLink, Link: "eth0", Index: index}},
		{name: "address", change: "ip addr add 2001:db8::1/64 dev eth0 nodad noprefixroute", want: kernel.Event{Kind: kernel.KindAddress, Link: "eth0", Index: index}},
		{name: "address gone", change: "ip addr del 2001:db8::1/64 dev eth0", want: kernel.Event{Kind: kernel.KindAddress, Link: "eth0", Index: index, Deleted: true}},
		{name: "IPv4 address", change: "ip addr add 192.0.2.1/24 dev eth0", want: kernel.Event{Kind: kernel.KindAddress, Link: "eth0", Index: index}},
		{name: "route", change: "ip -6 route add 2001:db8:1::/64 dev eth0 proto 166", want: kernel.Event{Kind: kernel.KindRoute, Link: "eth0", Index: index, Protocol: 166}},
		{name: "route gone", change: "ip -6 route del 2001:db8:1::/64 dev eth0", want: kernel.Event{Kind: kernel.KindRoute, Link: "eth0", Index: index, Protocol: 166, Deleted: true}},
		{name: "route of another table", change: "ip -6 route add 2001:db8:2::/64 dev eth0 table 100", none: true},
		{name: "neighbor", change: "ip -6 neigh add 2001:db8::2 dev eth0 lladdr 02:42:00:00:00:02 nud permanent protocol 166", want: kernel.Event{Kind: kernel.KindNeighbor, Link: "eth0", Index: index, Protocol: 166, Addr: netip.MustParseAddr("2001:db8::2")}},
		{name: "neighbor gone", change: "ip -6 neigh del 2001:db8::2 dev eth0", want: kernel.Event{Kind: kernel.KindNeighbor, Link: "eth0", Index: index, Protocol: 166, Addr: netip.MustParseAddr("2001:db8::2"), Deleted: true}},
		{name: "ordinary neighbor", change: "ip -6 neigh add 2001:db8::3 dev eth0 lladdr 02:42:00:00:00:03 nud reachable", none: true},
		{name: "ordinary neighbor gone", change: "ip -6 neigh del 2001:db8::3 dev eth0", none: true},
		{name: "forwarding table of a bridge", change: "bridge fdb add 02:42:00:00:00:03 dev eth0 self", none: true},
		{name: "forwarding", change: "sysctl -w net.ipv6.conf.eth0.forwarding=1", want: kernel.Event{Kind: kernel.KindSetting, Link: "eth0", Index: index}},
		{name: "proxy_ndp", change: "sysctl -w net.ipv6.conf.eth0.proxy_ndp=1", want: kernel.Event{Kind: kernel.KindSetting, Link: "eth0", Index: index}},
		{name: "proxy_ndp of all", change: "sysctl -w net.ipv6.conf.all.proxy_ndp=1", want: kernel.Event{Kind: kernel.KindSetting, Link: "all"}},
		{name: "setting that is not told", change: "sysctl -w net.ipv6.conf.eth0.accept_ra=2", none: true},
		{name: "multicast snooping", change: "ip link set eth0 type bridge mcast_snooping 0", want: kernel.Event{Kind: kernel.KindLink, Link: "eth0", Index: index}},
		{name: "link gone", change: "ip link del eth0", want: kernel.Event{Kind: kernel.KindLink, Link: "eth0", Index: index, Deleted: true}},
	} {
		nettest.Run(t, step.change)
		if step.want.Kind == kernel.KindLink && !step.want.Deleted {
			if step.want.Now, err = c.Link("eth0"); err != nil {
				t.Fatal(err)
			}
		}
		got := mark(t, events)
		// The kernel adds IPv6 addresses in the background.
		for end := time.Now().Add(patience); !step.none && !slices.Contains(got, step.want) && time.Now().Before(end); {
			got = append(got, mark(t, events)...)
		}
		switch {
		case step.none && len(got) > 0:
			t.Errorf("%s: got %+v, want nothing", step.name, got)
		case !step.none && !slices.Contains(got, step.want):
			t.Errorf("%s: got %+v, want %+v", step.name, got, step.want)
		}
	}
}

// TestWatchOwnChanges has the changes that the kernel ascribes to who made them.
func TestWatchOwnChanges(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	nettest.Run(t, "ip link add eth0 type bridge", "ip link set eth0 up")
	events := watch(t, c)
	r := route("2001:db8:1::/64", "eth0", "", 0)
	n := kernel.Neighbor{Addr: netip.MustParseAddr("2001:db8::2"), Link: "eth0", MAC: peerMAC, Protocol: protocol}
	for _, change := range []struct {
		name string
		do   func() error
	}{
		{"add route", func() error { return c.ReplaceRoute(r) }},
		{"delete route", func() error { return c.DeleteRoute(r) }},
		{"add neighbor", func() error { return c.SetNeighbor(n) }},
		{"replace neighbor", func() error { return c.SetNeighbor(n) }},
		{"add IPv4 address", func() error { return c.AddAddress("eth0", netip.MustParsePrefix("192.0.2.1/24")) }},
	} {
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		if got := mark(t, events); len(got) > 0 {
			t.Errorf("%s: got %+v, want nothing", change.name, got)
		}
	}
}

func TestWatchLost(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	block, entered := make(chan struct{}), make(chan struct{}, 1)
	lost := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Watch(ctx, func(e kernel.Event) {
			if e.Lost {
				lost <- struct{}{}
				return
			}
			select {
			case entered <- struct{}{}:
			default:
			}
			<-block
		})
	}()
	for len(entered) == 0 {
		nettest.Run(t, "ip link set lo down", "ip link set lo up")
	}
	// While the watcher is busy, more comes than its buffer holds.
	other := open(t)
	r := route("10.0.0.0/32", "", "", 0)
	for i := range 30_000 {
		r.Dst = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		if err := other.ReplaceRoute(r); err != nil {
			t.Fatal(err)
		}
	}
	close(block)
	select {
	case <-lost:
	case <-time.After(patience):
		t.Error("lost events were not told")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Watch: %v", err)
	}
}

func TestWatchAgain(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Watch(ctx, func(kernel.Event) {}); err != nil {
			t.Fatal(err)
		}
	}
	watch(t, c)
	if got, want := message(c.Watch(t.Context(), nil)), "watch the kernel: already being watched"; got != want {
		t.Errorf("second Watch: got %q, want %q", got, want)
	}
}

// TestListen: what changes after Listen and before Watch is told by Watch.
func TestListen(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	nettest.Run(t, "ip route add unreachable 192.0.2.98 proto 98")
	events := make(chan kernel.Event, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Watch(ctx, func(e kernel.Event) { events <- e }) }()
	for timeout := time.After(patience); ; {
		select {
		case e := <-events:
			if e.Kind != kernel.KindRoute || e.Protocol != 98 {
				continue
			}
		case <-timeout:
			t.Error("the event is lost")
		}
		break
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Watch: %v", err)
	}
}
