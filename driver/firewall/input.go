package firewall

import "github.com/ndp6/ndp6/netutil/nft"

// inputChains keep containers from the host's own services.
func inputChains() []nft.Chain {
	at := func(set string, addr nft.Field) nft.Rule {
		return nft.Rule{in(set, addr, nft.L4Proto, nft.DestinationPort), nft.Accept}
	}
	anywhere := func(set string, v nft.Version) nft.Rule {
		return nft.Rule{nft.Is{Field: nft.Protocol, Value: v}, in(set, nft.L4Proto, nft.DestinationPort), nft.Accept}
	}
	return []nft.Chain{
		{
			Name: "input", Hook: filter(nft.Input, nft.PriorityFilter-5),
			Rules: []nft.Rule{{in("icmp_only", nft.InputName), nft.Goto("to_host")}},
		},
		{Name: "to_host", Rules: []nft.Rule{
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
		}},
	}
}
