package ipam_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/ipam/source"
)

// TestPoolStatus lists pools of every kind, the same after a restart.
func TestPoolStatus(t *testing.T) {
	l := newLab(t, func(c *ipam.Config, f *source.Facts) {
		anUplink(c, f)
		c.Blocks = []netip.Prefix{netip.MustParsePrefix("2001:db8:a::/124")}
	})
	l.play(`
> pool6
> pool6
> pool6 2001:db8:b::/64 range=2001:db8:b::100/120 ndp6.iid=name
> pool6 2001:db8:c::/80 ndp6.iid=name
> pool4
> gateway 10.166.0.0/24
> aux 10.166.0.0/24 10.166.0.9
> endpoint 10.166.0.0/24 mac=02
> endpoint 2001:db8:a::/124 mac=02
> endpoint 2001:db8:a::/124 mac=03
> gateway ndp6,pool=2001:db8:d::/80 fe80::1
`)
	// An earlier version recorded no reason.
	if err := l.pools.Put("ndp6,pool=fd00:7::/80", ipam.Pool{Prefix: netip.MustParsePrefix("fd00:7::/80"), Source: "ula"}); err != nil {
		t.Fatal(err)
	}
	if err := l.restart(); err != nil {
		t.Fatal(err)
	}
	const asked = "asked for with --subnet"
	want := []ipam.PoolStatus{
		{Source: "range", Reason: "IPv4 range 10.166.0.0/16", IID: alloc.Sequential, Leases: 1, Capacity: 252},
		{Source: "uplink", Reason: `on-link prefix 2001:db8::/64 of uplink "eth0", because configured block 2001:db8:a::/124 is used up`, IID: alloc.MAC},
		{Source: "block", Reason: "configured block 2001:db8:a::/124", IID: alloc.Sequential, Leases: 2, Capacity: 15},
		{Source: "given", Reason: asked, IID: alloc.Sequential, Capacity: 256},
		{Source: "given", Reason: asked, IID: alloc.Name},
		{Source: "rebuilt", Reason: "made again from its id, as the record was lost", IID: alloc.MAC},
		{Source: "ula", IID: alloc.MAC},
	}
	for i, p := range []string{
		"10.166.0.0/24", "2001:db8:0:0:afb0::/80", "2001:db8:a::/124", "2001:db8:b::/64", "2001:db8:c::/80", "2001:db8:d::/80", "fd00:7::/80",
	} {
		want[i].Prefix = netip.MustParsePrefix(p)
	}
	if diff := cmp.Diff(want, l.Pools(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}
