package plan_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
)

// placed is box after Docker moved its link into the sandbox.
func placed(e plan.Endpoint) plan.Endpoint {
	e.Placed, e.Sandbox = true, "/run/docker/netns/box"
	return e
}

// following is a network that follows its uplink.
func following(n plan.Network) plan.Network {
	n.Follow = true
	return n
}

func on(u plan.Uplink) plan.Uplinks {
	u.Name, u.MTU = "eth0", 1500
	return uplink(u, "auto")
}

// renumbering are the stages in which a provider changes a prefix.
var (
	before = on(plan.Uplink{OnLink: prefixes("2001:db8::/64")})
	during = on(plan.Uplink{OnLink: prefixes("2001:db8::/64", "2001:db8:1::/64"), Deprecated: prefixes("2001:db8::/64")})
	after  = on(plan.Uplink{OnLink: prefixes("2001:db8:1::/64")})
	flap   = on(plan.Uplink{})
)

func TestInside(t *testing.T) {
	t.Parallel()
	follow := records{networks: []plan.Network{following(web)}, up: before}
	stable := placed(box)
	stable.Stable = netip.MustParseAddr("2001:db8::a:5:5:5")
	stable.Published = []firewall.Published{{Proto: 6, Port: 80, Direct: true, HostAddr: netip.IPv6Unspecified()}}
	closed := stable
	closed.Stable = netip.Addr{}
	dual := following(web)
	dual.Pools = append(slices.Clone(dual.Pools), plan.Pool{Prefix: netip.MustParsePrefix("10.6.0.0/24"), Gateway: netip.MustParseAddr("10.6.0.1")})
	dualBox := placed(box)
	dualBox.Addrs = append(slices.Clone(dualBox.Addrs), netip.MustParseAddr("10.6.0.2"))

	tests := []struct {
		name       string
		have, want plan.Host
		ops        string
	}{
		{
			name: "stable address: neighbor and rules first, then inside, then the proxy entry",
			have: onWeb.with(closed).plan(),
			want: onWeb.with(stable).plan(),
			ops: `
add neigh 2001:db8::a:5:5:5 lladdr 02:42:00:00:00:02 dev nd-web
set rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2 addr 2001:db8::a:5:5:5 publish ::->80/tcp direct
add addr 2001:db8::a:5:5:5/80 dev 02:42:00:00:00:02 netns /run/docker/netns/box
add neigh proxy 2001:db8::a:5:5:5 dev eth0
`,
		},
		{
			name: "link is placed: nothing but what Docker set",
			have: onWeb.with(box).plan(),
			want: onWeb.with(placed(box)).plan(),
		},
		{
			name: "prefix deprecated: a twin in the new one",
			have: at(before, follow.with(placed(box))),
			want: at(during, follow.with(placed(box))),
			ops: `
add route 2001:db8:1:0:a::/80 dev nd-web
add neigh 2001:db8:1:0:a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
set rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2 addr 2001:db8:1:0:a:242:0:2
add addr 2001:db8:1:0:a:242:0:2/80 dev 02:42:00:00:00:02 netns /run/docker/netns/box
set addr 2001:db8::a:242:0:2/80 dev 02:42:00:00:00:02 netns /run/docker/netns/box preferred_lft 0
add neigh proxy 2001:db8:1:0:a:242:0:2 dev eth0
`,
		},
		{
			name: "old prefix gone: its address stays, and is not answered for",
			have: at(during, follow.with(placed(box))),
			want: at(after, follow.with(placed(box))),
			ops: `
del neigh proxy 2001:db8::a:242:0:2 dev eth0
`,
		},
		{
			name: "old prefix back",
			have: at(after, follow.with(placed(box))),
			want: at(before, follow.with(placed(box))),
			ops: `
set rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2
set addr 2001:db8::a:242:0:2/80 dev 02:42:00:00:00:02 netns /run/docker/netns/box
add neigh proxy 2001:db8::a:242:0:2 dev eth0
del neigh proxy 2001:db8:1:0:a:242:0:2 dev eth0
del addr 2001:db8:1:0:a:242:0:2/80 dev 02:42:00:00:00:02 netns /run/docker/netns/box
del neigh 2001:db8:1:0:a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
del route 2001:db8:1:0:a::/80 dev nd-web
`,
		},
		{
			name: "uplink without prefixes: nothing is deprecated",
			have: without(at(before, follow.with(placed(box))), "proxy", "eth0."),
			want: without(at(flap, follow.with(placed(box))), "proxy", "eth0."),
		},
		{
			name: "not placed: no twin yet",
			have: at(during, follow),
			want: at(during, follow.with(joining(box))),
			ops: `
add neigh 2001:db8::a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
add rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2
add veth ndh-box master nd-web mtu 1500 up
add neigh proxy 2001:db8::a:242:0:2 dev eth0
`,
		},
		{
			name: "IPv4 has no twins",
			have: at(during, records{networks: []plan.Network{dual}}.with(dualBox)),
			want: at(before, records{networks: []plan.Network{dual}}.with(dualBox)),
			ops: `
set rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2 addr 10.6.0.2
set addr 2001:db8::a:242:0:2/80 dev 02:42:00:00:00:02 netns /run/docker/netns/box
del neigh proxy 2001:db8:1:0:a:242:0:2 dev eth0
del addr 2001:db8:1:0:a:242:0:2/80 dev 02:42:00:00:00:02 netns /run/docker/netns/box
del neigh 2001:db8:1:0:a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
del route 2001:db8:1:0:a::/80 dev nd-web
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.ops, text(plan.Diff(tt.have, tt.want))); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	address := func(p string, o plan.Origin, deprecated bool) plan.EndpointAddress {
		return plan.EndpointAddress{Prefix: netip.MustParsePrefix(p), Origin: o, Deprecated: deprecated}
	}
	stable := placed(box)
	stable.Stable = netip.MustParseAddr("2001:db8::a:5:5:5")
	internal := following(web)
	internal.Internal = true
	local := following(web)
	local.Pools = []plan.Pool{{Prefix: netip.MustParsePrefix("fd00:0:0:0:a::/80")}}
	localBox := placed(box)
	localBox.Addrs = []netip.Addr{netip.MustParseAddr("fd00::a:0:0:2")}
	given, first := address("2001:db8::a:242:0:2/80", plan.Given, false), address("2001:db8::a:5:5:5/80", plan.Stable, false)
	old, twin := given, address("2001:db8:1:0:a:242:0:2/80", plan.Twin, false)
	old.Deprecated = true
	several := on(plan.Uplink{
		OnLink:     prefixes("2001:db8:1::/64", "2001:db8:2:300::/56", "2001:db8:3::/96", "2001:db8:4::/64", "fd00:1::/64"),
		Deprecated: prefixes("2001:db8:1::/64"),
	})
	several.Lent = prefixes("2001:db8::/80", "2001:db8:4:0:a::/80")

	tests := []struct {
		name    string
		network plan.Network
		box     plan.Endpoint
		up      plan.Uplinks
		want    []plan.EndpointAddress
	}{
		{"before", following(web), placed(box), before, []plan.EndpointAddress{given}},
		{"during", following(web), placed(box), during, []plan.EndpointAddress{old, twin}},
		{"after", following(web), placed(box), after, []plan.EndpointAddress{old, twin}},
		{"no prefix", following(web), placed(box), flap, []plan.EndpointAddress{given}},
		{"no uplink", following(web), placed(box), plan.Uplinks{}, []plan.EndpointAddress{given}},
		{"not following", web, stable, during, []plan.EndpointAddress{given, first}},
		{"internal", internal, stable, during, []plan.EndpointAddress{given, first}},
		{"unique local", local, localBox, during, []plan.EndpointAddress{address("fd00::a:0:0:2/80", plan.Given, false)}},
		{
			"stable", following(web), stable, after,
			[]plan.EndpointAddress{
				old, address("2001:db8::a:5:5:5/80", plan.Stable, true),
				twin, address("2001:db8:1:0:a:5:5:5/80", plan.Twin, false),
			},
		},
		{
			"prefixes that are long, unique local, or hold another network's pool", following(web), placed(box), several,
			[]plan.EndpointAddress{
				old, address("2001:db8:1:0:a:242:0:2/80", plan.Twin, true), address("2001:db8:2:300:a:242:0:2/80", plan.Twin, false),
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := plan.Addresses(tt.network, tt.box, tt.up)
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("Addresses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRenumbered(t *testing.T) {
	t.Parallel()
	was := web
	was.OnLink = netip.MustParsePrefix("2001:db8::/64")
	internal := was
	internal.Internal = true
	tests := []struct {
		name    string
		network plan.Network
		up      plan.Uplinks
		want    bool
	}{
		{"still there", was, before, false},
		{"deprecated", was, during, true},
		{"gone", was, after, true},
		{"no prefix for a while", was, flap, false},
		{"no uplink for a while", was, plan.Uplinks{}, false},
		{"follows", following(was), after, false},
		{"internal", internal, after, false},
		{"was never on the link", web, after, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pool, got := plan.Renumbered(tt.network, tt.up)
			if got != tt.want || got && pool != web.Pools[0].Prefix {
				t.Errorf("Renumbered = %s, %t, want %t", pool, got, tt.want)
			}
		})
	}
}
