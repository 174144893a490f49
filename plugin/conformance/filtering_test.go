package conformance_test

// filtering are the standards of what a firewall lets by.
func filtering() []standard {
	return []standard{
		{4890, "Filtering ICMPv6", []clause{
			{"4.3.1", "errors", must, "Unreachable, too big, time exceeded and parameter problem pass to every container.", ""},
			{"4.3.1", "echo", must, "Echo requests and their replies pass.", ""},
			{"4.3.1", "limits", plain, "Echo requests are limited, errors are not: without them flows hang.", ""},
			{"4.3.3", "stays", must, "What is for one link does not pass to another: 130 to 137, 141 to 143, 148, 149, 151 to 153.", ""},
			{"4.3.3", "bridged", must, "Inside a bridge the same messages pass, MLD behind its hop-by-hop header too.", ""},
			{"4.3.4", "policy", plain, "Types that nobody knows pass to open networks, and to no other.", ""},
			{"4.3.5", "dropped", should, "Node information and router renumbering do not pass.", ""},
			{"4.4.1", "host", must, "What the host itself needs passes, though a network keeps its containers from the host's services.", ""},
		}},
		{6092, "Simple Security", []clause{
			{"REC-4", "outbound", must, "No packet with a routing header of type 0 leaves.", ""},
			{"REC-4", "inbound", must, "None comes in.", "To a published port it does: the container's kernel discards it, as RFC 5095 3 demands, and the rule would cost every packet."},
			{"REC-5", "outbound source", must, "What leaves has a source of the network it comes from.", ""},
			{"REC-6", "inbound source", must, "What comes in has no source of a network inside.", ""},
			{"REC-7", "unique local", should, "Unique local addresses do not pass to the exterior.", "Hidden ones do not (RFC 4193 4.3). A routed network with a unique local pool is one that the user asked for, in a site that routes it."},
			{"REC-10", "errors of no flow", should, "Errors that match no flow do not pass.", "They do: a packet that came by another way has its errors here, and a flow that hears no \"too big\" hangs."},
			{"REC-14", "UDP", must, "A UDP flow between high ports is kept two minutes.", "The kernel's conntrack keeps one that was answered two minutes, and one that was not half a minute, by sysctls that ndp6 does not change."},
			{"REC-18", "errors of flows", must, "Errors about a flow pass, whatever is translated.", ""},
			{"REC-31", "established", must, "What belongs to a flow passes, though the rules changed.", ""},
			{"REC-33", "inbound", should, "What nobody asked for does not pass, but to published ports.", ""},
			{"REC-34", "refusal", must, "An unsolicited connection is refused by an error after six seconds.", "It is dropped without a word, as on Docker's own networks."},
			{"REC-49", "transparent", must, "An option lets everything pass.", ""},
		}},
		{2827, "Ingress Filtering (BCP 38)", []clause{
			{"3", "port", should, "A container sends only from its own addresses, and its own MAC.", ""},
			{"3", "forwarded", should, "Nor do others forge the address of a container.", ""},
		}},
		{6105, "RA-Guard", []clause{
			{"3", "routers", plain, "A container sends no router advertisements and redirects, and no answers of a DHCP server.", ""},
			{"3", "neighbors", plain, "Nor does it say that it has the address of another.", ""},
		}},
		{7113, "RA-Guard Evasion", []clause{
			{"3", "headers", must, "Not behind extension headers either.", ""},
			{"3", "fragments", must, "Nor in fragments.", ""},
		}},
		{5095, "Type 0 Routing Headers", []clause{
			{"4.2", "firewall", must, "A packet of a container with one does not pass.", ""},
			{"4.2", "other types", must, "Packets with routing headers of other types pass by default.", "They do not, from a container: nobody has one there but to go around a filter. ndp6.guard=off does not change that."},
		}},
		{6583, "Operational Neighbor Discovery Problems", []clause{
			{"6.1", "unused", should, "Addresses that no container has are not answered for, so that nothing is sent there.", ""},
			{"7.1", "tables", should, "Whatever a container sends, the host's tables do not fill.", ""},
		}},
	}
}

// forwarding are the standards of what a router does.
func forwarding() []standard {
	return []standard{
		{8200, "IPv6", []clause{
			{"5", "MTU", must, "A link has an MTU of 1280 at least.", ""},
		}},
		{8201, "Path MTU Discovery", []clause{
			{"4", "too big", must, "Who sends more than a link takes is told, and sends less, in both directions.", ""},
			{"4", "MTU", plain, "A container's link has the MTU of the uplink, so that it need not be told.", ""},
		}},
		{4443, "ICMPv6", []clause{
			{"2.2", "source", must, "An error comes from an address of the host that its receiver believes.", ""},
			{"2.4", "errors", must, "No error answers an error or goes to a group, and they are limited.", kernels},
		}},
		{4191, "Router Preferences", []clause{
			{"3.1", "preference", plain, "The uplink is the link of the router with the highest preference.", ""},
		}},
		{6296, "NPTv6", []clause{
			{"2.1", "one to one", plain, "Each address inside has one outside, at which what it published is reached.", ""},
			{"4.3", "hairpin", must, "A container reaches another at its address outside.", ""},
			{"3.1", "checksum", must, "The translation leaves checksums as they are.", "nftables maps prefixes with conntrack, and the identifier stays the same. The two translations of the kernel that do otherwise exist in ip6tables alone."},
			{"2.5", "state", plain, "The translation has no state.", "It has, that of conntrack, for the same reason."},
			{"3.7", "zeros", must, "An identifier of zeros is not translated.", "It is the subnet-router anycast address, which no container has (RFC 4291 2.6.1)."},
		}},
		{8504, "Node Requirements", []clause{
			{"5.4", "discovery", must, "A node does RFC 4861.", "Its clauses are above."},
			{"5.11", "MLD", must, "A node that needs groups does MLD.", "The clauses of RFC 3810 are above."},
			{"6.3", "autoconfiguration", must, "A node does RFC 4862.", "Its clauses are above."},
		}},
	}
}
