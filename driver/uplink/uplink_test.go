package uplink_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

var byValue = []cmp.Option{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

func prefixes(texts ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, text := range texts {
		ps = append(ps, netip.MustParsePrefix(text))
	}
	return ps
}

func address(link, prefix string) kernel.Address {
	return kernel.Address{Link: link, Prefix: netip.MustParsePrefix(prefix)}
}

func route(dst, link string) kernel.Route {
	return kernel.Route{Dst: netip.MustParsePrefix(dst), Link: link, Table: kernel.MainTable, Type: kernel.Unicast}
}

// via returns a route through a router.
func via(dst, router, link string, metric, protocol int) kernel.Route {
	r := route(dst, link)
	r.Via, r.Metric, r.Protocol = netip.MustParseAddr(router), metric, protocol
	return r
}

// office is a host with a wired uplink, a spare one, and a network of ours.
func office() uplink.Snapshot {
	return uplink.Snapshot{
		Links: []kernel.Link{
			{Index: 1, Name: "lo", MTU: 65536},
			{Index: 2, Name: "eth0", MAC: inet.MAC{2, 0x42, 0, 0, 0, 1}, MTU: 1500},
			{Index: 3, Name: "eth1", MTU: 9000},
			{Index: 4, Name: "nd-web", Kind: "bridge", Alias: "ndp6:network:web", MTU: 1500},
			{Index: 5, Name: "ndh-box", Kind: "veth", Alias: "ndp6:endpoint:box", MTU: 1500},
			{Index: 6, Name: "veth1", Kind: "veth", MTU: 1500},
		},
		Addresses: []kernel.Address{
			address("lo", "::1/128"),
			address("lo", "127.0.0.1/8"),
			address("eth0", "2001:db8::5/64"),
			address("eth0", "fe80::5/64"),
			address("eth0", "192.0.2.5/24"),
			address("eth1", "2001:db8:1::5/64"),
			address("nd-web", "fe80::1/64"),
			address("nd-web", "2001:db8:0:0:a::1/80"),
		},
		Routes: []kernel.Route{
			via("::/0", "fe80::99", "eth1", 2048, kernel.ProtocolRA),
			via("::/0", "fe80::9", "eth0", 1024, kernel.ProtocolRA),
			via("0.0.0.0/0", "192.0.2.1", "eth1", 1, 0),
			route("2001:db8::/64", "eth0"),
			route("fd00:1::/64", "eth0"),
			route("2001:db8::/64", "eth0"), // with another metric
			route("2001:db8:9::9/128", "eth0"),
			via("2001:db8:2::/48", "fe80::9", "eth0", 1024, 0),
			route("fe80::/64", "eth0"),
			route("ff00::/8", "eth0"),
			route("192.0.2.0/24", "eth0"),
			route("2001:db8:1::/64", "eth1"),
			{Dst: netip.MustParsePrefix("2001:db8:0:0:a::/80"), Link: "nd-web", Protocol: 166},
			{Dst: netip.MustParsePrefix("2001:db8:0:0:b::/80"), Link: "eth0", Protocol: 166},
			{Dst: netip.MustParsePrefix("2001:db8:3::/48"), Type: kernel.Unreachable},
		},
	}
}

// change returns a changed office.
func change(f func(*uplink.Snapshot)) uplink.Snapshot {
	s := office()
	f(&s)
	return s
}

// Shows RFC 4191 3.1 (preference).
func TestChoose(t *testing.T) {
	t.Parallel()
	eth0 := uplink.Uplink{
		Name: "eth0", Index: 2, MAC: inet.MAC{2, 0x42, 0, 0, 0, 1}, MTU: 1500,
		OnLink: prefixes("2001:db8::/64", "fd00:1::/64", "2001:db8:0:0:b::/80"),
		Routed: prefixes("2001:db8:3::/48"),
		Source: netip.MustParseAddr("fe80::5"),
	}
	eth1 := uplink.Uplink{
		Name: "eth1", Index: 3, MTU: 9000,
		OnLink: prefixes("2001:db8:1::/64"),
		Routed: prefixes("2001:db8:3::/48"),
		Source: netip.MustParseAddr("2001:db8:1::5"),
	}
	tentative := eth0
	tentative.Source = netip.MustParseAddr("2001:db8::5")

	tests := []struct {
		name string
		on   uplink.Snapshot
		spec string
		want uplink.Uplink
		err  string
	}{
		{name: "auto takes the lowest metric", on: office(), spec: "auto", want: eth0},
		{name: "by name", on: office(), spec: "eth1", want: eth1},
		{
			name: "auto follows the default route", spec: "auto", want: eth1,
			on: change(func(s *uplink.Snapshot) { s.Routes[1].Metric = 4096 }),
		},
		{
			name: "routes of one metric: the router's preference", spec: "auto", want: eth1,
			on: change(func(s *uplink.Snapshot) { s.Routes[0].Metric, s.Routes[0].Preference = 1024, 1 }),
		},
		{
			name: "routes of one metric and preference: the lower index", spec: "auto", want: eth0,
			on: change(func(s *uplink.Snapshot) { s.Routes[0].Metric = 1024 }),
		},
		{
			name: "link-local address is tentative", spec: "eth0", want: tentative,
			on: change(func(s *uplink.Snapshot) { s.Addresses[3].Tentative = true }),
		},
		{
			name: "no address", spec: "veth1", on: office(),
			want: uplink.Uplink{Name: "veth1", Index: 6, MTU: 1500, Routed: prefixes("2001:db8:3::/48")},
		},
		{
			name: "no default route", spec: "auto",
			on:  change(func(s *uplink.Snapshot) { s.Routes = s.Routes[2:] }),
			err: "the host has no IPv6 default route: wait for a router advertisement, or name the link with -o ndp6.uplink=NAME: no such uplink",
		},
		{
			name: "default route leads nowhere", spec: "auto",
			on: change(func(s *uplink.Snapshot) {
				s.Routes = []kernel.Route{route("::/0", "lo"), {Dst: netip.MustParsePrefix("::/0"), Type: kernel.Unreachable}}
			}),
			err: "the host has no IPv6 default route: wait for a router advertisement, or name the link with -o ndp6.uplink=NAME: no such uplink",
		},
		{
			name: "missing", on: office(), spec: "eth7",
			err: `uplink "eth7" does not exist: use one of auto, eth0, eth1: no such uplink`,
		},
		{
			name: "missing in a laboratory", spec: "eth7",
			on:  change(func(s *uplink.Snapshot) { s.Links = append(s.Links[:1:1], s.Links[3:]...) }),
			err: `uplink "eth7" does not exist: use one of auto, veth1: no such uplink`,
		},
		{
			name: "loopback", on: office(), spec: "lo",
			err: `uplink "lo" leads to no router: use one of auto, eth0, eth1: no such uplink`,
		},
		{
			name: "a network's own bridge", on: office(), spec: "nd-web",
			err: `uplink "nd-web" leads to no router: use one of auto, eth0, eth1: no such uplink`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.on.Choose(tt.spec)
			if diff := cmp.Diff(tt.want, got, byValue...); diff != "" {
				t.Errorf("uplink (-want +got):\n%s", diff)
			}
			if tt.err != "" {
				if err == nil || err.Error() != tt.err || !errors.Is(err, uplink.ErrNotFound) {
					t.Errorf("error %v, want %s", err, tt.err)
				}
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRALinks(t *testing.T) {
	t.Parallel()
	s := change(func(s *uplink.Snapshot) {
		s.Addresses[5].Protocol = kernel.AddressByRA // of eth1
		s.Routes = s.Routes[1:]
		s.Routes = append(s.Routes, via("::/0", "fe80::8", "eth0", 1024, kernel.ProtocolRA), via("::/0", "fe80::7", "veth1", 1024, 0))
	})
	if diff := cmp.Diff([]string{"eth0", "eth1"}, s.RALinks()); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	if got := office().Candidates(); got != nil {
		t.Errorf("candidates %v beside a default route", got)
	}
	s := change(func(s *uplink.Snapshot) {
		s.Routes = s.Routes[2:]
		s.Links = append(s.Links, kernel.Link{Index: 7, Name: "eth2", Master: "br0"}, kernel.Link{Index: 8, Name: "br0", Kind: "bridge"})
	})
	if diff := cmp.Diff([]string{"eth0", "eth1", "veth1", "br0"}, s.Candidates()); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

func TestForeign(t *testing.T) {
	t.Parallel()
	want := inet.Foreign{
		Addrs: []inet.HostAddr{
			{Addr: netip.MustParseAddr("::1"), Link: "lo"},
			{Addr: netip.MustParseAddr("127.0.0.1"), Link: "lo"},
			{Addr: netip.MustParseAddr("2001:db8::5"), Link: "eth0"},
			{Addr: netip.MustParseAddr("192.0.2.5"), Link: "eth0"},
			{Addr: netip.MustParseAddr("2001:db8:1::5"), Link: "eth1"},
		},
		Routers: []inet.HostAddr{
			{Addr: netip.MustParseAddr("192.0.2.1"), Link: "eth1"},
			{Addr: netip.MustParseAddr("2001:db8::99"), Link: "eth0"},
		},
		Routes: []inet.HostRoute{
			{Dst: netip.MustParsePrefix("2001:db8::/64"), Link: "eth0"},
			{Dst: netip.MustParsePrefix("fd00:1::/64"), Link: "eth0"},
			{Dst: netip.MustParsePrefix("2001:db8::/64"), Link: "eth0"},
			{Dst: netip.MustParsePrefix("2001:db8:9::9/128"), Link: "eth0"},
			{Dst: netip.MustParsePrefix("2001:db8:2::/48"), Link: "eth0"},
			{Dst: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0"},
			{Dst: netip.MustParsePrefix("2001:db8:1::/64"), Link: "eth1"},
			{Dst: netip.MustParsePrefix("2001:db8:3::/48")},
		},
	}
	ours := func(alias string) bool { return strings.HasPrefix(alias, "ndp6:") }
	s := office()
	s.Routes = append(s.Routes, via("::/0", "2001:db8::99", "eth0", 4096, 0))
	if diff := cmp.Diff(want, s.Foreign(ours, 166), byValue...); diff != "" {
		t.Errorf("foreign (-want +got):\n%s", diff)
	}
}

func TestObserve(t *testing.T) {
	nettest.Enter(t)
	nettest.Run(t,
		"ip link add name eth0 address 02:42:00:00:00:01 mtu 1400 type bridge",
		"ip link set eth0 addrgenmode none",
		"ip link set eth0 up",
		"ip addr add 2001:db8::5/64 dev eth0 nodad",
		"ip -6 route add default via 2001:db8::1",
	)
	conn, err := kernel.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s, err := uplink.Observe(conn)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Choose(uplink.Auto)
	if err != nil {
		t.Fatal(err)
	}
	want := uplink.Uplink{
		Name: "eth0", Index: got.Index, MAC: inet.MAC{2, 0x42, 0, 0, 0, 1}, MTU: 1400,
		OnLink: prefixes("2001:db8::/64"),
		Source: netip.MustParseAddr("2001:db8::5"),
	}
	if diff := cmp.Diff(want, got, byValue...); diff != "" {
		t.Errorf("uplink (-want +got):\n%s", diff)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	choose := func(spec string) uplink.Uplink {
		u, err := office().Choose(spec)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	last := choose("auto")
	noDefault := func(s *uplink.Snapshot) {
		s.Routes = slices.DeleteFunc(s.Routes, func(r kernel.Route) bool { return r.Dst.Bits() == 0 })
	}
	noOnLink := func(s *uplink.Snapshot) {
		s.Routes = slices.DeleteFunc(s.Routes, func(r kernel.Route) bool { return r.Link == "eth0" })
	}
	noAddresses := func(s *uplink.Snapshot) {
		s.Addresses = slices.DeleteFunc(s.Addresses, func(a kernel.Address) bool { return a.Link == "eth0" })
	}
	with := func(f func(*uplink.Uplink)) uplink.Uplink {
		u := last
		f(&u)
		return u
	}
	renamed := change(func(s *uplink.Snapshot) {
		noDefault(s)
		s.Links[1].Name = "wan0"
		s.Routes, s.Addresses = s.Routes[len(s.Routes)-1:], nil
	})
	tests := []struct {
		name string
		on   uplink.Snapshot
		spec string
		last uplink.Uplink // the same for all where it is not given
		want uplink.Uplink
		err  string
	}{
		{name: "nothing changed", on: office(), spec: "auto", want: last},
		{name: "no default route", on: change(noDefault), spec: "auto", want: last},
		{name: "another default route", on: change(noOnLink), spec: "auto", want: choose("eth1")},
		{
			name: "all routes and addresses gone", spec: "eth0",
			on:   change(func(s *uplink.Snapshot) { noDefault(s); noOnLink(s); noAddresses(s) }),
			want: with(func(u *uplink.Uplink) { u.Source = netip.Addr{} }),
		},
		{
			name: "a prefix keeps its address and another loses both", spec: "auto",
			on: change(func(s *uplink.Snapshot) {
				noDefault(s)
				noOnLink(s)
				s.Routes = append(s.Routes, route("2001:db8:0:0:b::/80", "eth0"))
			}),
			want: with(func(u *uplink.Uplink) {
				u.OnLink = prefixes("2001:db8::/64", "fd00:1::/64", "2001:db8:0:0:b::/80")
			}),
		},
		{
			name: "renumbered", spec: "auto",
			on: change(func(s *uplink.Snapshot) {
				noOnLink(s)
				noAddresses(s)
				s.Routes = []kernel.Route{via("::/0", "fe80::9", "eth0", 1, 0), route("2001:db8:7::/64", "eth0")}
			}),
			want: with(func(u *uplink.Uplink) {
				u.OnLink, u.Routed, u.Source = prefixes("2001:db8:7::/64", "fd00:1::/64"), nil, netip.Addr{}
			}),
		},
		{
			name: "renumbered, both kinds of prefix", spec: "auto",
			on: change(func(s *uplink.Snapshot) {
				noOnLink(s)
				noAddresses(s)
				s.Routes = []kernel.Route{via("::/0", "fe80::9", "eth0", 1, 0), route("2001:db8:7::/64", "eth0"), route("fd00:7::/64", "eth0")}
			}),
			want: with(func(u *uplink.Uplink) {
				u.OnLink, u.Routed, u.Source = prefixes("2001:db8:7::/64", "fd00:7::/64"), nil, netip.Addr{}
			}),
		},
		{
			name: "being renumbered", spec: "auto",
			on: change(func(s *uplink.Snapshot) {
				s.Addresses[2].Deprecated = true
				s.Addresses = append(s.Addresses, address("eth0", "2001:db8:7::5/64"))
				s.Routes = slices.DeleteFunc(s.Routes, func(r kernel.Route) bool { return r.Dst == netip.MustParsePrefix("2001:db8::/64") })
				s.Routes = append(s.Routes, route("2001:db8:7::/64", "eth0"))
			}),
			want: with(func(u *uplink.Uplink) {
				u.OnLink = prefixes("2001:db8:7::/64", "fd00:1::/64", "2001:db8:0:0:b::/80", "2001:db8::/64")
				u.Deprecated = prefixes("2001:db8::/64")
			}),
		},
		{
			name: "renumbered, and the old route is still there", spec: "auto",
			last: with(func(u *uplink.Uplink) { u.Deprecated = prefixes("2001:db8::/64") }),
			on: change(func(s *uplink.Snapshot) {
				noAddresses(s)
				s.Addresses = append(s.Addresses, address("eth0", "2001:db8:7::5/64"))
				s.Routes = append(s.Routes, route("2001:db8:7::/64", "eth0"))
			}),
			want: with(func(u *uplink.Uplink) {
				u.OnLink = prefixes("2001:db8:7::/64", "fd00:1::/64", "2001:db8:0:0:b::/80", "2001:db8::/64")
				u.Deprecated, u.Source = prefixes("2001:db8::/64"), netip.MustParseAddr("2001:db8:7::5")
			}),
		},
		{
			name: "preferred again", spec: "auto", on: office(), want: last,
			last: with(func(u *uplink.Uplink) { u.Deprecated = prefixes("2001:db8::/64") }),
		},
		{
			name: "renamed", spec: "eth0", on: renamed,
			want: with(func(u *uplink.Uplink) { u.Name, u.Source = "wan0", netip.Addr{} }),
		},
		{
			name: "renamed, without a default route", spec: "auto", on: renamed,
			want: with(func(u *uplink.Uplink) { u.Name, u.Source = "wan0", netip.Addr{} }),
		},
		{
			name: "made again with another index and MAC", spec: "auto",
			on: change(func(s *uplink.Snapshot) {
				noDefault(s)
				s.Links[1].Index, s.Links[1].MAC = 9, inet.MAC{2, 0x42, 0, 0, 0, 9}
			}),
			want: with(func(u *uplink.Uplink) { u.Index, u.MAC = 9, inet.MAC{2, 0x42, 0, 0, 0, 9} }),
		},
		{
			name: "gone", spec: "eth0",
			on:  change(func(s *uplink.Snapshot) { s.Links = slices.Delete(s.Links, 1, 2) }),
			err: `uplink "eth0" does not exist: use one of auto, eth1: no such uplink`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before := last
			if tt.last.Name != "" {
				before = tt.last
			}
			got, err := tt.on.Follow(tt.spec, before)
			if message := fmt.Sprint(err); err != nil && message != tt.err || err == nil && tt.err != "" {
				t.Errorf("error %v, want %s", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(uplink.Uplink.Equal)); diff != "" {
				t.Errorf("uplink (-want +got):\n%s", diff)
			}
		})
	}
}

// What is recorded must read the same.
func TestUplinkIsRecorded(t *testing.T) {
	t.Parallel()
	for _, want := range []uplink.Uplink{{}, {
		Name: "eth0", Index: 2, MAC: inet.MAC{2, 0x42, 0, 0, 0, 1}, MTU: 1500, Running: true,
		OnLink: prefixes("2001:db8::/64", "2001:db8:1::/64"), Deprecated: prefixes("2001:db8:1::/64"),
		Routed: prefixes("2001:db8:2::/56"), Source: netip.MustParseAddr("fe80::5"),
	}} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got uplink.Uplink
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if !got.Equal(want) {
			t.Errorf("recorded %+v as %s, read %+v", want, text, got)
		}
	}
}

func TestNextHop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		snapshot uplink.Snapshot
		want     string
	}{
		{"an address of the on-link prefix", office(), "2001:db8::5"},
		{"not one that goes", change(func(s *uplink.Snapshot) {
			s.Addresses[2].Temporary = true
			s.Addresses = append(s.Addresses, address("eth0", "2001:db8::6/64"))
		}), "2001:db8::6"},
		{"not one that is old", change(func(s *uplink.Snapshot) { s.Addresses[2].Deprecated = true }), "fe80::5"},
		{"link-local where there is no other", change(func(s *uplink.Snapshot) { s.Addresses = slices.Delete(s.Addresses, 2, 3) }), "fe80::5"},
		{"none", change(func(s *uplink.Snapshot) { s.Addresses = s.Addresses[:2] }), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u, err := test.snapshot.Choose("eth0")
			if err != nil {
				t.Fatal(err)
			}
			got, err := test.snapshot.NextHop(u)
			if (err == nil) != (test.want != "") || err == nil && got.String() != test.want {
				t.Errorf("NextHop = %s, %v, want %q", got, err, test.want)
			}
		})
	}
}
