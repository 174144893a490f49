// Package firewall decides what of the host's nftables serves ndp6's networks
// and endpoints: it turns a Policy into tables and an Endpoint into elements
// of their sets, and touches nothing itself.
//
// Rules are constant. All that differs between hosts, networks and endpoints
// is in sets and maps, so that an endpoint costs the same beside ten others
// or ten thousand.
package firewall

import (
	"net/netip"

	"github.com/ndp6/ndp6/netutil/nft"
)

// CarryBit is the bit of a packet's mark that tells our rules in the host's
// FORWARD chains that the packet is ndp6's and was let through. It
// exists between our two forward chains only, and only beside such chains.
const CarryBit = 0x10000000

// Policy is what the firewall has to know of the host. Its order does not matter.
type Policy struct {
	Networks []Network
	Uplinks  []string // links towards routers

	// Guard says that forwarding of IPv6 is on because of us: between links
	// that are none of ours nothing is forwarded then.
	Guard bool
}

// Network is a network's part of the policy.
type Network struct {
	Bridge       string         // name of its bridge
	Internal     bool           // nothing but its own bridge can be reached, and from nowhere else
	Masquerade4  netip.Prefix   // IPv4 pool that leaves with the host's address and is reached at it only; zero: none
	Pools        []netip.Prefix // what its containers have addresses of, both families
	Isolated     bool           // its containers do not reach each other
	HostICMPOnly bool           // its containers reach nothing of the host but ICMP and published ports
	Shared       bool           // other hosts have containers with addresses of its IPv6 pools

	// NAT6 hides its IPv6 pools: they leave with the host's address and are
	// reached at it only, but for what Translations cover.
	NAT6    bool
	Source6 netip.Addr // that address; zero: one of the link that they leave by

	// Translations are the prefixes under which pools are known outside. New
	// flows leave under the first of a pool; at the others it is still reached.
	Translations []Translation

	// Withdrawn are prefixes that pools were known under: who still has a
	// connection there is told that it ended.
	Withdrawn []netip.Prefix
}

// Translation exchanges one prefix for another and leaves the bits behind. No
// prefix outside may hold an address of anybody but the pool's containers.
type Translation struct {
	Inside, Outside netip.Prefix // equally long
}

// Build returns the ruleset for p, without the elements of endpoints. Without
// networks it is the zero Ruleset.
func Build(p Policy) nft.Ruleset {
	if len(p.Networks) == 0 {
		return nft.Ruleset{}
	}
	bridge := bridgeTable(p)
	return nft.Ruleset{
		Tables: []nft.Table{inetTable(p, plain()), bridge},
		Beside: []nft.Table{inetTable(p, carried()), bridge},
		Accept: nft.Rule{nft.MarkHas(CarryBit), nft.Count, nft.Accept},
	}
}

// Counters of what the inet table drops.
const (
	countSpoof    = "spoof"    // source that cannot come from there
	countHidden   = "hidden"   // directly to an address behind NAT
	countLoopback = "loopback" // to ::1 or 127.0.0.0/8 from a wire
	countRouting  = "routing"  // a container's routing header
	countInbound  = "inbound"  // to what no container publishes
	countInternal = "internal" // in or out of an internal network
	countIsolated = "isolated" // between containers of an isolated network
	countInvalid  = "invalid"  // of no flow
	countTransit  = "transit"  // ICMPv6 that no router forwards
	countUnknown  = "unknown"  // bridge of ours without a network
	countGuard    = "guard"    // between links that are none of ours
	countHost     = "host"     // to the host, from where only ICMP may go there
	countGone     = "gone"     // of connections to a prefix that was withdrawn
)

// Counters returns the names of the counters of all that is dropped, each for
// a reason.
func Counters() []string { return append(inetCounters(), bridgeCounters()...) }

func inetCounters() []string {
	return []string{
		countSpoof, countHidden, countLoopback, countRouting, countInbound, countInternal,
		countIsolated, countInvalid, countTransit, countUnknown, countGuard, countHost, countGone,
	}
}

func inetTable(p Policy, pass passing) nft.Table {
	t := nft.Table{Family: nft.Inet, Counters: inetCounters()}
	t.Sets = append(t.Sets, linkSets(p)...)
	t.Sets = append(t.Sets, prefixSets(p.Networks)...)
	t.Sets = append(t.Sets, translationSets(p.Networks)...)
	t.Sets = append(t.Sets, messageSets()...)
	t.Sets = append(t.Sets, endpointSets()...)
	t.Chains = append(t.Chains, forwardChains(pass, p.Guard)...)
	t.Chains = append(t.Chains, hiddenChain())
	t.Chains = append(t.Chains, inputChains()...)
	t.Chains = append(t.Chains, natChains()...)
	return t
}

// drop ends a rule.
func drop(counter string, matches ...nft.Statement) nft.Rule {
	return append(matches, nft.CountIn(counter), nft.Drop)
}

func in(set string, fields ...nft.Field) nft.In { return nft.In{Fields: fields, Set: set} }

func notIn(set string, fields ...nft.Field) nft.In {
	return nft.In{Fields: fields, Not: true, Set: set}
}

func vmap(name string, fields ...nft.Field) nft.VMap { return nft.VMap{Fields: fields, Map: name} }

func filter(point nft.HookPoint, priority int) *nft.Hook {
	return &nft.Hook{Type: nft.Filter, Point: point, Priority: priority}
}

func nat(point nft.HookPoint, priority int) *nft.Hook {
	return &nft.Hook{Type: nft.NAT, Point: point, Priority: priority}
}
