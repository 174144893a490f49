package firewall

import (
	"net/netip"

	"github.com/ndp6/ndp6/netutil/nft"
)

var (
	linkLocal6 = netip.MustParsePrefix("fe80::/10")
	loopback6  = netip.PrefixFrom(netip.IPv6Loopback(), 128)
	loopback4  = netip.MustParsePrefix("127.0.0.0/8")
)

// These rules are where a packet is decided about anyway, not in a chain
// before conntrack: one more base chain costs more than all of them.

// foreignSources drop what pretends to be from a container and comes from elsewhere.
func foreignSources() []nft.Rule {
	return []nft.Rule{
		drop(countSpoof, in("ours6", nft.IPv6Source), notIn("own", nft.InputName)),
		drop(countSpoof, in("pfx4", nft.IPv4Source), notIn("own", nft.InputName)),
	}
}

// ownSources drop what a container sends with an address that is no
// container's, if it also matches all of also.
func ownSources(also ...nft.Statement) []nft.Rule {
	return []nft.Rule{
		drop(countSpoof, append([]nft.Statement{notIn("pfx6", nft.IPv6Source)}, also...)...),
		drop(countSpoof, append([]nft.Statement{notIn("pfx4", nft.IPv4Source)}, also...)...),
	}
}

// noRouting drops routing headers of containers: nobody has one but to go
// around a filter (RFC 5095). Where TCP or UDP comes first, there is none.
func noRouting() nft.Rule {
	return drop(countRouting,
		nft.Is{Field: nft.IPv6Next, Not: true, Value: nft.ProtoTCP},
		nft.Is{Field: nft.IPv6Next, Not: true, Value: nft.ProtoUDP},
		nft.Extension("rt"))
}

// hiddenChain drops what somebody who knows the addresses behind NAT routes to
// them by way of us. It is not for flows that are established: they have been
// here, or began behind NAT.
func hiddenChain() nft.Chain {
	return nft.Chain{Name: "hidden", Rules: []nft.Rule{
		{in("own", nft.InputName), nft.Return},
		drop(countHidden, in("hidden6", nft.FlowDestination)),
		drop(countHidden, in("hidden4", nft.FlowDestination4)),
		// What is of no flow is not translated either.
		drop(countHidden, nft.Invalid, in("hidden6", nft.IPv6Destination)),
		drop(countHidden, nft.Invalid, in("hidden4", nft.IPv4Destination)),
		drop(countHidden, nft.Untracked, in("hidden6", nft.IPv6Destination)),
		drop(countHidden, nft.Untracked, in("hidden4", nft.IPv4Destination)),
	}}
}
