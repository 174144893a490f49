package responder_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/responder"
)

func attach(tb testing.TB, r *responder.Responder) {
	tb.Helper()
	if err := r.Attach(); err != nil {
		tb.Fatal(err)
	}
}

func expectAttached(tb testing.TB, r *responder.Responder, want bool) {
	tb.Helper()
	if got, err := r.Attached(); err != nil || got != want {
		tb.Errorf("Attached: %t, %v; want %t", got, err, want)
	}
}

// TestNeighbor has another kernel look for the target, and then probe it.
//
// Shows RFC 4861 7.3.3 (probe).
func TestNeighbor(t *testing.T) {
	ifi, peer := lan(t)
	r := start(t, ifi)
	attach(t, r)
	err := netns.Do(peer, func() error {
		c, err := net.Dial("udp", "[2001:db8::a:2]:9")
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("x"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	neighbor := func(want string) {
		t.Helper()
		eventually(t, want, func() bool {
			return strings.Contains(nettest.RunIn(t, peer, "ip -6 neigh show dev lan0"), want)
		})
	}
	neighbor("2001:db8::a:2 lladdr 02:42:00:00:00:05 REACHABLE")
	before := counts(t, r)
	nettest.RunIn(t, peer, "ip -6 neigh change 2001:db8::a:2 dev lan0 lladdr 02:42:00:00:00:05 nud probe")
	neighbor("2001:db8::a:2 lladdr 02:42:00:00:00:05 REACHABLE")
	if got := since(before, counts(t, r)); !slices.Equal(got, []string{"unicast 1"}) {
		t.Errorf("to answer a probe: %q", got)
	}
	// Nobody is at what is no target.
	if listen(t, peer).ask(func() solicitation { s := usual(); ask(unassigned)(&s); return s }(), silence) {
		t.Error("an address that is not assigned is answered for")
	}
}

// TestDuplicate has another host try to take the target.
//
// Shows RFC 4862 5.4 (defense).
func TestDuplicate(t *testing.T) {
	ifi, peer := lan(t)
	r := start(t, ifi)
	attach(t, r)
	nettest.RunIn(t, peer, "sysctl -qw net.ipv6.conf.lan0.accept_dad=1", "ip addr add 2001:db8::a:2/64 dev lan0")
	eventually(t, "the other host gives up", func() bool {
		return strings.Contains(nettest.RunIn(t, peer, "ip -6 addr show dev lan0"), "2001:db8::a:2/64 scope global dadfailed tentative")
	})
	if got := counts(t, r)["probe"]; got == 0 {
		t.Error("no probe was answered")
	}
}

// TestRestart replaces the responder again and again while it is asked.
func TestRestart(t *testing.T) {
	ifi, peer := lan(t)
	attach(t, start(t, ifi))
	w := listen(t, peer)
	const restarts = 20
	old := make(chan *responder.Responder, restarts)
	for range restarts {
		old <- start(t, ifi)
	}
	close(old)
	done := make(chan error, 1)
	go func() {
		var err error
		for r := range old {
			if err == nil {
				err = r.Attach()
			}
		}
		done <- err
	}()
	asked := 0
	for running := true; running || asked < 100; asked++ {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		if !w.ask(usual(), patience) {
			t.Fatalf("solicitation %d is not answered", asked)
		}
	}
	if n := strings.Count(nettest.Run(t, "tc filter show dev eth0 ingress"), "handle 0x6e647036"); n != 1 {
		t.Errorf("%d filters in the end", n)
	}
}

func TestDeath(t *testing.T) {
	ifi, peer := lan(t)
	w := listen(t, peer)
	first := start(t, ifi)
	if w.ask(usual(), silence) {
		t.Error("New alone answers")
	}
	attach(t, first)
	expectAttached(t, first, true)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if !w.ask(usual(), patience) {
		t.Error("the filter stops answering with its process")
	}
	if got, err := responder.Links(); err != nil || !slices.Equal(got, []int{ifi.Index}) {
		t.Errorf("Links: %v, %v", got, err)
	}
	second := start(t, ifi)
	expectAttached(t, second, false)
	if err := second.Detach(); err != nil {
		t.Fatal(err)
	}
	if !w.ask(usual(), patience) {
		t.Error("Detach takes another process's filter away")
	}
	attach(t, second)
	attach(t, second)
	expectAttached(t, second, true)
	if err := second.Remove(target); err != nil {
		t.Fatal(err)
	}
	if w.ask(usual(), silence) {
		t.Error("the old filter is still there")
	}
	for range 2 {
		if err := responder.Detach(ifi.Index); err != nil {
			t.Fatal(err)
		}
	}
	expectAttached(t, second, false)
	if got, err := responder.Links(); err != nil || len(got) > 0 {
		t.Errorf("Links: %v, %v", got, err)
	}
	if got := nettest.Run(t, "tc qdisc show dev eth0"); strings.Contains(got, "clsact") {
		t.Errorf("the qdisc is still there:\n%s", got)
	}
}

func TestDetach(t *testing.T) {
	ifi, _ := lan(t)
	r := start(t, ifi)
	for range 2 {
		attach(t, r)
		// It comes back after somebody removed everything.
		nettest.Run(t, "tc qdisc del dev eth0 clsact")
		expectAttached(t, r, false)
		attach(t, r)
		expectAttached(t, r, true)
		for range 2 {
			if err := r.Detach(); err != nil {
				t.Fatal(err)
			}
			expectAttached(t, r, false)
		}
		if got := nettest.Run(t, "tc qdisc show dev eth0"); strings.Contains(got, "clsact") {
			t.Errorf("the qdisc is still there:\n%s", got)
		}
	}
	attach(t, r)
	nettest.Run(t, "ip link del eth0")
	expectAttached(t, r, false)
	if err := r.Detach(); err != nil {
		t.Errorf("Detach from a link that is gone: %v", err)
	}
	if err := responder.Detach(ifi.Index); err != nil {
		t.Errorf("Detach from a link that is gone: %v", err)
	}
	if err := r.Attach(); err == nil {
		t.Error("Attach to a link that is gone succeeds")
	}
}

// TestOthers has filters of others beside ours.
func TestOthers(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		show  string
	}{
		{"behind ours", []string{"tc qdisc add dev eth0 clsact", "tc filter add dev eth0 ingress prio 10 protocol ipv6 u32 match u32 0 0 classid 1:1"}, "tc filter show dev eth0 ingress"},
		{"for what goes out", []string{"tc qdisc add dev eth0 clsact", "tc filter add dev eth0 egress prio 1 protocol ip u32 match u32 0 0 classid 1:1"}, "tc filter show dev eth0 egress"},
		{"on the old kind of qdisc", []string{"tc qdisc add dev eth0 ingress", "tc filter add dev eth0 ingress prio 10 protocol ipv6 u32 match u32 0 0 classid 1:1"}, "tc filter show dev eth0 ingress"},
	} {
		func() {
			// Each has a namespace of its own, and subtests would be outside of it.
			ifi, peer := lan(t)
			nettest.Run(t, c.lines...)
			was := nettest.Run(t, c.show)
			r := start(t, ifi)
			attach(t, r)
			if !listen(t, peer).ask(usual(), patience) {
				t.Errorf("%s: no answer", c.name)
			}
			if got, err := responder.Links(); err != nil || !slices.Equal(got, []int{ifi.Index}) {
				t.Errorf("%s: Links: %v, %v", c.name, got, err)
			}
			if err := r.Detach(); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if got := nettest.Run(t, c.show); got != was {
				t.Errorf("%s: was\n%sis\n%s", c.name, was, got)
			}
		}()
	}
	// An empty one of the old kind is somebody else's for sure.
	ifi, _ := lan(t)
	nettest.Run(t, "tc qdisc add dev eth0 ingress")
	r := start(t, ifi)
	attach(t, r)
	if err := r.Detach(); err != nil {
		t.Fatal(err)
	}
	if got := nettest.Run(t, "tc qdisc show dev eth0"); !strings.Contains(got, "ingress") {
		t.Errorf("the qdisc of others is gone:\n%s", got)
	}
}

// TestMACChange changes the uplink's MAC while it is asked.
func TestMACChange(t *testing.T) {
	ifi, peer := lan(t)
	r := start(t, ifi)
	attach(t, r)
	w := listen(t, peer)
	done := make(chan error, 1)
	go func() {
		var err error
		for i := range 2000 {
			c := responder.Config{Index: ifi.Index, Name: ifi.Name, MAC: ourMAC, Source: linkLocal}
			if i%2 == 0 {
				c.MAC, c.Source = otherMAC, netip.Addr{}
			}
			if e := r.Set(c); e != nil {
				err = e
			}
		}
		done <- err
	}()
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		if !w.ask(usual(), patience) {
			t.Fatal("no answer")
		}
	}
}

// BenchmarkAttached looks whether the filter is there.
func BenchmarkAttached(b *testing.B) {
	r := start(b, uplink(b))
	attach(b, r)
	for b.Loop() {
		if there, err := r.Attached(); err != nil || !there {
			b.Fatal(there, err)
		}
	}
}
