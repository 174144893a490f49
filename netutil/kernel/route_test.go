package kernel_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

const protocol = 166

// route returns a route of ours as Routes returns it.
func route(dst, link, via string, metric int) kernel.Route {
	r := kernel.Route{
		Dst: netip.MustParsePrefix(dst), Link: link,
		Protocol: protocol, Metric: metric, Table: kernel.MainTable, Type: kernel.Unicast,
	}
	if via != "" {
		r.Via = netip.MustParseAddr(via)
	}
	if link == "" {
		r.Type = kernel.Unreachable
	}
	return r
}

// typed returns a route of ours without a link.
func typed(typ int, dst string) kernel.Route {
	r := route(dst, "", "", 1024)
	r.Type = typ
	return r
}

func TestRoutes(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	nettest.Run(t,
		"ip link add eth0 type bridge", "ip link set eth0 addrgenmode none", "ip link set eth0 up",
		"ip link add eth1 type bridge", "ip link set eth1 addrgenmode none", "ip link set eth1 up",
		"ip addr add 192.0.2.1/24 dev eth0 noprefixroute")
	ours := []kernel.Route{
		route("192.0.2.0/24", "eth0", "", 0),
		route("10.6.0.0/16", "eth0", "192.0.2.2", 0),
		route("10.7.0.0/16", "eth0", "fe80::2", 0),
		route("10.8.0.0/16", "", "", 5),
		route("2001:db8:1::/80", "eth0", "", 1024),
		route("2001:db8:2::/64", "eth0", "fe80::2", 1024),
		route("2001:db8:3::/64", "", "", 1024),
		typed(kernel.Prohibit, "2001:db8:4::/64"),
		typed(kernel.Blackhole, "2001:db8:5::/64"),
		route("::/0", "eth0", "fe80::2", 2048),
	}
	for _, r := range ours {
		for range 2 {
			if err := c.ReplaceRoute(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	nettest.Run(t,
		"ip -6 route add default proto ra metric 100 nexthop via fe80::a dev eth0 nexthop via fe80::b dev eth1",
		"ip -6 route add 2001:db8:9::/64 dev eth0 table 100",
		"ip -6 route add default via fe80::c dev eth0 metric 200 pref high",
		"ip -6 route add default via fe80::d dev eth0 metric 300 pref low",
		"ip -6 route add throw 2001:db8:8::/64")
	hop := route("::/0", "eth0", "fe80::a", 100)
	hop.Protocol = kernel.ProtocolRA
	other := hop
	other.Link, other.Via = "eth1", netip.MustParseAddr("fe80::b")
	high, low := route("::/0", "eth0", "fe80::c", 200), route("::/0", "eth0", "fe80::d", 300)
	high.Protocol, high.Preference = 3, 1 // RTPROT_BOOT, as what people add by hand
	low.Protocol, low.Preference = 3, -1
	theirs := []kernel.Route{hop, other, high, low}
	want := sorted(slices.Concat(theirs, ours))
	got, err := c.Routes()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, sorted(got), byValue); diff != "" {
		t.Errorf("Routes (-want +got):\n%s", diff)
	}
	contains(t, nettest.Run(t, "ip -6 route", "ip route"),
		"unreachable 2001:db8:3::/64 dev lo proto 166",
		"prohibit 2001:db8:4::/64 dev lo proto 166",
		"blackhole 2001:db8:5::/64 dev lo proto 166",
		"10.7.0.0/16 via inet6 fe80::2 dev eth0 proto 166",
		"192.0.2.0/24 dev eth0 proto 166 scope link")
	// Replacing changes the next hop, it does not add one.
	moved := route("2001:db8:2::/64", "eth1", "fe80::3", 1024)
	if err := c.ReplaceRoute(moved); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("2001:db8:2::/64 via fe80::3 dev eth1 proto 166 metric 1024 pref medium", strings.TrimSpace(nettest.Run(t, "ip -6 route show 2001:db8:2::/64"))); diff != "" {
		t.Errorf("replaced route (-want +got):\n%s", diff)
	}
	ours[5] = moved
	for _, r := range ours {
		for range 2 {
			if err := c.DeleteRoute(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err = c.Routes()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sorted(theirs), sorted(got), byValue); diff != "" {
		t.Errorf("Routes after delete (-want +got):\n%s", diff)
	}
}

// sorted orders routes by their text.
func sorted(routes []kernel.Route) []kernel.Route {
	slices.SortFunc(routes, func(a, b kernel.Route) int { return strings.Compare(a.String(), b.String()) })
	return routes
}

// The kernel keeps a route that has expired for a while, and does not use it.
func TestExpiredRoutes(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	nettest.Run(t, "ip link add eth0 type bridge", "ip link set eth0 addrgenmode none", "ip link set eth0 up",
		"ip -6 route add 2001:db8:1::/64 dev eth0 expires 1", "ip -6 route add 2001:db8:2::/64 dev eth0 expires 3600",
		"ip -6 route add 2001:db8:3::/64 dev eth0")
	left := func() map[string]time.Duration {
		t.Helper()
		routes, err := c.Routes()
		if err != nil {
			t.Fatal(err)
		}
		all := make(map[string]time.Duration)
		for _, r := range routes {
			all[r.Dst.String()] = r.Left
		}
		return all
	}
	before := left()
	if l := before["2001:db8:1::/64"]; l <= 0 || l > time.Second {
		t.Errorf("the first expires in %s, want a second", l)
	}
	if l := before["2001:db8:2::/64"]; l <= time.Minute || l > time.Hour {
		t.Errorf("the second expires in %s, want an hour", l)
	}
	if l, ok := before["2001:db8:3::/64"]; !ok || l != 0 {
		t.Errorf("the third expires in %s, want never", l)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, there := left()["2001:db8:1::/64"]; !there {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the first does not expire")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if out := nettest.Run(t, "ip -6 route show 2001:db8:1::/64"); out == "" {
		t.Log("the kernel had removed it by then")
	}
}

func TestRoutesOfEmptyNamespace(t *testing.T) {
	nettest.Enter(t)
	got, err := open(t).Routes()
	if err != nil || len(got) != 0 {
		t.Errorf("Routes = %v, %v, want none", got, err)
	}
}

// TestDeleteRouteKeepsOthers deletes by protocol: the route of another daemon stays.
func TestDeleteRouteKeepsOthers(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	nettest.Run(t, "ip link add eth0 type bridge", "ip link set eth0 up",
		"ip -6 route add 2001:db8:1::/80 dev eth0 proto bird", "ip route add 10.6.0.0/16 dev eth0 proto bird")
	before := nettest.Run(t, "ip -6 route show proto bird", "ip route show proto bird")
	if err := errors.Join(c.DeleteRoute(route("2001:db8:1::/80", "eth0", "", 1024)), c.DeleteRoute(route("10.6.0.0/16", "eth0", "", 0))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, nettest.Run(t, "ip -6 route show proto bird", "ip route show proto bird")); diff != "" {
		t.Errorf("routes of bird (-before +after):\n%s", diff)
	}
}

func TestRouteErrors(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	nettest.Run(t, "ip link add eth0 type bridge", "ip link set eth0 up")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no link", c.ReplaceRoute(route("2001:db8::/64", "eth9", "", 0)), `replace route 2001:db8::/64 dev eth9: link "eth9": not found`},
		{"no destination", c.ReplaceRoute(kernel.Route{Link: "lo"}), "replace route invalid Prefix dev lo: the destination is not an IPv4 or IPv6 prefix"},
		{"no way to the next hop", c.ReplaceRoute(route("10.6.0.0/16", "eth0", "192.0.2.9", 0)), "replace route 10.6.0.0/16 via 192.0.2.9 dev eth0: network is unreachable: Nexthop has invalid gateway"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := message(test.err); got != test.want {
				t.Errorf("got error  %s\nwant error %s", got, test.want)
			}
		})
	}
}
