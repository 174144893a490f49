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

// rawChains drop what no flow may start or go on with, before there is one.
func rawChains() []nft.Chain {
	loopback := []nft.Rule{
		// The kernel refuses both, unless route_localnet is on.
		drop(countLoopback, nft.Within{Field: nft.IPv6Destination, Prefix: loopback6}),
		drop(countLoopback, nft.Within{Field: nft.IPv4Destination, Prefix: loopback4}),
	}
	outside := append([]nft.Rule{
		// Somebody on the link could route to what is behind NAT by way of us.
		drop(countHidden, in("hidden6", nft.IPv6Destination)),
		drop(countHidden, in("hidden4", nft.IPv4Destination)),
	}, loopback...)
	return []nft.Chain{
		{
			Name: "raw", Hook: filter(nft.Prerouting, nft.PriorityRaw),
			Rules: append([]nft.Rule{{vmap("arriving", nft.InputName)}}, outside...),
		},
		{Name: "from_uplink", Rules: append([]nft.Rule{
			drop(countSpoof, in("ours6", nft.IPv6Source)),
			drop(countSpoof, in("pfx4", nft.IPv4Source)),
		}, outside...)},
		{Name: "from_own", Rules: append([]nft.Rule{
			// RFC 5095: nobody routes by it but to go around a filter.
			drop(countRouting, nft.Extension("rt")),
		}, append(loopback, []nft.Rule{
			{nft.Within{Field: nft.IPv6Source, Prefix: linkLocal6}, nft.Accept},
			{nft.Within{Field: nft.IPv6Source, Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 128)}, nft.Accept},
			drop(countSpoof, notIn("pfx6", nft.IPv6Source)),
			drop(countSpoof, notIn("pfx4", nft.IPv4Source)),
		}...)...)},
	}
}
