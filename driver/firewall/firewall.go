// Package firewall decides what of the host's nftables serves ndp6's networks:
// it turns a Policy into a ruleset and touches nothing itself.
//
// Rules are constant. All that differs between hosts, networks and endpoints
// is in sets.
package firewall

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/netutil/nft"
)

// CarryBit is the bit of a packet's mark that tells the last rule of the
// host's FORWARD chains that the packet is ndp6's and was let through. It
// exists between our two forward chains only.
const CarryBit = 0x10000000

// Policy is what the firewall has to know. Its order does not matter.
type Policy struct {
	Networks []Network
	Uplinks  []string // links towards routers
}

// Network is a network's part of the policy.
type Network struct {
	Bridge      string       // name of its bridge
	Internal    bool         // nothing but its own bridge can be reached
	Masquerade4 netip.Prefix // IPv4 pool that leaves with the host's address; zero: none
}

// Build returns the ruleset for p. Without networks it is the zero Ruleset.
func Build(p Policy) nft.Ruleset {
	if len(p.Networks) == 0 {
		return nft.Ruleset{}
	}
	table := nft.Table{Family: nft.Inet}
	table.Sets = append(table.Sets, linkSets(p)...)
	table.Chains = append(table.Chains, forwardChains()...)
	if pools := masqueradePools(p.Networks); len(pools) > 0 {
		set, chain := masquerade(pools)
		table.Sets = append(table.Sets, set)
		table.Chains = append(table.Chains, chain)
	}
	return nft.Ruleset{
		Tables: []nft.Table{table},
		Accept: nft.Rule{nft.MarkHas(CarryBit), nft.Count, nft.Accept},
	}
}

func linkSets(p Policy) []nft.Set {
	var own, internal []string
	for _, n := range p.Networks {
		own = append(own, n.Bridge)
		if n.Internal {
			internal = append(internal, n.Bridge)
		}
	}
	inside := nft.Set{Name: "inside", Type: []nft.Type{nft.LinkNameType, nft.LinkNameType}}
	for _, name := range sorted(own) {
		inside.Elements = append(inside.Elements, nft.Element{nft.LinkName(name), nft.LinkName(name)})
	}
	return []nft.Set{linkSet("own", own), inside, linkSet("internal", internal), linkSet("uplinks", p.Uplinks)}
}

func linkSet(name string, links []string) nft.Set {
	set := nft.Set{Name: name, Type: []nft.Type{nft.LinkNameType}}
	for _, link := range sorted(links) {
		set.Elements = append(set.Elements, nft.Element{nft.LinkName(link)})
	}
	return set
}

func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// forwardChains let our packets pass other people's forward chains.
func forwardChains() []nft.Chain {
	input, output := []nft.Field{nft.InputName}, []nft.Field{nft.OutputName}
	return []nft.Chain{
		{Name: "carry", Rules: []nft.Rule{
			{nft.SetMark(CarryBit), nft.Accept},
		}},
		{
			Name: "forward",
			Hook: &nft.Hook{Type: nft.Filter, Point: nft.Forward, Priority: nft.PriorityFilter - 5},
			Rules: []nft.Rule{
				// With bridge-nf-call, frames inside a bridge come by here too.
				{nft.In{Fields: []nft.Field{nft.InputName, nft.OutputName}, Set: "inside"}, nft.Goto("carry")},
				{nft.In{Fields: input, Set: "internal"}, nft.Count, nft.Drop},
				{nft.In{Fields: output, Set: "internal"}, nft.Count, nft.Drop},
				{nft.In{Fields: output, Set: "own"}, nft.Goto("carry")},
				{nft.In{Fields: input, Not: true, Set: "own"}, nft.Accept},
				{nft.Established, nft.Goto("carry")},
				{nft.In{Fields: output, Set: "uplinks"}, nft.Goto("carry")},
				// Behind another bridge are the containers or guests of
				// somebody else, who decides what reaches them.
				{nft.OutputKind("bridge"), nft.Accept},
				{nft.Goto("carry")},
			},
		},
		{
			Name: "forward_clear",
			Hook: &nft.Hook{Type: nft.Filter, Point: nft.Forward, Priority: nft.PriorityFilter + 5},
			Rules: []nft.Rule{
				{nft.MarkLacks(CarryBit), nft.Accept},
				{nft.In{Fields: input, Set: "own"}, nft.ClearMark(CarryBit), nft.Accept},
				{nft.In{Fields: output, Set: "own"}, nft.ClearMark(CarryBit)},
			},
		},
	}
}

// masqueradePools returns the pools that leave with the host's address,
// without those inside another: an interval set takes no overlap.
func masqueradePools(networks []Network) []netip.Prefix {
	var all []netip.Prefix
	for _, n := range networks {
		if n.Masquerade4.IsValid() && n.Masquerade4.Addr().Is4() && !n.Internal {
			all = append(all, n.Masquerade4.Masked())
		}
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	var pools []netip.Prefix
	for _, p := range all {
		if len(pools) == 0 || !pools[len(pools)-1].Contains(p.Addr()) {
			pools = append(pools, p)
		}
	}
	return pools
}

func masquerade(pools []netip.Prefix) (nft.Set, nft.Chain) {
	set := nft.Set{Name: "masquerade4", Type: []nft.Type{nft.IPv4Type}, Interval: true}
	for _, p := range pools {
		set.Elements = append(set.Elements, nft.Element{nft.Prefix(p)})
	}
	return set, nft.Chain{
		Name: "postrouting",
		Hook: &nft.Hook{Type: nft.NAT, Point: nft.Postrouting, Priority: nft.PrioritySourceNAT},
		Rules: []nft.Rule{
			// Between our networks the source is kept.
			{
				nft.In{Fields: []nft.Field{nft.IPv4Source}, Set: set.Name},
				nft.In{Fields: []nft.Field{nft.OutputName}, Not: true, Set: "own"},
				nft.Masquerade,
			},
		},
	}
}
