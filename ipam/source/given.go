package source

import (
	"fmt"
	"net/netip"
)

// maxBits4 is the longest prefix that holds a gateway and an endpoint beside
// the addresses that standards reserve.
const maxBits4 = 30

// CheckGiven says why no network can use pool, whatever the host, nil if one can.
func CheckGiven(pool netip.Prefix) error {
	longest, family := maxBits6, "IPv6"
	if pool.Addr().Is4() {
		longest, family = maxBits4, "IPv4"
	}
	if pool.Bits() > longest {
		return fmt.Errorf("pool %s is longer than /%d: use a --subnet of /%d or shorter, the longest that has room for containers in %s", pool, longest, longest, family)
	}
	for _, s := range special() {
		if pool.Overlaps(s.prefix) {
			return fmt.Errorf("pool %s overlaps %s, which is for %s: use a --subnet of unicast addresses", pool, s.prefix, s.use)
		}
	}
	return nil
}

type specialUse struct {
	prefix netip.Prefix
	use    string
}

func special() []specialUse {
	return []specialUse{
		{netip.MustParsePrefix("::/96"), "the unspecified, loopback and IPv4-compatible addresses"},
		{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4-mapped addresses"},
		{netip.MustParsePrefix("fe80::/10"), "link-local addresses"},
		{netip.MustParsePrefix("ff00::/8"), "multicast"},
		{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
		{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
		{netip.MustParsePrefix("169.254.0.0/16"), "link-local addresses"},
		{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
		{netip.MustParsePrefix("240.0.0.0/4"), "no use yet, and the broadcast address"},
	}
}
