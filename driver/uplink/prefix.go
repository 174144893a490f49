package uplink

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// onLink returns the prefixes that are reached on the link without a router.
func (s Snapshot) onLink(name string) []netip.Prefix {
	var on []netip.Prefix
	for _, r := range s.Routes {
		a := r.Dst.Addr()
		if r.Link == name && !r.Via.IsValid() && a.Is6() && r.Dst.Bits() > 0 && r.Dst.Bits() < 128 &&
			!a.IsLinkLocalUnicast() && !a.IsMulticast() {
			on = append(on, r.Dst)
		}
	}
	return on
}

// inOrder returns on-link prefixes of a link as Uplink.OnLink orders them, each
// once, and those that are deprecated: also those that were so before and have
// no address any more, as the kernel keeps the route for up to a minute longer.
func (s Snapshot) inOrder(name string, prefixes, before []netip.Prefix) (ordered, deprecated []netip.Prefix) {
	const preferred, unused, going = 0, 1, 2
	type place struct{ rank, position int }
	places := make(map[netip.Prefix]place)
	for _, p := range prefixes {
		at := place{rank: unused}
		if slices.Contains(before, p) {
			at.rank = going
		}
		for i, a := range s.Addresses {
			// Temporary addresses are made anew every day, in each prefix at another time.
			if a.Link != name || !p.Contains(a.Prefix.Addr()) || a.Temporary {
				continue
			}
			if !a.Deprecated {
				at = place{preferred, i}
				break
			}
			at.rank = going
		}
		places[p] = at
	}
	ordered = slices.SortedFunc(maps.Keys(places), func(a, b netip.Prefix) int {
		return cmp.Or(
			cmp.Compare(places[a].rank, places[b].rank),
			cmp.Compare(places[a].position, places[b].position),
			cmp.Compare(a.Bits(), b.Bits()),
			a.Compare(b),
		)
	})
	for _, p := range ordered {
		if places[p].rank == going {
			deprecated = append(deprecated, p)
		}
	}
	return ordered, deprecated
}

// Lengths of the dead routes that stand for a prefix which is routed to the
// host. Shorter ones keep out bogons, as distributions install them; longer
// ones are of daemons that give out the addresses one by one.
const (
	minDelegated = 33
	maxDelegated = 79
)

// routed returns the prefixes of Uplink.Routed: those of dead routes, which
// DHCPv6 clients and routing daemons install for what was delegated to the
// host, and those of addresses on links that lead nowhere. What is on some
// link is not routed to the host, but belongs to all hosts of that link.
func (s Snapshot) routed(onLink []netip.Prefix) []netip.Prefix {
	var found []netip.Prefix
	for _, r := range s.Routes {
		if r.Link == "" && r.Dst.Bits() >= minDelegated && r.Dst.Bits() <= maxDelegated {
			found = append(found, r.Dst)
		}
	}
	for _, a := range s.Addresses {
		if a.Prefix.Bits() < 128 && s.leadsNowhere(a.Link) {
			found = append(found, a.Prefix.Masked())
		}
	}
	found = slices.DeleteFunc(found, func(p netip.Prefix) bool {
		return !inet.IsGUA(p.Addr()) || s.isOnLink(p, onLink)
	})
	slices.SortFunc(found, func(a, b netip.Prefix) int { return cmp.Or(cmp.Compare(a.Bits(), b.Bits()), a.Compare(b)) })
	return slices.Compact(found)
}

func (s Snapshot) leadsNowhere(name string) bool {
	l, ok := s.Link(name)
	return ok && (l.Name == "lo" || l.Kind == "dummy")
}

// isOnLink reports whether p is inside one of onLink, or inside what another
// link has.
func (s Snapshot) isOnLink(p netip.Prefix, onLink []netip.Prefix) bool {
	covers := func(q netip.Prefix) bool { return q.Bits() > 0 && inet.Covers(q, p) }
	return slices.ContainsFunc(onLink, covers) || slices.ContainsFunc(s.Routes, func(r kernel.Route) bool {
		return covers(r.Dst) && r.Link != "" && !r.Via.IsValid() && !s.leadsNowhere(r.Link)
	})
}
