package uplink_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// lone is a host whose eth0 has these addresses, each with its on-link route,
// and more addresses and routes.
func lone(addresses []kernel.Address, routes ...kernel.Route) uplink.Snapshot {
	s := uplink.Snapshot{
		Links: []kernel.Link{
			{Index: 1, Name: "lo"},
			{Index: 2, Name: "eth0"},
			{Index: 3, Name: "lan0"},
			{Index: 4, Name: "dummy0", Kind: "dummy"},
			{Index: 5, Name: "nd-web", Kind: "bridge", Alias: "ndp6:network:web"},
		},
		Addresses: addresses, Routes: routes,
	}
	for _, a := range addresses {
		s.Routes = append(s.Routes, route(a.Prefix.Masked().String(), a.Link))
	}
	return s
}

func deprecated(prefix string) kernel.Address {
	a := address("eth0", prefix)
	a.Deprecated = true
	return a
}

func temporary(prefix string) kernel.Address {
	a := address("eth0", prefix)
	a.Temporary = true
	return a
}

func dead(typ int, dst string) kernel.Route {
	r := route(dst, "")
	r.Type = typ
	return r
}

// TestPrefixes has what a host says of its prefixes, addresses in the kernel's order.
func TestPrefixes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                       string
		on                         uplink.Snapshot
		onLink, deprecated, routed []string
	}{
		{name: "nothing global", on: lone([]kernel.Address{address("eth0", "fe80::5/64")})},
		{name: "single address", on: lone([]kernel.Address{address("eth0", "2001:db8::5/128")})},
		{
			name:   "newest first",
			on:     lone([]kernel.Address{address("eth0", "2001:db8:2::5/64"), address("eth0", "2001:db8:1::5/64")}),
			onLink: []string{"2001:db8:2::/64", "2001:db8:1::/64"},
		},
		{
			name: "temporary addresses count for nothing",
			on: lone([]kernel.Address{
				temporary("2001:db8:1::99/64"), address("eth0", "2001:db8:2::5/64"), address("eth0", "2001:db8:1::5/64"),
			}),
			onLink: []string{"2001:db8:2::/64", "2001:db8:1::/64"},
		},
		{
			name: "deprecated last",
			on: lone([]kernel.Address{deprecated("2001:db8:3::5/64"), address("eth0", "2001:db8:1::5/64")},
				route("2001:db8:5::/64", "eth0"), route("2001:db8:4::/60", "eth0")),
			onLink:     []string{"2001:db8:1::/64", "2001:db8:4::/60", "2001:db8:5::/64", "2001:db8:3::/64"},
			deprecated: []string{"2001:db8:3::/64"},
		},
		{
			name:   "deprecated and not",
			on:     lone([]kernel.Address{deprecated("2001:db8:1::9/64"), address("eth0", "2001:db8:1::5/64")}),
			onLink: []string{"2001:db8:1::/64"},
		},
		{
			name:   "address of another length, as DHCPv6 gives",
			on:     lone([]kernel.Address{address("eth0", "2001:db8:2::5/128")}, route("2001:db8:1::/64", "eth0"), route("2001:db8:2::/64", "eth0")),
			onLink: []string{"2001:db8:2::/64", "2001:db8:1::/64"},
		},
		{
			name: "delegated",
			on: lone(nil, dead(kernel.Unreachable, "2001:db8:3::/64"), dead(kernel.Blackhole, "2001:db8:2::/56"), dead(kernel.Prohibit, "2001:db8:1::/56"),
				route("2001:db8:1:5::/64", "lan0")),
			routed: []string{"2001:db8:1::/56", "2001:db8:2::/56", "2001:db8:3::/64"},
		},
		{
			name: "dead routes that delegate nothing",
			on: lone(nil, dead(kernel.Unreachable, "2002:a00::/24"), dead(kernel.Unreachable, "2001:db8::/32"), dead(kernel.Blackhole, "2001:db8:1::/122"),
				dead(kernel.Blackhole, "fd00:1::/48"), dead(kernel.Unreachable, "::/0"), dead(kernel.Blackhole, "10.0.0.0/8")),
		},
		{
			name:   "addresses on links that lead nowhere",
			on:     lone([]kernel.Address{address("lo", "::1/128"), address("lo", "2001:db8:1::1/64"), address("dummy0", "2001:db8:2::1/124"), address("dummy0", "2001:db8:3::1/128")}),
			routed: []string{"2001:db8:1::/64", "2001:db8:2::/124"},
		},
		{
			name: "delegated, and given to a LAN as a whole",
			on:   lone([]kernel.Address{address("lan0", "2001:db8:1::1/64")}, dead(kernel.Unreachable, "2001:db8:1::/64")),
		},
		{
			name:   "on the uplink as well",
			on:     lone([]kernel.Address{address("eth0", "2001:db8::5/64"), address("dummy0", "2001:db8::7/96")}),
			onLink: []string{"2001:db8::/64"},
		},
		{
			name:   "inside what a router leads to",
			on:     lone(nil, dead(kernel.Unreachable, "2001:db8:1::/56"), via("2000::/3", "fe80::9", "eth0", 1024, 0), route("2001:db8:1:0:a::/80", "nd-web")),
			routed: []string{"2001:db8:1::/56"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.on.Choose("eth0")
			if err != nil {
				t.Fatal(err)
			}
			want := uplink.Uplink{
				Name: "eth0", Index: 2, Source: got.Source,
				OnLink: prefixes(tt.onLink...), Deprecated: prefixes(tt.deprecated...), Routed: prefixes(tt.routed...),
			}
			if diff := cmp.Diff(want, got, byValue...); diff != "" {
				t.Errorf("uplink (-want +got):\n%s", diff)
			}
		})
	}
}
