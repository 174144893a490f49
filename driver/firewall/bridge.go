package firewall

import (
	"net/netip"

	"github.com/ndp6/ndp6/netutil/nft"
)

// hostSidePrefix is what the names of endpoints' ports start with.
const hostSidePrefix = "ndh-"

// Counters of what the bridge table drops.
const (
	countPort  = "d_port"  // port of ours without an endpoint
	countMAC   = "d_mac"   // another source MAC
	countSrc   = "d_src"   // another source address
	countRA    = "d_ra"    // what only routers send
	countDHCP  = "d_dhcp"  // what only DHCP servers send
	countNA    = "d_na"    // lie about a neighbor
	countDAD   = "d_dad"   // probe for another's address
	countFrag  = "d_frag"  // fragment where neighbor discovery could be in it
	countProto = "d_proto" // neither IP nor ARP
	countARP   = "d_arp"   // lie about an IPv4 neighbor
	countPeer  = "d_peer"  // between ports of an isolated network
)

func bridgeCounters() []string {
	return []string{
		countPort, countMAC, countSrc, countRA, countDHCP, countNA, countDAD, countFrag, countProto, countARP, countPeer,
	}
}

// bridgeTable guards the bridges against what containers claim to be. It goes
// by the names of ports: what is known of their bridges differs by kernel.
func bridgeTable(p Policy) nft.Table {
	t := nft.Table{
		Family: nft.Bridge, Counters: bridgeCounters(),
		Sets: []nft.Set{
			// Two sets, because a change of a verdict map costs the more the
			// more elements it has: the kernel checks all their chains anew.
			linkSet("guarded", nil),
			linkSet("unguarded", nil),
			{Name: "from_ok", Type: []nft.Type{nft.LinkNameType, nft.EtherType, nft.IPv6Type}},
			{Name: "mac_ok", Type: []nft.Type{nft.LinkNameType, nft.EtherType}},
			{Name: "mac_nd", Type: []nft.Type{nft.LinkNameType, nft.LLAType}},
			{Name: "ip6_ok", Type: []nft.Type{nft.LinkNameType, nft.IPv6Type}},
			{Name: "ip4_ok", Type: []nft.Type{nft.LinkNameType, nft.IPv4Type}},
			linkSet("peers", nil),
			messageSet("routers", []nft.ICMPv6{130, 134, 137, 138, 139, 140, 148, 149, 151, 153}),
			messageSet("unspecified", []nft.ICMPv6{131, 132, 133, 143}),
		},
		Chains: []nft.Chain{{
			Name: "prerouting", Hook: filter(nft.Prerouting, nft.PriorityBridge),
			Rules: []nft.Rule{{nft.NamePrefix{Field: nft.InputName, Prefix: hostSidePrefix}, nft.Goto("port")}},
		}},
	}
	for _, n := range p.Networks {
		if n.Isolated {
			// The kernel's own isolation of ports says the same; this says it
			// for a port that it is not switched on for yet.
			t.Chains = append(t.Chains, nft.Chain{
				Name: "forward", Hook: filter(nft.Forward, nft.PriorityBridge),
				Rules: []nft.Rule{drop(countPeer, in("peers", nft.InputName), in("peers", nft.OutputName))},
			})
			break
		}
	}
	t.Chains = append(t.Chains, portChains()...)
	t.Chains = append(t.Chains, discoveryChains()...)
	return t
}

// portChains check a frame of a guarded port.
func portChains() []nft.Chain {
	carries := func(e nft.EtherProto, chain nft.Goto) nft.Rule {
		return nft.Rule{nft.Is{Field: nft.EtherProtocol, Value: e}, chain}
	}
	from := func(port nft.Number) []nft.Statement {
		return []nft.Statement{nft.Is{Field: nft.L4Proto, Value: nft.ProtoUDP}, nft.Is{Field: nft.SourcePort, Value: nft.Port(port)}}
	}
	own := in("from_ok", nft.InputName, nft.EtherSource, nft.IPv6Source)
	untagged := nft.Is{Field: nft.EtherProtocol, Value: nft.EtherIPv6}
	return []nft.Chain{
		{Name: "port", Rules: []nft.Rule{
			// Most packets: without an extension header they are neither
			// fragments nor anything but what it says. RFC 8415: DHCP servers
			// send from port 547.
			{nft.Is{Field: nft.IPv6Next, Value: nft.ProtoTCP}, untagged, own, nft.Accept},
			{nft.Is{Field: nft.IPv6Next, Value: nft.ProtoUDP}, nft.Is{Field: nft.SourcePort, Not: true, Value: nft.Port(547)}, untagged, own, nft.Accept},
			{in("guarded", nft.InputName), nft.Goto("guard")},
			{in("unguarded", nft.InputName), nft.Accept},
			drop(countPort),
		}},
		{Name: "guard", Rules: []nft.Rule{
			drop(countMAC, notIn("mac_ok", nft.InputName, nft.EtherSource)),
			carries(nft.EtherIPv6, "guard6"),
			carries(nft.EtherIPv4, "guard4"),
			carries(nft.EtherARP, "guard_arp"),
			drop(countProto),
		}},
		{Name: "guard6", Rules: []nft.Rule{
			// RFC 6980: a fragment would hide what it says.
			drop(countFrag, nft.Within{Field: nft.IPv6Destination, Prefix: netip.MustParsePrefix("ff00::/8")}, nft.Extension("frag")),
			drop(countFrag, nft.Within{Field: nft.IPv6Destination, Prefix: linkLocal6}, nft.Extension("frag")),
			{nft.Within{Field: nft.IPv6Source, Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 128)}, nft.Goto("guard_unspecified")},
			drop(countSrc, notIn("ip6_ok", nft.InputName, nft.IPv6Source)),
			drop(countRA, in("routers", nft.ICMPv6TypeField)),
			drop(countDHCP, from(547)...),
			{nft.Is{Field: nft.ICMPv6TypeField, Value: nft.ICMPv6(136)}, nft.Goto("guard_na")},
			{nft.Is{Field: nft.ICMPv6TypeField, Value: nft.ICMPv6(135)}, nft.Goto("guard_ns")},
			{nft.Accept},
		}},
		{Name: "guard4", Rules: []nft.Rule{
			drop(countSrc, notIn("ip4_ok", nft.InputName, nft.IPv4Source)),
			drop(countDHCP, from(67)...),
			{nft.Accept},
		}},
		{Name: "guard_arp", Rules: []nft.Rule{
			drop(countARP, notIn("ip4_ok", nft.InputName, nft.ARPSourceIP)),
			drop(countARP, notIn("mac_ok", nft.InputName, nft.ARPSourceMAC)),
			{nft.Accept},
		}},
	}
}

// discoveryChains check what a container says about neighbors.
func discoveryChains() []nft.Chain {
	length := func(n nft.Number) nft.Is { return nft.Is{Field: nft.IPv6Length, Value: n} }
	// A message without options has 24 bytes. With 32 it has one option, which
	// is then at a known place, or an extension header and no room for an option.
	option := func(typ nft.Number) nft.Rule {
		return nft.Rule{
			length(32),
			nft.Is{Field: nft.NDOptionType, Value: typ},
			in("mac_nd", nft.InputName, nft.NDOption), nft.Accept,
		}
	}
	own := in("ip6_ok", nft.InputName, nft.NDTarget)
	return []nft.Chain{
		{Name: "guard_na", Rules: []nft.Rule{
			drop(countNA, notIn("ip6_ok", nft.InputName, nft.NDTarget)),
			{length(24), nft.Accept},
			option(2),
			drop(countNA),
		}},
		{Name: "guard_ns", Rules: []nft.Rule{
			{length(24), nft.Accept},
			option(1),
			drop(countNA),
		}},
		{Name: "guard_unspecified", Rules: []nft.Rule{
			// RFC 4862 5.4.2, with a nonce or without (RFC 7527).
			{nft.Is{Field: nft.ICMPv6TypeField, Value: nft.ICMPv6(135)}, own, nft.Accept},
			{in("unspecified", nft.ICMPv6TypeField), nft.Accept},
			drop(countDAD),
		}},
	}
}
