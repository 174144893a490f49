package frames

import (
	"net/netip"

	"github.com/ndp6/ndp6/netutil/inet"
)

// Types of ICMPv6 messages and of their options (RFC 4861, 3810, 4620).
const (
	mldQuery   = 130
	mldReport  = 131
	routerSol  = 133
	routerAdv  = 134
	neighSol   = 135
	neighAdv   = 136
	redirect   = 137
	infoQuery  = 139
	mld2Report = 143

	sourceMAC = 1
	targetMAC = 2
)

var (
	unspecified = netip.IPv6Unspecified()
	allRouters  = netip.MustParseAddr("ff02::2")
	mldRouters  = netip.MustParseAddr("ff02::16")
	// evil is a MAC that nobody on the bridge has.
	evil = inet.MAC{0x02, 0x66, 0x66, 0x66, 0x66, 0x66}
)

func solicitation(target netip.Addr, options ...[]byte) []byte {
	return concat([]byte{0, 0, 0, 0}, target.AsSlice(), concat(options...))
}

// advertisement overrides what receivers know (RFC 4861 4.4).
func advertisement(target netip.Addr, options ...[]byte) []byte {
	return concat([]byte{0x20, 0, 0, 0}, target.AsSlice(), concat(options...))
}

// routerAdvertisement gives everybody an address in 2001:db8:bad::/64.
func routerAdvertisement() []byte {
	prefix := netip.MustParseAddr("2001:db8:bad::")
	return concat([]byte{64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0},
		[]byte{3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x07, 0x08, 0, 0, 0, 0}, prefix.AsSlice())
}

// legit are frames that every container sends, or may.
func (s Scene) legit() []Frame {
	own, lla := s.Sender.Addr6, s.Sender.lla()
	owner := neighborOption(targetMAC, s.Sender.MAC)
	asker := neighborOption(sourceMAC, s.Sender.MAC)
	nonce := []byte{14, 1, 1, 2, 3, 4, 5, 6}
	ask := inet.SolicitedNode(s.Neighbor.Addr6)
	probe := inet.SolicitedNode(own)
	probeLLA := inet.SolicitedNode(lla)
	report := func(from netip.Addr) []byte {
		return concat(routerAlert(protoICMPv6), icmpv6(from, mldRouters, mld2Report,
			concat([]byte{0, 0, 0, 1, 4, 0, 0, 0}, probe.AsSlice())))
	}
	return []Frame{
		s.Echo(0),
		legit("echo-lla", s.multicast6(lla, inet.AllNodes, protoICMPv6, 64, icmpv6(lla, inet.AllNodes, 128, []byte{0, 0, 0, 2}))),
		legit("udp", s.unicast6(own, protoUDP, 64, udp(netip.AddrPortFrom(own, 4000), netip.AddrPortFrom(s.Neighbor.Addr6, 53), []byte("udp")))),
		legit("dhcp6-client", s.unicast6(lla, protoUDP, 64, udp(netip.AddrPortFrom(lla, 546), netip.AddrPortFrom(s.Neighbor.Addr6, 547), []byte("client")))),
		legit("udp-fragment", s.unicast6(own, protoFragment, 64, concat(fragment(protoUDP),
			udp(netip.AddrPortFrom(own, 4000), netip.AddrPortFrom(s.Neighbor.Addr6, 53), []byte("fragment"))))),
		legit("na-own-ok", s.message(own, inet.AllNodes, neighAdv, advertisement(own, owner))),
		legit("na-own-short", s.message(own, inet.AllNodes, neighAdv, advertisement(own))),
		legit("na-lla-ok", s.message(lla, inet.AllNodes, neighAdv, advertisement(lla, owner))),
		legit("ns-ok", s.message(own, ask, neighSol, solicitation(s.Neighbor.Addr6, asker))),
		legit("ns-lla-ok", s.message(lla, ask, neighSol, solicitation(s.Neighbor.Addr6, asker))),
		legit("dad-own", s.message(unspecified, probe, neighSol, solicitation(own))),
		legit("dad-own-nonce", s.message(unspecified, probe, neighSol, solicitation(own, nonce))),
		legit("dad-lla-nonce", s.message(unspecified, probeLLA, neighSol, solicitation(lla, nonce))),
		legit("rs", s.message(lla, allRouters, routerSol, concat([]byte{0, 0, 0, 0}, asker))),
		legit("rs-unspecified", s.message(unspecified, allRouters, routerSol, []byte{0, 0, 0, 0})),
		legit("mld2-report", s.multicast6(lla, mldRouters, protoHopByHop, 1, report(lla))),
		legit("mld2-report-unspecified", s.multicast6(unspecified, mldRouters, protoHopByHop, 1, report(unspecified))),
		legit("mld-report", s.multicast6(lla, probe, protoHopByHop, 1, concat(routerAlert(protoICMPv6),
			icmpv6(lla, probe, mldReport, concat([]byte{0, 0, 0, 0}, probe.AsSlice()))))),
		legit("arp-own", s.broadcastARP(1, s.Sender.MAC, s.Sender.Addr4, s.Neighbor.Addr4)),
		legit("arp-announce", s.broadcastARP(1, s.Sender.MAC, s.Sender.Addr4, s.Sender.Addr4)),
		legit("echo4", s.unicast4(s.Sender.Addr4, protoICMPv4, echo4(1))),
	}
}

// routing are frames of routers and servers.
func (s Scene) routing() []Frame {
	own, lla := s.Sender.Addr6, s.Sender.lla()
	ra := icmpv6(lla, inet.AllNodes, routerAdv, routerAdvertisement())
	query := concat([]byte{0x27, 0x10, 0, 0}, unspecified.AsSlice(), []byte{2, 125, 0, 0})
	server := func(from netip.Addr) []byte {
		return udp(netip.AddrPortFrom(from, 547), netip.AddrPortFrom(s.Neighbor.Addr6, 546), []byte("server"))
	}
	return []Frame{
		foreign("ra", s.multicast6(lla, inet.AllNodes, protoICMPv6, ndHopLimit, ra)),
		foreign("ra-hbh", s.multicast6(lla, inet.AllNodes, protoHopByHop, ndHopLimit, concat(options(protoICMPv6), ra))),
		foreign("ra-dstopt", s.multicast6(lla, inet.AllNodes, protoDestOptions, ndHopLimit, concat(options(protoICMPv6), ra))),
		foreign("ra-frag1", s.multicast6(lla, inet.AllNodes, protoFragment, ndHopLimit, concat(fragment(protoICMPv6), ra))),
		foreign("ra-dstopt-frag1", s.multicast6(lla, inet.AllNodes, protoDestOptions, ndHopLimit,
			concat(options(protoFragment), fragment(protoICMPv6), ra))),
		foreign("ra-unicast", s.unicast6(lla, protoICMPv6, ndHopLimit, icmpv6(lla, s.Neighbor.Addr6, routerAdv, routerAdvertisement()))),
		foreign("ra-spoof-gw", s.message(s.Gateway.lla(), inet.AllNodes, routerAdv, routerAdvertisement())),
		foreign("redirect", s.unicast6(lla, protoICMPv6, ndHopLimit, icmpv6(lla, s.Neighbor.Addr6, redirect,
			concat([]byte{0, 0, 0, 0}, lla.AsSlice(), s.Gateway.Addr6.AsSlice())))),
		foreign("dhcp6", s.unicast6(lla, protoUDP, 64, server(lla))),
		foreign("dhcp6-hbh", s.unicast6(own, protoHopByHop, 64, concat(options(protoUDP), server(own)))),
		foreign("dhcp4", s.unicast4(s.Sender.Addr4, protoUDP,
			udp(netip.AddrPortFrom(s.Sender.Addr4, 67), netip.AddrPortFrom(s.Neighbor.Addr4, 68), []byte("server")))),
		foreign("mld-query", s.multicast6(lla, inet.AllNodes, protoHopByHop, 1,
			concat(routerAlert(protoICMPv6), icmpv6(lla, inet.AllNodes, mldQuery, query)))),
		foreign("ni-query", s.unicast6(own, protoICMPv6, ndHopLimit, icmpv6(own, s.Neighbor.Addr6, infoQuery,
			concat([]byte{0, 2, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, s.Neighbor.Addr6.AsSlice())))),
	}
}

// neighbors are lies about who has which address.
func (s Scene) neighbors() []Frame {
	own, gw := s.Sender.Addr6, s.Gateway.lla()
	mine, other := s.Sender.MAC, evil
	ask := inet.SolicitedNode(s.Neighbor.Addr6)
	na := func(name string, body []byte) Frame {
		return foreign(name, s.message(own, inet.AllNodes, neighAdv, body))
	}
	ns := func(name string, from netip.Addr, body []byte) Frame {
		return foreign(name, s.message(from, ask, neighSol, body))
	}
	dad := func(name string, target netip.Addr) Frame {
		return foreign(name, s.message(unspecified, inet.SolicitedNode(target), neighSol, solicitation(target)))
	}
	return []Frame{
		na("na-gw", advertisement(gw, neighborOption(targetMAC, mine))),
		na("na-gw-global", advertisement(s.Gateway.Addr6, neighborOption(targetMAC, mine))),
		na("na-gw-short", advertisement(gw)),
		na("na-neighbor", advertisement(s.Neighbor.Addr6, neighborOption(targetMAC, mine))),
		na("na-own-evil-lla", advertisement(own, neighborOption(targetMAC, other))),
		na("na-2opts", advertisement(own, neighborOption(targetMAC, mine), neighborOption(targetMAC, other))),
		na("na-own-source-option", advertisement(own, neighborOption(sourceMAC, mine))),
		foreign("na-unspecified", s.message(unspecified, inet.AllNodes, neighAdv, advertisement(own, neighborOption(targetMAC, mine)))),
		foreign("na-hbh", s.multicast6(own, inet.AllNodes, protoHopByHop, ndHopLimit, concat(options(protoICMPv6),
			icmpv6(own, inet.AllNodes, neighAdv, advertisement(own, neighborOption(targetMAC, other)))))),
		ns("ns-slla-evil", own, solicitation(s.Neighbor.Addr6, neighborOption(sourceMAC, other))),
		ns("ns-2opts", own, solicitation(s.Neighbor.Addr6, neighborOption(sourceMAC, mine), neighborOption(sourceMAC, other))),
		ns("ns-spoof-gw", gw, solicitation(s.Neighbor.Addr6, neighborOption(sourceMAC, mine))),
		dad("dad-other", s.Neighbor.Addr6),
		dad("dad-gw", gw),
	}
}

// addresses are frames under somebody else's address.
func (s Scene) addresses() []Frame {
	own, own4 := s.Sender.Addr6, s.Sender.Addr4
	probe := func(from netip.Addr, id byte) []byte {
		return s.unicast6(from, protoICMPv6, 64, icmpv6(from, s.Neighbor.Addr6, 128, []byte{0, 1, 0, id}))
	}
	macSpoof := probe(own, 1)
	copy(macSpoof[6:], evil[:])
	gatewayMAC := probe(own, 2)
	copy(gatewayMAC[6:], s.Gateway.MAC[:])
	macSpoof4 := s.unicast4(own4, protoICMPv4, echo4(2))
	copy(macSpoof4[6:], evil[:])
	return []Frame{
		foreign("mac-spoof", macSpoof),
		foreign("mac-spoof-gw", gatewayMAC),
		foreign("mac-spoof4", macSpoof4),
		foreign("ip-spoof", probe(netip.MustParseAddr("2001:db8:bad::1"), 3)),
		foreign("ip-spoof-gw", probe(s.Gateway.Addr6, 4)),
		foreign("ip-unspecified", probe(unspecified, 5)),
		foreign("ip4-spoof", s.unicast4(s.Gateway.Addr4, protoICMPv4, echo4(3))),
		foreign("ip4-unspecified", s.unicast4(netip.IPv4Unspecified(), protoICMPv4, echo4(4))),
		foreign("arp-gw", s.broadcastARP(2, s.Sender.MAC, s.Gateway.Addr4, s.Gateway.Addr4)),
		foreign("arp-neighbor", s.broadcastARP(1, s.Sender.MAC, s.Neighbor.Addr4, s.Gateway.Addr4)),
		foreign("arp-own-evil-mac", s.broadcastARP(2, evil, own4, own4)),
	}
}

// links are frames of bridges and switches.
func (s Scene) links() []Frame {
	own := s.Sender.Addr6
	inVLAN := func(id byte) []byte {
		return s.unicast6(own, protoICMPv6, 64, icmpv6(own, s.Neighbor.Addr6, 128, []byte{0, 5, 0, id}))
	}
	// An 802.3 frame has its length where others have the type.
	bpdu := append([]byte{0x42, 0x42, 0x03}, make([]byte, 35)...)
	return []Frame{
		foreign("vlan", tag(inVLAN(1), 7)),
		foreign("vlan-0", tag(inVLAN(2), 0)),
		foreign("vlan-udp", tag(s.unicast6(own, protoUDP, 64, udp(netip.AddrPortFrom(own, 4000), netip.AddrPortFrom(s.Neighbor.Addr6, 54), []byte("vlan"))), 7)),
		foreign("stp", ethernet(inet.MAC{0x01, 0x80, 0xc2, 0, 0, 0}, s.Sender.MAC, uint16(len(bpdu)), bpdu)),
		{
			Name: "lldp", Eaten: true,
			Bytes: ethernet(inet.MAC{0x01, 0x80, 0xc2, 0, 0, 0x0e}, s.Sender.MAC, typeLLDP, append([]byte{2, 7, 4}, s.Sender.MAC[:]...)),
		},
		foreign("ethertype", ethernet(s.Neighbor.MAC, s.Sender.MAC, 0x88b5, []byte("local experiment"))),
	}
}
