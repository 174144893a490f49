package reconcile_test

import (
	"strings"
	"testing"

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
