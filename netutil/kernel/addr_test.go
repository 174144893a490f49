package kernel_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

var byValue = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func TestAddresses(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	nettest.Run(t,
		"ip link add eth0 type bridge", "ip link set eth0 addrgenmode none", "ip link set eth0 up",
		"ip addr add 2001:db8::9/64 dev eth0 nodad preferred_lft 0",
		"ip addr add 2001:db8::8/64 dev eth0",
		"ip addr add 2001:db8::1/64 dev eth0", // Has another prefix length later.
		"ip addr add 192.0.2.9 peer 192.0.2.1/30 dev eth0")
	six, four, local := netip.MustParsePrefix("2001:db8::1/80"), netip.MustParsePrefix("192.0.2.10/24"), netip.MustParsePrefix("fe80::1/64")
	for range 2 {
		for _, p := range []netip.Prefix{six, four, local} {
			if err := c.AddAddress("eth0", p); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []kernel.Address{
		{Link: "eth0", Prefix: netip.MustParsePrefix("192.0.2.9/30")},
		{Link: "eth0", Prefix: four},
		{Link: "eth0", Prefix: six},
		{Link: "eth0", Prefix: netip.MustParsePrefix("2001:db8::8/64"), Tentative: true},
		{Link: "eth0", Prefix: netip.MustParsePrefix("2001:db8::9/64"), Deprecated: true},
		{Link: "eth0", Prefix: local},
	}
	if diff := cmp.Diff(want, addresses(t, c), byValue); diff != "" {
		t.Errorf("Addresses (-want +got):\n%s", diff)
	}
	contains(t, nettest.Run(t, "ip addr show dev eth0"),
		"inet6 2001:db8::1/80 scope global nodad noprefixroute",
		"inet6 fe80::1/64 scope link nodad",
		"inet 192.0.2.10/24 scope global noprefixroute")
	if out := nettest.Run(t, "ip -6 route show 2001:db8::/80"); out != "" {
		t.Errorf("the address brought a route: %s", out)
	}
	for range 2 {
		if err := errors.Join(c.DeleteAddress("eth0", six), c.DeleteAddress("eth0", four), c.DeleteAddress("eth9", six)); err != nil {
			t.Fatal(err)
		}
	}
	want = slices.Delete(want, 1, 3)
	if diff := cmp.Diff(want, addresses(t, c), byValue); diff != "" {
		t.Errorf("Addresses after delete (-want +got):\n%s", diff)
	}
}

// addresses returns the addresses of eth0 in their order.
func addresses(t *testing.T, c *kernel.Conn) []kernel.Address {
	t.Helper()
	all, err := c.Addresses()
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(a kernel.Address) bool { return a.Link != "eth0" })
	slices.SortFunc(all, func(a, b kernel.Address) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	return all
}

func TestAddressErrors(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	tests := []struct {
		name     string
		err      error
		want     string
		notFound bool
	}{
		{"no link", c.AddAddress("eth9", netip.MustParsePrefix("2001:db8::1/64")), `add address 2001:db8::1/64 dev eth9: link "eth9": not found`, true},
		{"no address", c.AddAddress("lo", netip.Prefix{}), "add address invalid Prefix dev lo: not an IPv4 or IPv6 address with a prefix length", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := message(test.err); got != test.want {
				t.Errorf("got error  %s\nwant error %s", got, test.want)
			}
			if got := errors.Is(test.err, kernel.ErrNotFound); got != test.notFound {
				t.Errorf("errors.Is(err, ErrNotFound) = %v, want %v", got, test.notFound)
			}
		})
	}
}

// TestLinkLocalRoutes sees that one link's route to fe80::/64 stays when
// another link gets the same address.
func TestLinkLocalRoutes(t *testing.T) {
	nettest.Enter(t)
	conn := open(t)
	for _, name := range []string{"br0", "br1"} {
		if err := conn.AddBridge(kernel.Bridge{Name: name}); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetUp(name, true); err != nil {
			t.Fatal(err)
		}
		if err := conn.AddAddress(name, netip.MustParsePrefix("fe80::1/64")); err != nil {
			t.Fatal(err)
		}
	}
	routes := nettest.Run(t, "ip -6 route show fe80::/64")
	for _, name := range []string{"br0", "br1"} {
		if !strings.Contains(routes, "dev "+name+" ") {
			t.Errorf("no route to fe80::/64 dev %s in:\n%s", name, routes)
		}
	}
}
