// Package claim says which block of a shared base a host takes, and how claims
// and hosts are written down in etcd. It is pure.
package claim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/ndp6/ndp6/netutil/inet"
)

// Lengths of bases: no provider gives more, and no network needs less.
const (
	minBase = 32
	maxBase = 126
)

// CheckBase says what is wrong with a base that blocks of this length are to be
// claimed from.
func CheckBase(base netip.Prefix, bits int) error {
	switch {
	case !base.IsValid() || !base.Addr().Is6() || base.Addr().Is4In6() || !base.Addr().IsGlobalUnicast():
		return fmt.Errorf("base %s is not global or unique local IPv6: use one such as 2001:db8::/64", base)
	case base != base.Masked():
		return fmt.Errorf("base %s has bits beyond its length: use %s", base, base.Masked())
	case base.Bits() < minBase || base.Bits() > maxBase:
		return fmt.Errorf("base %s is a /%d: use a /%d to /%d", base, base.Bits(), minBase, maxBase)
	case base.Bits() > bits:
		return fmt.Errorf("base %s has no room for a /%d: use a shorter base, or a longer prefix", base, bits)
	}
	return nil
}

// reserved is the number of blocks from which on the first and the last are not
// given: hosts and routers number themselves in the first, and the last is left
// for what may come.
const reserved = 4

// numbered is the length of the first part of a link's prefix that people number
// hosts and routers in.
const numbered = 80

// Choose returns the block of base that a host claims next: the first that
// overlaps none of busy, from an index on that is made of the host's id, so that
// hosts rarely meet and one host finds the same again. Without one it returns
// false.
func Choose(base netip.Prefix, bits int, host string, busy []netip.Prefix) (netip.Prefix, bool) {
	count := inet.CountSubnets(base, bits)
	if count < reserved {
		return inet.FreeSubnet(base, bits, 0, 0, busy)
	}
	first := bits
	if base.Bits() < numbered {
		first = min(bits, numbered)
	}
	busy = append([]netip.Prefix{netip.PrefixFrom(base.Addr(), first), inet.Subnet(base, bits, count-1)}, busy...)
	return inet.FreeSubnet(base, bits, 1, start(base, host, count), busy)
}

// start is the index that a host begins at, never the first nor the last.
func start(base netip.Prefix, host string, count uint64) uint64 {
	sum := sha256.Sum256([]byte("ndp6 claim\x00" + base.String() + "\x00" + host))
	return binary.BigEndian.Uint64(sum[:])%(count-2) + 1
}
