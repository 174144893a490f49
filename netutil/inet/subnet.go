package inet

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"sort"
)

// FreeSubnet returns the first subnet of block of the given length that overlaps
// no obstacle: those from index start on, then those from index first. Each
// obstacle is stepped over whole, so the search takes as many steps as there
// are obstacles, however large the block.
func FreeSubnet(block netip.Prefix, length int, first, start uint64, obstacles []netip.Prefix) (netip.Prefix, bool) {
	busy := disjoint(block, obstacles)
	if p, ok := freeBetween(block, length, start, CountSubnets(block, length), busy); ok {
		return p, ok
	}
	return freeBetween(block, length, first, start, busy)
}

// disjoint returns those of prefixes that overlap block and are not inside
// another, in order.
func disjoint(block netip.Prefix, prefixes []netip.Prefix) []netip.Prefix {
	in := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		if p.Overlaps(block) {
			in = append(in, p.Masked())
		}
	}
	slices.SortFunc(in, netip.Prefix.Compare)
	outer := in[:0]
	for _, p := range in {
		if len(outer) == 0 || !Covers(outer[len(outer)-1], p) {
			outer = append(outer, p)
		}
	}
	return outer
}

// freeBetween searches the indexes from from up to, and without, end.
func freeBetween(block netip.Prefix, length int, from, end uint64, busy []netip.Prefix) (netip.Prefix, bool) {
	for i := from; i < end; {
		p := Subnet(block, length, i)
		in := overlapping(p, busy)
		if !in.IsValid() {
			return p, true
		}
		// max: an obstacle that ends behind the last index may seem to go back.
		i = max(i, indexOf(block, length, LastAddr(in))) + 1
	}
	return netip.Prefix{}, false
}

// overlapping returns the last of busy that p overlaps, so that all before it
// are stepped over as well.
func overlapping(p netip.Prefix, busy []netip.Prefix) netip.Prefix {
	last := LastAddr(p)
	i := sort.Search(len(busy), func(i int) bool { return last.Less(busy[i].Addr()) })
	if i > 0 && busy[i-1].Overlaps(p) {
		return busy[i-1]
	}
	return netip.Prefix{}
}

// CountSubnets is how many subnets of length block has, at most 2^63: no more
// are ever tried.
func CountSubnets(block netip.Prefix, length int) uint64 {
	return 1 << min(length-block.Bits(), 63)
}

// Subnet is the i-th subnet of length in block.
func Subnet(block netip.Prefix, length int, i uint64) netip.Prefix {
	size := block.Addr().BitLen()
	hi, lo := shiftLeft(i, size-length)
	b := wide(block.Addr())
	binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])|hi)
	binary.BigEndian.PutUint64(b[8:], binary.BigEndian.Uint64(b[8:])|lo)
	addr := netip.AddrFrom16(b)
	if size == 32 {
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	return netip.PrefixFrom(addr, length)
}

// indexOf is the inverse of subnet for the subnet that holds addr, the last
// index for addresses behind block.
func indexOf(block netip.Prefix, length int, addr netip.Addr) uint64 {
	if !block.Contains(addr) {
		return CountSubnets(block, length) - 1
	}
	b := wide(addr)
	shift := block.Addr().BitLen() - length
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	n := lo
	switch {
	case shift >= 64:
		n = hi >> (shift - 64)
	case shift > 0:
		n = hi<<(64-shift) | lo>>shift
	}
	return n & (CountSubnets(block, length) - 1)
}

func shiftLeft(i uint64, n int) (hi, lo uint64) {
	if n >= 64 {
		return i << (n - 64), 0
	}
	hi, lo = bits.Mul64(i, 1<<n)
	return hi, lo
}

// wide is addr in the low bytes of 16.
func wide(addr netip.Addr) [16]byte {
	if !addr.Is4() {
		return addr.As16()
	}
	var b [16]byte
	four := addr.As4()
	copy(b[12:], four[:])
	return b
}
