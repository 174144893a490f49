package peers

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/netutil/inet"
)

// A Route leads to blocks of a peer: those beside each other have one route, as
// a host with many networks most often has them in a row.
type Route struct {
	Host   string
	Prefix netip.Prefix
	Via    netip.Addr
}

// Routes returns the routes to all peers, in the order of their prefixes. Of two
// blocks that overlap, which claims rule out, it is that of the peer with a lease,
// or of the lower id; none overlaps what is our own. Those that are left out are
// refused.
func (ps *Peers) Routes(own []netip.Prefix) (routes, refused []Route) {
	ranked := slices.SortedFunc(maps.Values(ps.all), func(a, b Peer) int {
		switch {
		case a.Alive() == b.Alive():
			return byHost(a, b)
		case a.Alive():
			return -1
		}
		return 1
	})
	taken := newBlocks(ranked, own)
	for _, p := range ranked {
		var blocks []netip.Prefix
		for _, prefix := range p.Prefixes {
			if !taken.add(prefix) {
				refused = append(refused, Route{Host: p.Host, Prefix: prefix, Via: p.NextHop})
				continue
			}
			blocks = append(blocks, prefix)
		}
		for _, prefix := range inet.Merge(blocks) {
			routes = append(routes, Route{Host: p.Host, Prefix: prefix, Via: p.NextHop})
		}
	}
	slices.SortFunc(routes, func(a, b Route) int { return a.Prefix.Compare(b.Prefix) })
	return routes, refused
}

// blocks are prefixes of which none overlaps another. There may be 100,000, of
// a few lengths.
type blocks struct {
	lengths []int
	taken   map[netip.Prefix]bool
	// above has what each of taken is inside of, by the lengths.
	above map[netip.Prefix]bool
}

func newBlocks(peers []Peer, own []netip.Prefix) blocks {
	lengths := make(map[int]bool)
	for _, p := range own {
		lengths[p.Bits()] = true
	}
	for _, peer := range peers {
		for _, p := range peer.Prefixes {
			lengths[p.Bits()] = true
		}
	}
	b := blocks{lengths: slices.Sorted(maps.Keys(lengths)), taken: make(map[netip.Prefix]bool), above: make(map[netip.Prefix]bool)}
	for _, p := range own {
		b.add(p)
	}
	return b
}

// add takes a prefix, unless it overlaps one that is taken.
func (b blocks) add(p netip.Prefix) bool {
	if b.above[p] || b.taken[p] {
		return false
	}
	var above []netip.Prefix
	for _, bits := range b.lengths {
		if bits >= p.Bits() {
			break
		}
		above = append(above, netip.PrefixFrom(p.Addr(), bits).Masked())
	}
	if slices.ContainsFunc(above, func(o netip.Prefix) bool { return b.taken[o] }) {
		return false
	}
	b.taken[p] = true
	for _, o := range above {
		b.above[o] = true
	}
	return true
}
