package firewall

import "github.com/ndp6/ndp6/netutil/nft"

// natChains forward the host's published ports, translate prefixes and hide pools.
func natChains() []nft.Chain {
	// Whoever sends to a prefix outside, our own containers too.
	inwards := nft.Rule{nft.Netmap{Field: nft.IPv6Destination, Map: "npt_in"}}
	wire := nft.Is{Field: nft.InputName, Not: true, Value: nft.LinkName("lo")}
	outwards := nft.Netmap{Field: nft.IPv6Source, Map: "npt_out"}
	return []nft.Chain{
		{
			Name: "prerouting", Hook: nat(nft.Prerouting, nft.PriorityDestinationNAT),
			Rules: []nft.Rule{
				// The kernel refuses them before or after this, unless
				// route_localnet is on or the frame was bridged.
				drop(countLoopback, wire, nft.Within{Field: nft.IPv6Destination, Prefix: loopback6}),
				drop(countLoopback, wire, nft.Within{Field: nft.IPv4Destination, Prefix: loopback4}),
				inwards,
				// Our own containers talk to our relay: answers of a container
				// on the same bridge would not come back through the host.
				{in("own", nft.InputName), nft.Accept},
				{nft.ToLocal, nft.Goto("published")},
			},
		},
		{
			Name: "output", Hook: nat(nft.Output, nft.PriorityDestinationNAT),
			Rules: []nft.Rule{
				// Loopback addresses do not leave the host: they are the relay's.
				{nft.Within{Field: nft.IPv6Destination, Prefix: loopback6}, nft.Accept},
				{nft.Within{Field: nft.IPv4Destination, Prefix: loopback4}, nft.Accept},
				inwards,
				{nft.ToLocal, nft.Goto("published")},
			},
		},
		{Name: "published", Rules: []nft.Rule{
			// A container cannot answer a link-local address of another link.
			{nft.Within{Field: nft.IPv6Source, Prefix: linkLocal6}, nft.Accept},
			{nft.DNAT{Family: 6, Fields: []nft.Field{nft.IPv6Destination, nft.L4Proto, nft.DestinationPort}, Map: "host6"}},
			{nft.DNAT{Family: 6, Fields: []nft.Field{nft.L4Proto, nft.DestinationPort}, Map: "host6_any"}},
			{nft.DNAT{Family: 4, Fields: []nft.Field{nft.IPv4Destination, nft.L4Proto, nft.DestinationPort}, Map: "host4"}},
			{nft.DNAT{Family: 4, Fields: []nft.Field{nft.L4Proto, nft.DestinationPort}, Map: "host4_any"}},
		}},
		{
			Name: "postrouting", Hook: nat(nft.Postrouting, nft.PrioritySourceNAT),
			Rules: []nft.Rule{
				// DNAT sent a container to one of ours: the answer has to come back
				// through the host. By source, because bridged packets have no
				// input link here.
				{in("own", nft.OutputName), nft.DNATed, outwards},
				{in("pfx6", nft.IPv6Source), in("own", nft.OutputName), nft.DNATed, nft.Masquerade},
				{in("pfx4", nft.IPv4Source), in("own", nft.OutputName), nft.DNATed, nft.Masquerade},
				// Between our networks the source is kept.
				{in("own", nft.OutputName), nft.Accept},
				{outwards},
				{nft.SNAT{Map: "source6"}},
				{in("hidden6", nft.IPv6Source), nft.Masquerade},
				{in("hidden4", nft.IPv4Source), nft.Masquerade},
			},
		},
	}
}
