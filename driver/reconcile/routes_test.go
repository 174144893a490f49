package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/netutil/nettest"
)

const (
	anchor   = "unreachable 2001:db8:0:0:a::/80 dev lo metric 4096 pref medium"
	hostPart = "2001:db8::a:0:0:2 dev nd-web metric 4096 pref medium"
)

// marked returns the IPv6 routes of a protocol, without what says whether a link
// is up.
func marked(t *testing.T, protocol string) string {
	t.Helper()
	out := nettest.Run(t, "ip -6 route show proto "+protocol)
	return strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(out, " linkdown", "")), " \n", "\n")
}

// What has the protocol is what is announced, and nothing else.
func TestAnnouncedRoutes(t *testing.T) {
	for _, tt := range []struct{ announce, want string }{
		{"", ""},
		{plan.AnnouncePrefix, anchor},
		{plan.AnnounceEndpoint, hostPart},
	} {
		t.Run(tt.announce, func(t *testing.T) {
			enter(t)
			before := observe(t)
			ledger := memory{}
			n := newNode(t, ledger)
			announced := web
			announced.Announce = tt.announce
			n.networks = []plan.Network{announced}
			n.pass(t)
			n.sync(t, box(0))
			if got := marked(t, "166"); got != tt.want {
				t.Errorf("routes of protocol 166:\n%s\nwant\n%s", got, tt.want)
			}
			if got := nettest.Run(t, "ip -6 route get 2001:db8::a:0:0:2"); !strings.Contains(got, "dev nd-web") {
				t.Errorf("the container is reached by %s", got)
			}
			serving := observe(t)

			t.Log("flushed")
			nettest.Run(t, "ip -6 route flush proto 166")
			n.pass(t)
			expectHost(t, serving)

			t.Log("another process, another protocol")
			same := newNode(t, ledger, func(c *reconcile.HostConfig) { c.RouteProtocol = 200 })
			same.networks = n.networks
			joined := box(0)
			joined.Joining = false
			same.endpoints[joined.ID] = joined
			same.pass(t)
			if got := marked(t, "166"); got != "" {
				t.Errorf("still there with protocol 166:\n%s", got)
			}
			if got := marked(t, "200"); got != tt.want {
				t.Errorf("routes of protocol 200:\n%s\nwant\n%s", got, tt.want)
			}
			nettest.Run(t, "ip -6 route add 2001:db8:8::/64 dev eth0 proto 200")
			same.pass(t)
			if got := marked(t, "200"); !strings.Contains(got, "2001:db8:8::/64") {
				t.Errorf("a route that somebody else made is gone; there are\n%s", got)
			}
			nettest.Run(t, "ip -6 route del 2001:db8:8::/64 dev eth0")

			t.Log("gone")
			same.stop(t)
			expectHost(t, before)
		})
	}
}

// T14 of the design: a host announces each of many addresses.
func TestManyAnnounced(t *testing.T) {
	const addresses, limit = 10_000, 20 * time.Second
	enter(t)
	n := newNode(t, memory{})
	announced := web
	announced.Announce = plan.AnnounceEndpoint
	begin := time.Now()
	crowdOn(t, n, announced, packed, addresses)
	took := time.Since(begin)
	routes := func() int { return strings.Count(marked(t, "166")+"\n", " metric ") }
	if got := routes(); got != addresses {
		t.Errorf("%d routes, want %d", got, addresses)
	}
	begin = time.Now()
	n.pass(t)
	next := time.Since(begin)
	begin = time.Now()
	left := packed.endpoint(7)
	left.Joined = false
	n.sync(t, left)
	t.Logf("%d addresses: first pass %s, next %s; one withdrawn after %s", addresses, took, next, time.Since(begin))
	if got := routes(); got != addresses-1 {
		t.Errorf("%d routes when a container left, want %d", got, addresses-1)
	}
	if took > limit {
		t.Errorf("%d addresses took %s, want %s at most", addresses, took, limit)
	}
	clear(n.endpoints)
	n.pass(t)
	if got := routes(); got != 0 {
		t.Errorf("%d routes for nobody", got)
	}
}

// An older ndp6 marked the routes to bridges, too.
func TestRoutesOfAnOlderProcess(t *testing.T) {
	enter(t)
	n := newNode(t, memory{})
	n.serve(t)
	serving := observe(t)
	nettest.Run(t, "ip -6 route replace 2001:db8:0:0:a::/80 dev nd-web proto 166 metric 1024", "ip route add 10.9.0.0/24 dev nd-web proto 166")
	n.pass(t)
	expectHost(t, serving)
}

// Where hosts share a pool, only addresses of this one lead to its bridge.
func TestSharedRoutes(t *testing.T) {
	enter(t)
	before := observe(t)
	n := newNode(t, memory{})
	shared := web
	shared.Shared = true
	n.networks = []plan.Network{shared}
	n.pass(t)
	n.sync(t, box(0))
	leadsTo := func() map[string]string {
		links := make(map[string]string)
		for _, addr := range []string{"2001:db8::a:0:0:2", "2001:db8::a:0:0:9"} {
			_, rest, _ := strings.Cut(nettest.Run(t, "ip -6 route get "+addr), " dev ")
			links[addr], _, _ = strings.Cut(rest, " ")
		}
		return links
	}
	want := map[string]string{"2001:db8::a:0:0:2": "nd-web", "2001:db8::a:0:0:9": "eth0"}
	if diff := cmp.Diff(want, leadsTo()); diff != "" {
		t.Errorf("the container here, and one elsewhere (-want +got):\n%s", diff)
	}
	serving := observe(t)
	n.pass(t)
	expectHost(t, serving)
	nettest.Run(t, "ip -6 route flush 2001:db8::a:0:0:2/128")
	n.pass(t)
	if diff := cmp.Diff(want, leadsTo()); diff != "" {
		t.Errorf("after a flush (-want +got):\n%s", diff)
	}
	expectHost(t, serving)
	n.stop(t)
	expectHost(t, before)
}
