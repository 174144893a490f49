package reconcile_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nettest"
)

func peer(host, via string, prefixes ...string) plan.Peer {
	p := plan.Peer{Host: host, Via: netip.MustParseAddr(via)}
	for _, text := range prefixes {
		p.Prefixes = append(p.Prefixes, netip.MustParsePrefix(text))
	}
	return p
}

// routes are those to peers, without what the kernel says of all.
func routes(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(nettest.Run(t, "ip -6 route show proto 167")) {
		line, _, _ = strings.Cut(line, " metric")
		b.WriteString(line + "\n")
	}
	return b.String()
}

func TestPeerRoutes(t *testing.T) {
	enter(t)
	before := observe(t)
	n := newNode(t, memory{})
	check := func(step, want string) {
		t.Helper()
		if diff := cmp.Diff(want, routes(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
	}
	sync := func(host string) {
		t.Helper()
		if err := n.Sync(t.Context(), plan.PeerOwner(host)); err != nil {
			t.Error(err)
		}
	}
	const a, b = "2001:db8:0:0:1::/80", "2001:db8:0:0:2::/80"
	n.peers = []plan.Peer{peer("a", "fe80::a", a)}
	n.pass(t)
	check("a pass", "2001:db8:0:0:1::/80 via fe80::a dev eth0\n")

	n.peers = append(n.peers, peer("b", "2001:db8::b", b))
	sync("b")
	check("another peer", "2001:db8:0:0:1::/80 via fe80::a dev eth0\n2001:db8:0:0:2::/80 via 2001:db8::b dev eth0\n")

	n.peers[0] = peer("a", "2001:db8::a", a)
	sync("a")
	check("another next hop", "2001:db8:0:0:1::/80 via 2001:db8::a dev eth0\n2001:db8:0:0:2::/80 via 2001:db8::b dev eth0\n")

	// Others' routes to the same win, and stay.
	const static = "2001:db8:0:0:2::/80 via fe80::77 dev eth0 metric 1024"
	nettest.Run(t, "ip -6 route add "+static, "ip -6 route del "+a+" proto 167")
	n.pass(t)
	check("a route that somebody removed", "2001:db8:0:0:1::/80 via 2001:db8::a dev eth0\n2001:db8:0:0:2::/80 via 2001:db8::b dev eth0\n")
	if got := nettest.Run(t, "ip -6 route get 2001:db8:0:0:2::7"); !strings.Contains(got, "via fe80::77") {
		t.Errorf("an administrator's route does not win: %s", got)
	}
	n.peers = n.peers[:1]
	sync("b")
	check("a peer that left", "2001:db8:0:0:1::/80 via 2001:db8::a dev eth0\n")
	if got := nettest.Run(t, "ip -6 route show "+b); !strings.Contains(got, "via fe80::77") {
		t.Errorf("an administrator's route is gone: %s", got)
	}
	nettest.Run(t, "ip -6 route del "+static)

	// A peer on no link of ours is a problem of its own.
	n.peers = append(n.peers, peer("far", "2001:db8:7::1", "2001:db8:0:0:3::/80"))
	if err := n.Sync(t.Context(), plan.PeerOwner("far")); err == nil {
		t.Error("a route over a next hop that is on no link")
	}
	check("a peer on another link", "2001:db8:0:0:1::/80 via 2001:db8::a dev eth0\n")

	n.peers = nil
	n.pass(t)
	check("no peers", "")

	// What others give the same protocol has another metric, and is theirs.
	const foreign = "2001:db8:0:0:4::/80 via fe80::77 dev eth0 proto 167 metric 1024"
	nettest.Run(t, "ip -6 route add "+foreign)
	n.pass(t)
	check("a route of somebody else", "2001:db8:0:0:4::/80 via fe80::77 dev eth0\n")
	if ops, err := n.Drift(t.Context()); err != nil || len(ops) > 0 {
		t.Errorf("a route of somebody else is to be changed: %v, %v", ops, err)
	}
	nettest.Run(t, "ip -6 route del "+foreign)
	expectHost(t, before)
}

// T14 of the design.
func TestManyPeers(t *testing.T) {
	enter(t)
	n := newNode(t, memory{})
	base := netip.MustParsePrefix("2001:db8::/64")
	for _, size := range []struct {
		peers, each int
		limit       time.Duration
	}{{1000, 1, 2 * time.Second}, {1000, 10, 10 * time.Second}} {
		n.peers = nil
		for i := range size.peers {
			p := plan.Peer{Host: fmt.Sprint(i), Via: netip.MustParseAddr("fe80::a")}
			for j := range size.each {
				p.Prefixes = append(p.Prefixes, inet.Subnet(base, 80, uint64(i*size.each+j+1)))
			}
			n.peers = append(n.peers, p)
		}
		begin := time.Now()
		n.pass(t)
		took := time.Since(begin)
		if got := strings.Count(routes(t), "\n"); got != size.peers*size.each {
			t.Errorf("%d routes, want %d", got, size.peers*size.each)
		}
		begin = time.Now()
		n.pass(t)
		t.Logf("%d routes: first pass %s, next %s", size.peers*size.each, took, time.Since(begin))
		if took > size.limit {
			t.Errorf("%d routes took %s, want %s at most", size.peers*size.each, took, size.limit)
		}
	}
	n.peers = nil
	n.pass(t)
	if got := routes(t); got != "" {
		t.Errorf("routes to nobody:\n%.300s", got)
	}
}
