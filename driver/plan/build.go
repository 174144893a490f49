package plan

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/driver/firewall"
)

// LinkLocalGateway is the address of every bridge towards its containers. It
// costs no global address and is the same whatever the prefix becomes.
var LinkLocalGateway = netip.MustParseAddr("fe80::1")

// LinkLocal is the prefix of every link's own addresses (RFC 4291 2.5.6).
var LinkLocal = netip.MustParsePrefix("fe80::/64")

// defaultMTU is that of Ethernet, for networks without an uplink to follow.
const defaultMTU = 1500

// Alias prefixes tag our links, so that they are found again without records.
const (
	AliasNetwork  = "ndp6:network:"
	AliasEndpoint = "ndp6:endpoint:"
)

// Build returns what the kernel should hold for these networks and endpoints,
// in whatever order they come. An endpoint of a network that is not among them
// is left out.
func Build(networks []Network, endpoints []Endpoint, up Uplinks) Host {
	host := Shared(networks, up)
	byID := make(map[string]Network, len(networks))
	for _, n := range networks {
		byID[n.ID] = n
		maps.Copy(host.Objects, ForNetwork(n, up).Objects)
	}
	for _, e := range endpoints {
		if n, ok := byID[e.Network]; ok {
			maps.Copy(host.Objects, ForEndpoint(n, e, up).Objects)
		}
	}
	return host
}

// Shared returns what the networks have in common: sysctls and the firewall's policy.
func Shared(networks []Network, up Uplinks) Host {
	host := NewHost()
	uplinks := make(map[string]bool)
	responders := make(map[string]Responder)
	byID := func(a, b Network) int { return strings.Compare(a.ID, b.ID) }
	for _, n := range slices.SortedFunc(slices.Values(networks), byID) {
		host.Policy.Networks = append(host.Policy.Networks, policy(n, up))
		if n.Internal {
			continue
		}
		for _, name := range up.RA {
			// RFC 4861 6.2.2: a router takes no default route from others. 2 overrules that.
			host.Add("", Sysctl{Name: conf(name, "accept_ra"), Value: "2", From: "1"})
		}
		host.Add("", Sysctl{Name: conf("all", "forwarding"), Value: "1"})
		if n.DualStack() {
			host.Add("", Sysctl{Name: "net/ipv4/ip_forward", Value: "1"})
		}
		u, ok := up.For[n.Uplink]
		if !ok {
			continue
		}
		uplinks[u.Name] = true
		host.Add("", Sysctl{Name: conf(u.Name, "accept_ra"), Value: "2", From: "1"})
		if !proxied(n, up) {
			continue
		}
		host.Add("",
			Sysctl{Name: conf(u.Name, "forwarding"), Value: "1"},
			Sysctl{Name: conf(u.Name, "proxy_ndp"), Value: "1"},
			// The default of 0.8 s is for several proxies of one address (RFC 4861 7.2.8).
			Sysctl{Name: "net/ipv6/neigh/" + u.Name + "/proxy_delay", Value: "0"},
		)
		if u.Responder != nil {
			r, ok := responders[u.Name]
			if !ok {
				r = *u.Responder
			}
			responders[u.Name] = r.serving(n, up)
			continue
		}
		// Without it unicast solicitations are forwarded, not answered, and the
		// router drops its entry every half minute. With it the kernel looks
		// through all proxy entries for each packet that it forwards.
		host.Add("", Sysctl{Name: conf("all", "proxy_ndp"), Value: "1"})
	}
	for _, r := range responders {
		host.Add("", r)
	}
	host.Add("", fastLinks(networks, up)...)
	host.Policy.Uplinks = slices.Sorted(maps.Keys(uplinks))
	return host
}

func conf(link, key string) string { return "net/ipv6/conf/" + link + "/" + key }

func policy(n Network, up Uplinks) firewall.Network {
	p := firewall.Network{
		Bridge: n.Bridge, Internal: n.Internal, Pools: Prefixes(n, up),
		Isolated: n.Isolated, HostICMPOnly: n.HostICMPOnly, Shared: n.Shared,
		NAT6: (n.Mode == NAT || n.Mode == NPTv6) && !n.Internal, Source6: n.HostIPv6, Translations: n.translations(up.For[n.Uplink]),
	}
	for _, pool := range n.Pools {
		if pool.Prefix.Addr().Is4() && !n.Internal && !n.NoMasquerade {
			p.Masquerade4 = pool.Prefix
		}
	}
	return p
}

// ForNetwork returns the objects of one network: its bridge, the bridge's
// addresses, the routes to its pools and their twins, and those that announce them.
func ForNetwork(n Network, up Uplinks) Host {
	host := NewHost()
	host.Add(n.ID, Bridge{Name: n.Bridge, Alias: AliasNetwork + n.ID, MAC: n.MAC(), MTU: mtu(n, up), Up: true})
	if n.Mode == Isolated {
		return host
	}
	host.Add(n.ID,
		Address{Link: n.Bridge, Prefix: netip.PrefixFrom(LinkLocalGateway, LinkLocal.Bits())},
		Address{Link: n.Bridge, Prefix: netip.PrefixFrom(n.LinkLocal(), LinkLocal.Bits())},
	)
	for _, p := range Prefixes(n, up) {
		if !n.sharesPool(p.Addr()) {
			host.Add(n.ID, Route{Dst: p, Link: n.Bridge})
		}
	}
	host.Add(n.ID, n.announcesPools(up)...)
	for _, p := range n.Pools {
		if p.Gateway.IsValid() {
			bits := p.Prefix.Bits()
			switch {
			case LinkLocal.Contains(p.Gateway):
				bits = LinkLocal.Bits()
			case n.Announce != "" && p.Gateway.Is6():
				// Of a longer prefix zebra would make a connected route, which
				// hides the one that is announced.
				bits = p.Gateway.BitLen()
			case n.sharesPool(p.Gateway):
				bits = p.Gateway.BitLen() // else the kernel would route the pool here
			}
			host.Add(n.ID, Address{Link: n.Bridge, Prefix: netip.PrefixFrom(p.Gateway, bits)})
		}
	}
	return host
}

// sharesPool reports whether the pool of addr has addresses on other hosts.
func (n Network) sharesPool(addr netip.Addr) bool { return n.Shared && addr.Is6() }

func mtu(n Network, up Uplinks) int {
	if n.MTU != 0 {
		return n.MTU
	}
	if u, ok := up.For[n.Uplink]; ok && u.MTU != 0 && !n.Internal {
		return u.MTU
	}
	return defaultMTU
}

// ForEndpoint returns the objects of one endpoint of n: none unless it joined.
func ForEndpoint(n Network, e Endpoint, up Uplinks) Host {
	host := NewHost()
	if !e.Joined {
		return host
	}
	veth := Veth{Name: e.HostSide(), Alias: AliasEndpoint + e.ID, Master: n.Bridge, MTU: mtu(n, up), Up: true, Isolated: n.Isolated}
	if e.Joining {
		veth.Peer, veth.PeerMAC = e.ContainerSide(), e.MAC
	}
	all := Addresses(n, e, up)
	addrs, fast := AddrsOf(all), fastPorts(n, e)
	host.Add(e.ID, veth, rules(n, e, addrs, fast))
	if len(fast) > 0 {
		host.Add(e.ID, fastPort(n, e, addrs, fast)...)
	}
	u := up.For[n.Uplink]
	for _, a := range all {
		addr := a.Addr()
		host.Add(e.ID, Neighbor{Addr: addr, Link: n.Bridge, MAC: e.MAC})
		if n.sharesPool(addr) {
			host.Add(e.ID, Route{Dst: netip.PrefixFrom(addr, addr.BitLen()), Link: n.Bridge})
		}
		if o, ok := inside(n, e, a); ok {
			host.Add(e.ID, o)
		}
		for _, seen := range n.Exposed(addr, u) {
			if n.answered(seen, u) && !slices.Contains(e.Withdrawn, seen) {
				host.Add(e.ID, Proxy{Addr: seen, Link: u.Name})
				if u.Responder != nil {
					host.Add(e.ID, Target{Addr: seen, Link: u.Name})
				}
			}
		}
		if n.announcesAddr(e, addr) {
			host.Add(e.ID, Announced{Dst: netip.PrefixFrom(addr, addr.BitLen()), Link: n.Bridge})
		}
	}
	return host
}

func rules(n Network, e Endpoint, addrs []netip.Addr, fast []firewall.Port) Rules {
	return Rules{ID: e.ID, Endpoint: firewall.Endpoint{
		Port: e.HostSide(), Bridge: n.Bridge, MAC: e.MAC, Addrs: addrs, Elsewhere: e.Elsewhere,
		Open: e.Open, Unguarded: n.Unguarded, Isolated: n.Isolated, Published: e.Published,
		Stateless: fast,
	}}
}
