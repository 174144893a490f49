package inet

import (
	"fmt"
	"net/netip"
)

// AllNodes is the link-local scope all-nodes multicast address (RFC 4291 2.7.1).
var AllNodes = netip.MustParseAddr("ff02::1")

// EmbedMAC returns the address of p whose low 48 bits are m and whose bits
// between p and those are zero. p is an IPv6 prefix of /80 or shorter.
func EmbedMAC(p netip.Prefix, m MAC) (netip.Addr, error) {
	if !p.Addr().Is6() || p.Bits() > 80 {
		return netip.Addr{}, fmt.Errorf("prefix %s has no room for a 48-bit MAC: use /80 or shorter", p)
	}
	b := p.Masked().Addr().As16()
	copy(b[10:], m[:])
	return netip.AddrFrom16(b), nil
}

// LowMAC returns the low 48 bits of a, which are the MAC that EmbedMAC put there.
func LowMAC(a netip.Addr) MAC {
	b := a.As16()
	return MAC(b[10:])
}

// LinkLocal returns the link-local address that m gives: fe80::/64 and the
// modified EUI-64 identifier (RFC 4291 Appendix A).
func LinkLocal(m MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 0x02, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// SolicitedNode returns the solicited-node multicast address of addr (RFC 4291 2.7.1).
func SolicitedNode(addr netip.Addr) netip.Addr {
	a := addr.As16()
	b := netip.MustParseAddr("ff02::1:ff00:0").As16()
	copy(b[13:], a[13:])
	return netip.AddrFrom16(b)
}

// MulticastMAC returns the Ethernet address of an IPv6 multicast group (RFC 2464 7).
func MulticastMAC(group netip.Addr) MAC {
	b := group.As16()
	return MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// WithPrefix returns addr with the bits of p in the place of its own first
// ones. Both are IPv6.
func WithPrefix(addr netip.Addr, p netip.Prefix) netip.Addr {
	a, b := addr.As16(), p.Addr().As16()
	for i := range a {
		own := byte(0xff >> min(max(p.Bits()-8*i, 0), 8))
		a[i] = b[i]&^own | a[i]&own
	}
	return netip.AddrFrom16(a)
}

// LastAddr returns the highest address of p.
func LastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// Covers reports whether every address of inner is in outer.
func Covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Overlaps(inner)
}

// IsULA reports whether p is within fc00::/7 (RFC 4193).
func IsULA(p netip.Prefix) bool { return p.Addr().Is6() && p.Addr().IsPrivate() }

// IsGUA reports whether addr is IPv6 global unicast: not unique local, not
// link-local, not multicast, not loopback, not IPv4-mapped.
func IsGUA(addr netip.Addr) bool {
	return addr.Is6() && !addr.Is4In6() && addr.IsGlobalUnicast() && !addr.IsPrivate()
}
