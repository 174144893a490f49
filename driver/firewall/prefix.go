package firewall

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/netutil/nft"
)

// prefixSets say whose addresses are whose.
func prefixSets(networks []Network) []nft.Set {
	var pools6, pools4, hidden6, hidden4, ours6 intervals
	for _, n := range networks {
		for _, p := range n.Pools {
			if p.Addr().Is4() {
				pools4.add(p)
				continue
			}
			pools6.add(p)
			if !n.Shared {
				ours6.add(p)
			}
			if n.NAT6 && !n.Internal {
				hidden6.add(p)
			}
		}
		for _, t := range n.Translations {
			ours6.add(t.Outside)
		}
		if n.Masquerade4.IsValid() && n.Masquerade4.Addr().Is4() {
			pools4.add(n.Masquerade4)
			if !n.Internal {
				hidden4.add(n.Masquerade4)
			}
		}
	}
	return []nft.Set{
		pools6.set("pfx6", nft.IPv6Type), pools4.set("pfx4", nft.IPv4Type),
		ours6.set("ours6", nft.IPv6Type), // pools of this host alone, and prefixes that they have outside
		hidden6.set("hidden6", nft.IPv6Type), hidden4.set("hidden4", nft.IPv4Type),
	}
}

// translationSets say which IPv6 addresses hidden ones have outside.
func translationSets(networks []Network) []nft.Set {
	var outside, inwards, outwards, source, gone intervals
	for _, n := range networks {
		if n.Internal {
			continue
		}
		for _, t := range n.Translations {
			outside.add(t.Outside)
			inwards.add(t.Outside, nft.Range(t.Inside))
			outwards.add(t.Inside, nft.Range(t.Outside))
		}
		for _, p := range n.Withdrawn {
			gone.add(p)
		}
		for _, p := range n.Pools {
			if n.NAT6 && n.Source6.IsValid() && p.Addr().Is6() {
				source.add(p, nft.Addr(n.Source6))
			}
		}
	}
	return []nft.Set{
		outside.set("outside6", nft.IPv6Type),
		inwards.set("npt_in", nft.IPv6Type, nft.IPv6Range),
		outwards.set("npt_out", nft.IPv6Type, nft.IPv6Range),
		source.set("source6", nft.IPv6Type, nft.IPv6Type),
		gone.set("gone6", nft.IPv6Type),
	}
}

// intervals are elements of a set or map of prefixes.
type intervals []nft.Element

// add adds a prefix and, for a map, what it leads to.
func (s *intervals) add(p netip.Prefix, data ...nft.Value) {
	*s = append(*s, append(nft.Element{nft.Prefix(p.Masked())}, data...))
}

// set leaves out what is inside another prefix, and of equal ones all but the
// first: an interval set takes no overlap.
func (s intervals) set(name string, key nft.Type, data ...nft.Type) nft.Set {
	set := nft.Set{Name: name, Type: []nft.Type{key}, Data: data, Interval: true}
	prefix := func(e nft.Element) netip.Prefix { return netip.Prefix(e[0].(nft.Prefix)) }
	slices.SortStableFunc(s, func(a, b nft.Element) int {
		p, q := prefix(a), prefix(b)
		return cmp.Or(p.Addr().Compare(q.Addr()), cmp.Compare(p.Bits(), q.Bits()))
	})
	var last netip.Prefix
	for _, e := range s {
		if p := prefix(e); !last.IsValid() || !last.Contains(p.Addr()) {
			set.Elements = append(set.Elements, e)
			last = p
		}
	}
	return set
}
