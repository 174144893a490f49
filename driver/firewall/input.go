package firewall

import (
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/netutil/nft"
)

// inputChains decide about what goes to the host itself.
func inputChains() []nft.Chain {
	limited := nft.Goto("to_host")
	return []nft.Chain{
		{
			Name: "input", Hook: filter(nft.Input, nft.PriorityFilter-5),
			Rules: slices.Concat([]nft.Rule{
				{nft.Is{Field: nft.InputName, Value: nft.LinkName("lo")}, nft.Accept},
				{in("own", nft.InputName), nft.Goto("from_own")},
			}, foreignSources(), []nft.Rule{{nft.Goto("hidden")}}),
		},
		{Name: "from_own", Rules: slices.Concat([]nft.Rule{
			noRouting(),
			{nft.Within{Field: nft.IPv6Source, Prefix: linkLocal6}, limited},
			{nft.Within{Field: nft.IPv6Source, Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 128)}, limited},
		}, ownSources(), []nft.Rule{{limited}})},
		toHostChain(),
	}
}

// toHostChain keeps containers of some networks from the host's own services.
func toHostChain() nft.Chain {
	at := func(set string, addr nft.Field) nft.Rule {
		return nft.Rule{in(set, addr, nft.L4Proto, nft.DestinationPort), nft.Accept}
	}
	anywhere := func(set string, v nft.Version) nft.Rule {
		return nft.Rule{nft.Is{Field: nft.Protocol, Value: v}, in(set, nft.L4Proto, nft.DestinationPort), nft.Accept}
	}
	return nft.Chain{Name: "to_host", Rules: []nft.Rule{
		{notIn("icmp_only", nft.InputName), nft.Accept},
		{nft.Established, nft.Accept},
		{in("to_host6", nft.ICMPv6TypeField), nft.Accept},
		{nft.Is{Field: nft.ICMPv6TypeField, Value: nft.ICMPv6(128)}, echoLimit(), nft.Accept},
		{nft.ICMPv4(3), nft.Accept},
		{nft.ICMPv4(8), echoLimit(), nft.Accept},
		// The host's own address in a pool, by the way around.
		drop(countHost, in("outside6", nft.FlowDestination)),
		{nft.DNATed, nft.Accept},
		// Published ports of the host, where our relay listens for containers.
		at("relay6", nft.IPv6Destination),
		at("relay4", nft.IPv4Destination),
		anywhere("relay6_any", nft.IPv6),
		anywhere("relay4_any", nft.IPv4),
		drop(countHost),
	}}
}
