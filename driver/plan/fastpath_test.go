package plan_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
)

// Only what is the same inside and outside, and answered where it was asked,
// goes around the kernel.
func TestFastPath(t *testing.T) {
	t.Parallel()
	own := func(proto uint8, port uint16) firewall.Published {
		return firewall.Published{Proto: proto, Port: port, HostAddr: netip.IPv6Unspecified(), Direct: true}
	}
	at := func(p firewall.Published, host string, port uint16) firewall.Published {
		p.HostAddr, p.HostPort = netip.MustParseAddr(host), port
		return p
	}
	for _, tt := range []struct {
		name   string
		change func(n *plan.Network, e *plan.Endpoint)
		want   string // after the port, bridge and MACs; empty: nothing
	}{
		{name: "published", want: "addr 2001:db8::a:242:0:2 80/tcp 53/udp", change: func(*plan.Network, *plan.Endpoint) {}},
		{name: "not asked for", change: func(n *plan.Network, _ *plan.Endpoint) { n.FastPath = false }},
		{name: "translated", change: func(n *plan.Network, _ *plan.Endpoint) { n.Mode = plan.NPTv6 }},
		{name: "internal", change: func(n *plan.Network, _ *plan.Endpoint) { n.Internal = true }},
		{name: "nothing published", change: func(_ *plan.Network, e *plan.Endpoint) { e.Published = nil }},
		{name: "left", change: func(_ *plan.Network, e *plan.Endpoint) { e.Joined = false }},
		{name: "on another network", change: func(_ *plan.Network, e *plan.Endpoint) {
			e.Elsewhere = []netip.Addr{netip.MustParseAddr("2001:db8:9::2")}
		}},
		{name: "another host has the address", change: func(_ *plan.Network, e *plan.Endpoint) { e.Withdrawn = e.Addrs }},
		{
			name: "on another network for IPv4", want: "addr 2001:db8::a:242:0:2 80/tcp 53/udp",
			change: func(_ *plan.Network, e *plan.Endpoint) { e.Elsewhere = []netip.Addr{netip.MustParseAddr("172.17.0.2")} },
		},
		{
			name: "from a port of the host, too", want: "addr 2001:db8::a:242:0:2 53/udp",
			change: func(_ *plan.Network, e *plan.Endpoint) { e.Published[0] = at(e.Published[0], "::", 8080) },
		},
		{
			name: "twice, once from a port of the host", want: "addr 2001:db8::a:242:0:2 53/udp",
			change: func(_ *plan.Network, e *plan.Endpoint) {
				e.Published = append(e.Published, firewall.Published{Proto: 6, Port: 80, HostAddr: netip.MustParseAddr("2001:db8::5"), HostPort: 8080})
			},
		},
		{
			name: "from loopback and IPv4 ports of the host", want: "addr 2001:db8::a:242:0:2 80/tcp 53/udp",
			change: func(_ *plan.Network, e *plan.Endpoint) {
				private := firewall.Published{Proto: 6, Port: 80}
				e.Published = append(e.Published, at(private, "::1", 8080), at(private, "0.0.0.0", 8080))
			},
		},
		{
			name: "what is neither TCP nor UDP", want: "addr 2001:db8::a:242:0:2 80/tcp",
			change: func(_ *plan.Network, e *plan.Endpoint) { e.Published[1].Proto = 132 },
		},
		{
			name: "stable address", want: "addr 2001:db8::a:242:0:2 addr 2001:db8::a:0:0:5 80/tcp 53/udp",
			change: func(_ *plan.Network, e *plan.Endpoint) { e.Stable = netip.MustParseAddr("2001:db8::a:0:0:5") },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, e := web, box
			n.FastPath, n.Mode = true, plan.Routed
			e.Published = []firewall.Published{own(6, 80), own(17, 53)}
			e.Addrs = slices.Clone(e.Addrs)
			tt.change(&n, &e)
			host := plan.ForEndpoint(n, e, eth0)
			want := ""
			if tt.want != "" {
				want = "fastpath port ndh-box bridge nd-web mac " + e.MAC.String() + " via " + n.MAC().String() + " " + tt.want
			}
			got := ""
			if o, ok := host.Objects[plan.Key{Kind: plan.KindFastPort, Name: e.ID}]; ok {
				got = o.String()
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("fast path (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFastLinks(t *testing.T) {
	t.Parallel()
	fast, other := web, web
	fast.FastPath, fast.Mode = true, plan.Routed
	other.ID, other.Bridge, other.Uplink = "db", "nd-db", "wan0"
	other.Pools = []plan.Pool{{Prefix: netip.MustParsePrefix("2001:db8:0:0:9::/80"), Gateway: fe80}, {Prefix: netip.MustParsePrefix("10.6.0.0/24")}}
	up := uplink(plan.Uplink{Name: "eth0", MTU: 1500}, "auto")
	up.For["wan0"] = plan.Uplink{Name: "wan0"}
	var got []string
	for _, o := range plan.Shared([]plan.Network{other, fast}, up).Objects {
		if o.Key().Kind == plan.KindFastLink {
			got = append(got, o.String())
		}
	}
	if want := []string{"fastpath dev eth0 pool 2001:db8:0:0:9::/80 pool 2001:db8:0:0:a::/80"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
