package conformance_test

// kernels is why what the kernel does by itself has no test of ours.
const kernels = "The kernel does it, and ndp6 leaves it alone."

// discovery are the standards of neighbor discovery.
func discovery() []standard {
	return []standard{
		{4861, "Neighbor Discovery", []clause{
			{"6.1.2", "validity", must, "A router advertisement counts only from a link-local address, with hop limit 255, code 0 and the right checksum and length.", ""},
			{"6.3.4", "default router", must, "What a router advertised stays and is renewed, though the host forwards now.", ""},
			{"7.1.1", "validity", must, "A solicitation counts only with hop limit 255, code 0, the right checksum and length, a target that is no group, options that have a length, and from nobody only to the target's group and without a source option.", ""},
			{"7.1.1", "unknown options", must, "Options that are not known are ignored.", ""},
			{"7.1.2", "validity", must, "The same of advertisements; to a group only with Solicited clear.", ""},
			{"7.2.3", "others", must, "A solicitation for an address that is neither ours nor proxied is not answered.", ""},
			{"7.2.4", "target", must, "The answer has the target of the solicitation.", ""},
			{"7.2.4", "link-layer option", must, "The answer to a multicast solicitation has the target's link-layer address; in that to a unicast one it may be left out.", ""},
			{"7.2.4", "solicited", must, "The answer goes to who asked, with Solicited set.", ""},
			{"7.2.4", "probe", must, "The answer to nobody goes to all nodes, with Solicited clear.", ""},
			{"7.2.4", "resolve", plain, "Who leaves the source option out is looked for and answered, not ignored.", ""},
			{"7.2.4", "router flag", must, "A router sets the Router flag.", "Linux says of the target, not of the sender, whether it is a router, and a container is none: the flag is clear in answers and announcements. Nobody takes a container for a default router, so nobody misses it."},
			{"7.2.6", "count", must, "At most three unsolicited advertisements, a second apart.", ""},
			{"7.2.6", "pause", should, "Between those of many addresses there is a small delay.", ""},
			{"7.2.6", "solicited", must, "They have Solicited clear.", ""},
			{"7.2.6", "changed", may, "They are sent when the link-layer address changes.", ""},
			{"7.2.8", "groups", must, "A proxy joins the solicited-node group of each address, and says so by MLD.", ""},
			{"7.2.8", "override", must, "A proxy's answers have Override clear.", ""},
			{"7.2.8", "announcement", may, "A proxy's unsolicited advertisements may have Override set.", ""},
			{"7.2.8", "delay", should, "A proxy waits before it answers, unless it is the only one: ndp6 is, and does not.", ""},
			{"7.3.3", "probe", plain, "A router that probes by unicast finds the address reachable.", ""},
			{"8.2", "redirect", should, "A router redirects hosts to a better first hop.", kernels},
		}},
		{4862, "Stateless Address Autoconfiguration", []clause{
			{"5.4", "before use", must, "An address is probed before it is used, whatever it is made of. What a random MAC makes is probed beside its use (RFC 4429).", ""},
			{"5.4", "defense", plain, "Another host that probes for a container's address is told that it is in use.", ""},
			{"5.4.2", "form", must, "A probe comes from nobody, goes to the target's group, and has no source option.", ""},
			{"5.4.2", "group", must, "The group is joined before the probe is sent.", "The probe listens on the group, but tells no switch so: one that snoops may keep another host's probe from it. An owner's answer goes to all nodes and is heard."},
			{"5.4.3", "duplicates", must, "Another host's probe for the same address is a duplicate; a solicitation from an address is none.", ""},
			{"5.4.4", "advertisement", must, "An advertisement of the address is a duplicate.", ""},
			{"5.4.5", "failure", must, "A duplicate is not used, and is logged.", ""},
			{"5.1", "wait", plain, "A probe waits a second (RetransTimer) for an answer.", "docker run waits 200 ms, where the user chose the address: an owner on the link answers within milliseconds. Beside the use of a random one it is a second."},
			{"5.5.3", "two hours", must, "An advertisement shortens a valid lifetime to two hours at least.", kernels},
			{"5.5.4", "deprecated", should, "A deprecated address keeps its flows and gets no new ones.", ""},
		}},
		{4429, "Optimistic Duplicate Address Detection", []clause{
			{"3.3", "beside", may, "An address that hardly collides is used while it is probed, and withdrawn when it does.", ""},
		}},
		{7527, "Enhanced Duplicate Address Detection", []clause{
			{"4.1", "nonce", must, "A probe has a random nonce.", ""},
			{"4.2", "looped back", must, "A probe that comes back is no other host's.", ""},
		}},
		{9131, "Gratuitous Neighbor Discovery", []clause{
			{"6.1.2", "announcement", should, "A new address is announced, so that routers know it before they ask.", ""},
			{"6.1.2", "override", should, "To all routers, with Override clear.", "To all nodes, routers among them, with Override set: a host that knows the address elsewhere must learn that it moved (RFC 4861 7.2.8 allows it)."},
		}},
		{6980, "Fragmentation and Neighbor Discovery", []clause{
			{"5", "sending", must, "Neighbor discovery is never sent in fragments.", ""},
			{"5", "receiving", must, "What comes in a fragment is ignored.", ""},
			{"5", "guard", must, "What a container sends so does not reach its neighbors.", ""},
		}},
		{5942, "IPv6 Subnet Model", []clause{
			{"4", "on-link", must, "A container takes for on-link only what it is told: its pool. All else goes to the router fe80::1.", ""},
			{"4", "received", must, "A received solicitation or advertisement makes no address on-link.", kernels},
		}},
		{3810, "Multicast Listener Discovery 2", []clause{
			{"6.1", "report", must, "A group that is joined is reported at once, so that switches send it.", ""},
			{"6.1", "leave", must, "So is one that is left.", ""},
		}},
		{4541, "MLD Snooping Switches", []clause{
			{"3", "bridge", should, "A switch without a querier must not keep solicitations from anybody: ndp6's bridges do not snoop.", ""},
			{"3", "switch", plain, "Behind one that snoops and is the querier, every solicitation is answered.", ""},
		}},
	}
}
