package plan_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
)

func TestModes(t *testing.T) {
	prefix := netip.MustParsePrefix
	local := web
	local.Pools = []plan.Pool{{Prefix: prefix("fd00:0:0:1:a::/80"), Gateway: fe80}}
	inside := box
	inside.Addrs = []netip.Addr{netip.MustParseAddr("fd00:0:0:1:a:242:0:2")}
	two := uplink(plan.Uplink{Name: "eth0", MTU: 1500, OnLink: prefixes("2001:db8:7::/64", "2001:db8::/64", "fd00:5::/64", "2001:db8:7:0:8::/80")}, "auto")
	for _, tt := range []struct {
		name      string
		to        plan.Mode
		change    func(*plan.Network)
		withdrawn string
		up        plan.Uplinks
		proxies   string
		nat       bool
		outside   []string // of the pool
	}{
		{name: "records without a mode", up: eth0},
		{name: "nat", to: plan.NAT, up: eth0, nat: true},
		{name: "routed by hand", to: plan.Routed, up: eth0},
		{
			name: "known to neighbors", to: plan.Routed, up: eth0, change: func(n *plan.Network) { n.NDP = plan.NDPOn },
			proxies: "neigh proxy fd00::1:a:242:0:2 dev eth0\n",
		},
		{
			name: "translated", to: plan.NPTv6, up: eth0, outside: []string{"2001:db8:0:0:a::/80"},
			proxies: "neigh proxy 2001:db8::a:242:0:2 dev eth0\n",
		},
		{
			name: "two prefixes, the current one first", to: plan.NPTv6, up: two, outside: []string{"2001:db8:7:0:a::/80", "2001:db8:0:0:a::/80"},
			proxies: "neigh proxy 2001:db8:7:0:a:242:0:2 dev eth0\nneigh proxy 2001:db8::a:242:0:2 dev eth0\n",
		},
		{
			name: "one of them is another host's", to: plan.NPTv6, up: two, withdrawn: "2001:db8::a:242:0:2", outside: []string{"2001:db8:7:0:a::/80", "2001:db8:0:0:a::/80"},
			proxies: "neigh proxy 2001:db8:7:0:a:242:0:2 dev eth0\n",
		},
		{name: "translated without a prefix", to: plan.NPTv6, up: uplink(plan.Uplink{Name: "eth0", MTU: 1500}, "auto")},
		{name: "translated without an uplink", to: plan.NPTv6},
		{
			name: "fixed, routed to the host", to: plan.NPTv6, up: eth0, outside: []string{"2001:db8:f:0:a::/80"},
			change: func(n *plan.Network) { n.Outside = prefix("2001:db8:f:0:a::/80") },
		},
		{
			name: "fixed, on the link", to: plan.NPTv6, up: eth0, outside: []string{"2001:db8:0:0:f::/80"},
			change:  func(n *plan.Network) { n.Outside = prefix("2001:db8:0:0:f::/80") },
			proxies: "neigh proxy 2001:db8::f:242:0:2 dev eth0\n",
		},
		{
			name: "without entries", to: plan.NPTv6, up: eth0, outside: []string{"2001:db8:0:0:a::/80"},
			change: func(n *plan.Network) { n.NDP = plan.NDPOff },
		},
		{name: "internal", to: plan.NPTv6, up: eth0, change: func(n *plan.Network) { n.Internal = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, e := local, inside
			n.Mode = tt.to
			if tt.change != nil {
				tt.change(&n)
			}
			if tt.withdrawn != "" {
				e.Withdrawn = []netip.Addr{netip.MustParseAddr(tt.withdrawn)}
			}
			host := records{networks: []plan.Network{n}, endpoints: []plan.Endpoint{e}, up: tt.up}.plan()
			var proxies, rest string
			for _, o := range host.Objects {
				if p, ok := o.Object.(plan.Proxy); ok {
					proxies += p.String() + "\n"
				} else if s, ok := o.Object.(plan.Sysctl); ok && s.Key().Name == "net/ipv6/conf/all/proxy_ndp" {
					rest = s.String()
				}
			}
			if diff := cmp.Diff(lines(tt.proxies), lines(proxies)); diff != "" {
				t.Errorf("proxy entries (-want +got):\n%s", diff)
			}
			if (rest != "") != (tt.proxies != "") {
				t.Errorf("entries %q, setting %q", proxies, rest)
			}
			var want []firewall.Translation
			for _, outside := range tt.outside {
				want = append(want, firewall.Translation{Inside: n.Pools[0].Prefix, Outside: prefix(outside)})
			}
			got := host.Policy.Networks[0]
			if diff := cmp.Diff(want, got.Translations, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" || got.NAT6 != (tt.nat || tt.to == plan.NPTv6 && !n.Internal) {
				t.Errorf("NAT6 %t, want %t; translations (-want +got):\n%s", got.NAT6, tt.nat, diff)
			}
		})
	}
}

// An isolated network's bridge has nothing of the host.
func TestIsolatedMode(t *testing.T) {
	n := web
	n.Internal, n.Mode = true, plan.Isolated
	if got := plan.ForNetwork(n, eth0); len(got.Objects) != 1 {
		t.Errorf("holds more than the bridge:\n%s", got)
	}
}

// lines are those of s, sorted.
func lines(s string) []string { return slices.Sorted(strings.Lines(s)) }
