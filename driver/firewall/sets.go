package firewall

import (
	"cmp"
	"slices"

	"github.com/ndp6/ndp6/netutil/nft"
)

// linkSets say what each link is.
func linkSets(p Policy) []nft.Set {
	var own, icmpOnly []string
	inside := pairSet("inside")
	isolated := pairSet("isolated")
	from, to := verdictMap("from"), verdictMap("to")
	add := func(m *nft.Set, link string, v nft.Verdict) {
		m.Elements = append(m.Elements, nft.Element{nft.LinkName(link), v})
	}
	networks := slices.Clone(p.Networks)
	slices.SortFunc(networks, func(a, b Network) int { return cmp.Compare(a.Bridge, b.Bridge) })
	networks = slices.CompactFunc(networks, func(a, b Network) bool { return a.Bridge == b.Bridge })
	for _, n := range networks {
		own = append(own, n.Bridge)
		if n.HostICMPOnly {
			icmpOnly = append(icmpOnly, n.Bridge)
		}
		if n.Isolated {
			isolated.Elements = append(isolated.Elements, pair(n.Bridge))
		} else {
			inside.Elements = append(inside.Elements, pair(n.Bridge))
		}
		leave, enter := nft.Goto("leaving"), nft.Goto("entering")
		switch {
		case n.Internal:
			leave, enter = "leaving_internal", "entering_internal"
		case n.Isolated:
			leave = "leaving_isolated"
		}
		add(&from, n.Bridge, leave)
		add(&to, n.Bridge, enter)
	}
	uplinks := slices.DeleteFunc(sorted(p.Uplinks), func(name string) bool { return slices.Contains(own, name) })
	same := pairSet("uplink_inside")
	for _, name := range uplinks {
		same.Elements = append(same.Elements, pair(name))
	}
	return []nft.Set{
		linkSet("own", own), inside, isolated, linkSet("icmp_only", icmpOnly),
		linkSet("uplinks", uplinks), same, from, to,
	}
}

func linkSet(name string, links []string) nft.Set {
	set := nft.Set{Name: name, Type: []nft.Type{nft.LinkNameType}}
	for _, link := range links {
		set.Elements = append(set.Elements, nft.Element{nft.LinkName(link)})
	}
	return set
}

// A pairSet has a link twice: packets that go out where they came in.
func pairSet(name string) nft.Set {
	return nft.Set{Name: name, Type: []nft.Type{nft.LinkNameType, nft.LinkNameType}}
}

func pair(link string) nft.Element { return nft.Element{nft.LinkName(link), nft.LinkName(link)} }

func verdictMap(name string) nft.Set {
	return nft.Set{Name: name, Type: []nft.Type{nft.LinkNameType}, Data: []nft.Type{nft.VerdictType}}
}

func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// messageSets are kinds of ICMPv6 messages (RFC 4890).
func messageSets() []nft.Set {
	errors := []nft.ICMPv6{1, 2, 3, 4}
	discovery := []nft.ICMPv6{133, 134, 135, 136, 137}
	return []nft.Set{
		messageSet("errors6", errors),
		messageSet("discovery", discovery),
		// What is for one link only: multicast listeners, neighbors and
		// their inverse, renumbering, node information, router discovery of multicast.
		messageSet("stays", append([]nft.ICMPv6{130, 131, 132, 138, 139, 140, 141, 142, 143, 148, 149, 151, 152, 153}, discovery...)),
		// What a container must be able to tell the host to have a network at all.
		messageSet("to_host6", append([]nft.ICMPv6{131, 132, 133, 135, 136, 143}, errors...)),
	}
}

func messageSet(name string, types []nft.ICMPv6) nft.Set {
	slices.Sort(types)
	set := nft.Set{Name: name, Type: []nft.Type{nft.ICMPv6Type}}
	for _, t := range types {
		set.Elements = append(set.Elements, nft.Element{t})
	}
	return set
}

// endpointSets are those that endpoints have elements in.
func endpointSets() []nft.Set {
	var sets []nft.Set
	for _, f := range []struct {
		suffix string
		addr   nft.Type
	}{{"6", nft.IPv6Type}, {"4", nft.IPv4Type}} {
		port := []nft.Type{nft.ProtoType, nft.PortType}
		at := append([]nft.Type{f.addr}, port...)
		target := []nft.Type{f.addr, nft.PortType}
		sets = append(sets,
			nft.Set{Name: "open" + f.suffix, Type: []nft.Type{f.addr}},          // containers that everybody may reach
			nft.Set{Name: "pub" + f.suffix, Type: at},                           // ports of containers, at their own addresses
			nft.Set{Name: "nat" + f.suffix, Type: at},                           // those that are reached through the host only
			nft.Set{Name: "host" + f.suffix, Type: at, Data: target},            // ports of one address of the host
			nft.Set{Name: "host" + f.suffix + "_any", Type: port, Data: target}, // ports of all its addresses
			nft.Set{Name: "relay" + f.suffix, Type: at},                         // the same without targets: to our relay
			nft.Set{Name: "relay" + f.suffix + "_any", Type: port},              //
		)
	}
	return append(sets, nft.Set{Name: "stateless6", Type: []nft.Type{nft.IPv6Type, nft.ProtoType, nft.PortType}}) // see Endpoint.Stateless
}
