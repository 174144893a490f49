package alloc

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// A number is an address as an integer. IPv4 uses the low 32 bits.
type number struct{ hi, lo uint64 }

func numberOf(addr netip.Addr) number {
	if addr.Is4() {
		b := addr.As4()
		return number{lo: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := addr.As16()
	return number{hi: binary.BigEndian.Uint64(b[:8]), lo: binary.BigEndian.Uint64(b[8:])}
}

// addr is the inverse of numberOf in the family of like.
func (n number) addr(like netip.Addr) netip.Addr {
	if like.Is4() {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(n.lo))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], n.hi)
	binary.BigEndian.PutUint64(b[8:], n.lo)
	return netip.AddrFrom16(b)
}

func (n number) next() number {
	lo, carry := bits.Add64(n.lo, 1, 0)
	return number{hi: n.hi + carry, lo: lo}
}

func (n number) less(m number) bool {
	return n.hi < m.hi || n.hi == m.hi && n.lo < m.lo
}

// or sets the bits of lo in n.
func (n number) or(lo uint64) number { return number{hi: n.hi, lo: n.lo | lo} }

// lastOf is the highest address of p, which has no host bits set.
func lastOf(p netip.Prefix) number {
	n := numberOf(p.Addr())
	host := p.Addr().BitLen() - p.Bits()
	switch {
	case host > 64:
		return number{hi: n.hi | lowBits(host-64), lo: lowBits(64)}
	default:
		return n.or(lowBits(host))
	}
}

// lowBits is a mask of the low n bits, n from 0 to 64.
func lowBits(n int) uint64 {
	if n >= 64 {
		return ^uint64(0)
	}
	return 1<<n - 1
}
