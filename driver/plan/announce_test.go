package plan_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
)

// announcing is what a routing daemon would take of a host, and the addresses
// of its bridges, of which it makes connected routes.
func announcing(h plan.Host) string {
	routes := plan.NewHost()
	for _, o := range h.Objects {
		switch a := o.Object.(type) {
		case plan.Announced:
			routes.Add("", a)
		case plan.Address:
			if !plan.LinkLocal.Contains(a.Prefix.Addr()) {
				routes.Add("", a)
			}
		}
	}
	return routes.String()
}

func TestAnnounced(t *testing.T) {
	t.Parallel()
	dual := web
	dual.Pools = []plan.Pool{
		{Prefix: netip.MustParsePrefix("2001:db8:0:0:a::/80"), Gateway: netip.MustParseAddr("2001:db8:0:0:a::1")},
		{Prefix: netip.MustParsePrefix("10.6.0.0/24"), Gateway: netip.MustParseAddr("10.6.0.1")},
	}
	member := box
	member.Addrs = append(member.Addrs[:1:1], netip.MustParseAddr("10.6.0.2"))
	member.Stable = netip.MustParseAddr("2001:db8::a:5:0:9")
	twice := uplink(plan.Uplink{Name: "eth0", MTU: 1500, OnLink: prefixes("2001:db8::/64", "2001:db8:7::/64")}, "auto")
	const gateway4 = "addr 10.6.0.1/24 dev nd-web\n"
	for _, tt := range []struct {
		name     string
		announce string
		change   func(*plan.Network, *plan.Endpoint)
		up       plan.Uplinks
		want     string
	}{
		{name: "nothing", want: gateway4 + "addr 2001:db8::a:0:0:1/80 dev nd-web\n", up: eth0},
		{
			name: "prefix", announce: plan.AnnouncePrefix, up: eth0,
			want: gateway4 + "addr 2001:db8::a:0:0:1/128 dev nd-web\nroute unreachable 2001:db8:0:0:a::/80 metric 4096\n",
		},
		{
			name: "prefix without an uplink", announce: plan.AnnouncePrefix,
			want: gateway4 + "addr 2001:db8::a:0:0:1/128 dev nd-web\nroute unreachable 2001:db8:0:0:a::/80 metric 4096\n",
		},
		{
			name: "prefix and its twin", announce: plan.AnnouncePrefix, up: twice,
			change: func(n *plan.Network, _ *plan.Endpoint) { n.Follow = true },
			want: gateway4 + "addr 2001:db8::a:0:0:1/128 dev nd-web\n" +
				"route unreachable 2001:db8:0:0:a::/80 metric 4096\nroute unreachable 2001:db8:7:0:a::/80 metric 4096\n",
		},
		{
			name: "addresses", announce: plan.AnnounceEndpoint, up: eth0,
			want: gateway4 + "addr 2001:db8::a:0:0:1/128 dev nd-web\n" +
				"route 2001:db8::a:242:0:2/128 dev nd-web metric 4096\nroute 2001:db8::a:5:0:9/128 dev nd-web metric 4096\n",
		},
		{
			name: "addresses, one of which another host has", announce: plan.AnnounceEndpoint, up: eth0,
			change: func(_ *plan.Network, e *plan.Endpoint) { e.Withdrawn = e.Addrs[:1] },
			want:   gateway4 + "addr 2001:db8::a:0:0:1/128 dev nd-web\nroute 2001:db8::a:5:0:9/128 dev nd-web metric 4096\n",
		},
		{
			name: "addresses of a container that left", announce: plan.AnnounceEndpoint, up: eth0,
			change: func(_ *plan.Network, e *plan.Endpoint) { e.Joined = false },
			want:   gateway4 + "addr 2001:db8::a:0:0:1/128 dev nd-web\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, e := dual, member
			n.Announce = tt.announce
			if tt.change != nil {
				tt.change(&n, &e)
			}
			host := records{networks: []plan.Network{n}, endpoints: []plan.Endpoint{e}, up: tt.up}.plan()
			if diff := cmp.Diff(tt.want, announcing(host)); diff != "" {
				t.Errorf("announced (-want +got):\n%s", diff)
			}
		})
	}
}

// The router must not send any more before the way to the container goes.
func TestAnnouncedLastAndWithdrawnFirst(t *testing.T) {
	t.Parallel()
	n := web
	n.Announce = plan.AnnounceEndpoint
	with := records{networks: []plan.Network{n}, up: eth0}
	const address = "route 2001:db8::a:242:0:2/128 dev nd-web metric 4096"
	ops := plan.Diff(with.plan(), with.with(joining(box)).plan())
	if got := ops[len(ops)-1].String(); got != "add "+address {
		t.Errorf("%q comes last of%s", got, text(ops))
	}
	ops = plan.Diff(with.with(box).plan(), with.plan())
	if got := ops[0].String(); got != "del "+address {
		t.Errorf("%q comes first of%s", got, text(ops))
	}
}
