package conformance_test

// addresses are the standards of what addresses are.
func addresses() []standard {
	return []standard{
		{4291, "Addressing Architecture", []clause{
			{"2.5.1", "length", must, "Interface identifiers of global addresses have 64 bits.", "Pools are /80 so that a /64 has room for many networks. Containers make no addresses by themselves, so nothing relies on the length (RFC 7136)."},
			{"2.6.1", "subnet-router anycast", must, "The first address of a prefix is the routers' and no container's.", ""},
			{"2.7.1", "solicited-node", must, "The group of an address has its low 24 bits.", ""},
			{"A", "EUI-64", plain, "The link-local address of a MAC has the universal bit inverted.", ""},
		}},
		{2464, "IPv6 over Ethernet", []clause{
			{"7", "multicast", must, "A group's MAC is 33:33 and its low 32 bits.", ""},
		}},
		{2526, "Reserved Anycast Addresses", []clause{
			{"2", "reserved", must, "The 128 highest identifiers are no container's.", ""},
		}},
		{7136, "Significance of Interface Identifiers", []clause{
			{"5", "opaque", must, "The bits of an identifier mean nothing: a MAC in its low 48 bits is no EUI-64.", ""},
		}},
		{7217, "Stable and Opaque Interface Identifiers", []clause{
			{"5", "function", must, "An identifier is made of prefix, container, counter and a secret, and none is told from another.", ""},
			{"5", "stable", must, "It is the same after a restart, and another on another host.", ""},
			{"6", "collision", must, "Where the address is taken, the counter gives the next.", ""},
		}},
		{8064, "Recommendation on Stable Interface Identifiers", []clause{
			{"3", "default", should, "By default identifiers do not hold a link-layer address.", "The default has the MAC, as Docker's own networks had it: users set it to choose the address. Docker's MACs are random and local, and no machine's. --iid opaque and name are RFC 7217's."},
		}},
		{4193, "Unique Local Addresses", []clause{
			{"3.1", "prefix", plain, "fc00::/7 is unique local, and nothing else.", ""},
			{"3.2.1", "random", must, "The global identifier of a prefix is random.", ""},
			{"4.3", "leak", should, "No packet leaves to the uplink with such a source that is hidden behind NAT or NPTv6.", ""},
		}},
		{6724, "Default Address Selection", []clause{
			{"5", "source", must, "A container sends from the address that is preferred, not from one that is deprecated.", ""},
			{"6", "destination", must, "Which address of a name is tried first is decided by the policy table.", "The container's C library does it."},
		}},
		{6164, "/127 Prefixes between Routers", []clause{
			{"6", "uplink", must, "An uplink may have a /127, which has no room for containers.", ""},
			{"6", "anycast", must, "With a /127 there is no subnet-router anycast address.", "ndp6 makes no link with a /127: the gateway of a network is link-local, and a pool longer than /126 is refused."},
		}},
		{5952, "Text of Addresses", []clause{
			{"4", "canonical", must, "Whatever form an address is given in, it is kept and shown in the canonical one.", ""},
		}},
		{8273, "Unique Prefix per Host", []clause{
			{"4", "routed", plain, "A prefix that is routed to the host is used without a proxy.", ""},
		}},
	}
}
