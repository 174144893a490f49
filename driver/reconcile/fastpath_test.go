package reconcile_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/fastpath"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// serveFast makes a network with the fast path, and an endpoint that publishes
// a port.
func (n *node) serveFast(t *testing.T) plan.Endpoint {
	t.Helper()
	if err := fastpath.Available(); err != nil {
		nettest.Unavailable(t, err.Error())
	}
	n.serve(t)
	fast := web
	fast.FastPath, fast.Mode = true, plan.Routed
	n.networks = []plan.Network{fast}
	n.pass(t)
	e := n.endpoints[box(0).ID]
	e.Published = []firewall.Published{{Proto: 6, Port: 80, HostAddr: netip.IPv6Unspecified(), Direct: true}}
	n.sync(t, e)
	return e
}

// filters are those of the fast path on the links of these names.
func filters(t *testing.T, links ...string) string {
	t.Helper()
	var missing []string
	for _, link := range links {
		if !strings.Contains(nettest.Run(t, "tc filter show dev "+link+" ingress"), "ndp6_fast") {
			missing = append(missing, "none on "+link)
		}
	}
	return strings.Join(missing, ", ")
}

// TestFastPathRepaired: whatever takes it from a link, or the link from the
// host, it is there again.
func TestFastPathRepaired(t *testing.T) {
	port := box(0).HostSide()
	ofPort := mishap{"qdisc of the port removed", "eth0", []string{"tc qdisc del dev " + port + " clsact", "tc qdisc del dev eth0 clsact"}}
	for _, h := range append(mishaps(), ofPort) {
		t.Run(h.name, func(t *testing.T) {
			enter(t)
			n := newNode(t, memory{})
			n.serveFast(t)
			t.Cleanup(n.run(t))
			n.damage(t, h.damage...)
			repaired(t, time.Now(), func() string { return filters(t, h.link, port) })
			n.rest(t)
			if problems := n.Problems(); len(problems) > 0 {
				t.Errorf("problems: %v", problems)
			}
		})
	}
}

// TestFastPathForgotten: nothing of it is left with the last network, nor once
// the endpoint publishes nothing, nor what a dead process left.
func TestFastPathForgotten(t *testing.T) {
	enter(t)
	before := append(observe(t), ingress(t))
	ledger := memory{}
	n := newNode(t, ledger)
	e := n.serveFast(t)
	port := e.HostSide()
	if missing := filters(t, "eth0", port); missing != "" {
		t.Fatal(missing)
	}
	if got := nettest.Run(t, "bridge fdb show dev "+port); !strings.Contains(got, e.MAC.String()+" master "+web.Bridge+" static") {
		t.Errorf("the bridge may forget where the container is:\n%s", got)
	}
	e.Published = nil
	n.sync(t, e)
	if got := nettest.Run(t, "tc qdisc show dev "+port); strings.Contains(got, "clsact") {
		t.Errorf("left on the port:\n%s", got)
	}
	n.serveFast(t)

	next := newNode(t, ledger)
	next.networks, next.endpoints = []plan.Network{web}, n.endpoints // without the fast path
	next.pass(t)
	if got := nettest.Run(t, "tc filter show dev eth0 ingress", "tc filter show dev "+port+" ingress"); got != "" {
		t.Errorf("left by a dead process:\n%s", got)
	}
	next.stop(t)
	if diff := cmp.Diff(before, append(observe(t), ingress(t))); diff != "" {
		t.Errorf("host (-before +after):\n%s", diff)
	}
}
