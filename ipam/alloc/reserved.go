package alloc

import "net/netip"

// Limits of RFC 2526: the 128 highest identifiers of a subnet are anycast, and
// in a 64-bit identifier the universal bit of those is clear.
const (
	anycastIDs    = 128
	eui64Anycast  = 0xfdff_ffff_ffff_ff80
	anycastMaxLen = 120
)

// Reserved says which standard keeps addr from being an endpoint's in pool, and
// nothing if none does. Pools longer than /120 have no room for the anycast
// identifiers of RFC 2526, so there they are ordinary.
func Reserved(pool netip.Prefix, addr netip.Addr) string {
	first := pool.Masked().Addr()
	if addr.Is4() {
		switch {
		case addr == first:
			return "the network address"
		case numberOf(addr) == lastOf(pool.Masked()):
			return "the broadcast address"
		}
		return ""
	}
	if addr == first {
		return "the subnet-router anycast address (RFC 4291 2.6.1)"
	}
	n := numberOf(addr)
	anycast := false
	switch {
	case pool.Bits() <= 64:
		anycast = n.lo >= eui64Anycast && n.lo < eui64Anycast+anycastIDs
	case pool.Bits() <= anycastMaxLen:
		host := lowBits(128 - pool.Bits())
		anycast = n.lo&host > host-anycastIDs
	}
	if anycast {
		return "a reserved anycast address (RFC 2526)"
	}
	return ""
}
