package claim_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/cluster/claim"
)

func TestChooseGivesAllBlocksOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := netip.PrefixFrom(netip.MustParseAddr("2001:db8:0:7::"), rapid.IntRange(73, 80).Draw(t, "base"))
		hosts := rapid.SliceOfN(rapid.StringMatching(`[a-f0-9]{32}`), 1, 200).Draw(t, "hosts")
		count := int(inet.CountSubnets(base, 80))
		usable := count
		if count >= 4 {
			usable = count - 2
		}
		var taken []netip.Prefix
		for i := 0; i <= usable; i++ {
			p, ok := claim.Choose(base, 80, hosts[i%len(hosts)], taken)
			if ok != (i < usable) {
				t.Fatalf("block %d of %d: %s, %t", i, usable, p, ok)
			}
			if !ok {
				break
			}
			if p.Bits() != 80 || !inet.Covers(base, p) || inet.CheckOverlap(p, taken) != nil {
				t.Fatalf("block %s of %s, with %v taken", p, base, taken)
			}
			taken = append(taken, p)
		}
		if first := inet.Subnet(base, 80, 0); count >= 4 && slices.Contains(taken, first) {
			t.Errorf("the first block, %s, is given", first)
		}
	})
}

func TestChooseIsStableAndSpread(t *testing.T) {
	t.Parallel()
	base := netip.MustParsePrefix("2001:db8::/64")
	seen := make(map[netip.Prefix]bool)
	for i := range 100 {
		host := fmt.Sprintf("%032x", i)
		p, _ := claim.Choose(base, 80, host, nil)
		again, _ := claim.Choose(base, 80, host, []netip.Prefix{netip.MustParsePrefix("2001:db8:1::/64")})
		if p != again {
			t.Errorf("host %s begins at %s and at %s", host, p, again)
		}
		seen[p] = true
	}
	// Of 100 hosts in 65,536 blocks, 0.08 pairs are expected to meet.
	if len(seen) < 98 {
		t.Errorf("100 hosts begin at %d blocks", len(seen))
	}
}

func TestCheckBase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, base string
		bits       int
		want       string // part of the error
	}{
		{name: "a link's", base: "2001:db8::/64", bits: 80},
		{name: "a site's", base: "fd00:1::/48", bits: 64},
		{name: "one block", base: "2001:db8::/80", bits: 80},
		{name: "host bits", base: "2001:db8::1/64", bits: 80, want: "use 2001:db8::/64"},
		{name: "IPv4", base: "192.0.2.0/24", bits: 80, want: "not global or unique local IPv6"},
		{name: "link-local", base: "fe80::/64", bits: 80, want: "not global or unique local IPv6"},
		{name: "multicast", base: "ff00::/64", bits: 80, want: "not global or unique local IPv6"},
		{name: "all of IPv6", base: "::/0", bits: 80, want: "not global or unique local IPv6"},
		{name: "a continent's", base: "2000::/12", bits: 80, want: "use a /32 to /126"},
		{name: "smaller than a block", base: "2001:db8::/84", bits: 80, want: "no room for a /80"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := claim.CheckBase(netip.MustParsePrefix(test.base), test.bits)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("CheckBase = %v, want %q", err, test.want)
			}
		})
	}
}

// People number hosts and routers at the start of a link's prefix.
func TestChooseLeavesTheStart(t *testing.T) {
	t.Parallel()
	base, start := netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("2001:db8::/80")
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(66, 110).Draw(t, "bits")
		p, ok := claim.Choose(base, bits, rapid.StringMatching(`[a-f0-9]{8}`).Draw(t, "host"), nil)
		if !ok || p.Overlaps(start) {
			t.Errorf("chose %s, %t", p, ok)
		}
	})
}
