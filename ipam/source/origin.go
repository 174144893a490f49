package source

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/ndp6/ndp6/netutil/inet"
)

// An origin is a prefix that IPv6 pools can be taken from.
type origin struct {
	from   From
	prefix netip.Prefix
	name   string // as reasons and errors name it
}

// origins returns those of one kind, in the order in which they are tried.
func (s *Source) origins(from From, f Facts) []origin {
	var prefixes []netip.Prefix
	format := "configured block %s"
	switch from {
	case Block:
		prefixes = s.blocks
	case Uplink:
		prefixes, format = f.OnLink, fmt.Sprintf("on-link prefix %%s of uplink %q", f.Uplink)
	case Routed:
		prefixes, format = f.Routed, "prefix %s that is routed to the host"
	default: // ULA
		prefixes, format = []netip.Prefix{s.ula}, "unique local prefix %s"
	}
	var found []origin
	for _, p := range prefixes {
		if from == Block || from == ULA || inet.IsGUA(p.Addr()) {
			found = append(found, origin{from, p.Masked(), fmt.Sprintf(format, p.Masked())})
		}
	}
	return found
}

// absent says that there is no origin of one kind.
func absent(from From, f Facts) string {
	switch {
	case from == Block:
		return "no block is configured"
	case from == Routed:
		return "no global prefix is routed to the host"
	case f.Uplink == "":
		return "the host has no uplink"
	}
	return fmt.Sprintf("uplink %q has no global on-link prefix", f.Uplink)
}

// take returns a free subnet of o, or why there is none.
func (s *Source) take(o origin, bits int, f Facts, used []netip.Prefix) (p netip.Prefix, why string) {
	lengths := o.lengths(bits)
	if len(lengths) == 0 {
		return netip.Prefix{}, fmt.Sprintf("is too long to take a /%d from", bits)
	}
	for _, length := range lengths {
		block, first, start := s.within(o, length, f.MachineID)
		if p, ok := inet.FreeSubnet(block, length, first, start, Obstacles(f.Foreign, used, block, length)); ok {
			return p, ""
		}
	}
	return netip.Prefix{}, "is used up"
}

// lengths are those that a pool of o may have, the best first.
func (o origin) lengths(bits int) []int {
	switch {
	case o.prefix.Bits() < bits:
		return []int{bits}
	case o.prefix.Bits() >= poolBits6:
		// A small allotment: the largest part of it that is free.
		var all []int
		for length := o.prefix.Bits(); length <= maxBits6; length++ {
			all = append(all, length)
		}
		return all
	case o.from == Block:
		return []int{o.prefix.Bits()}
	}
	// The host has it as a whole, and half of a link's /64 would hold half of the
	// other hosts, which choose at random.
	return nil
}

// few is how many parts a small allotment has that people give out by hand.
const few = 256

// within returns the part of o that pools of this length come from, and the
// indexes that the search in it begins again and begins at.
func (s *Source) within(o origin, length int, machineID string) (block netip.Prefix, first, start uint64) {
	block = o.prefix
	last := inet.CountSubnets(block, length) - 1
	switch {
	case o.from == Block:
		return block, 0, 0
	case block.Bits() >= poolBits6 && last < few:
		return block, 0, last // People number from the start.
	case o.from == Routed:
		// LANs are numbered from the first /64 on: the last is free longest.
		return block, 1, max(1, last&^(1<<max(0, length-subnetBits)-1))
	}
	if o.from == ULA && length > subnetBits {
		// Behind the /64 of an uplink the same bits must not be another host's.
		block = netip.PrefixFrom(block.Addr(), subnetBits)
	}
	return block, 1, s.start(machineID, block, length)
}

// start is the index that this machine begins at, so that hosts on one link
// rarely meet. It is never 0: people number their routers and hosts there.
func (s *Source) start(machineID string, block netip.Prefix, length int) uint64 {
	if machineID == "" {
		machineID = s.ula.String() // as random, and as lasting
	}
	sum := sha256.Sum256([]byte("ndp6 pool\x00" + block.String() + "\x00" + machineID))
	return binary.BigEndian.Uint64(sum[:])%(inet.CountSubnets(block, length)-1) + 1
}

// Obstacles are the prefixes that a pool of the given length in block must not
// overlap. An IPv6 route to block or more is none: the pool is to be inside it.
func Obstacles(f inet.Foreign, used []netip.Prefix, block netip.Prefix, length int) []netip.Prefix {
	var busy []netip.Prefix
	busy = append(busy, used...)
	for _, addrs := range [][]inet.HostAddr{f.Addrs, f.Routers} {
		for _, a := range addrs {
			busy = append(busy, netip.PrefixFrom(a.Addr.WithZone(""), a.Addr.BitLen()))
		}
	}
	for _, r := range f.Routes {
		if r.Excludes() || r.Dst.Bits() > block.Bits() || r.Dst.Bits() >= length {
			busy = append(busy, r.Dst.Masked())
		}
	}
	return busy
}
