package plan

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/inet"
)

// A FastLink takes what enters by an uplink, and goes to a FastPort, in front
// of the kernel. What comes from an address of Pools is the kernel's to drop.
type FastLink struct {
	Link string
	// Pools are prefixes that are of networks here alone, in the order of addresses.
	Pools []netip.Prefix
}

// A FastPort forwards what the published ports of an endpoint receive and send.
type FastPort struct {
	ID           string // of the endpoint
	Port, Bridge string // the host side of its link, and its bridge
	MAC, Gateway inet.MAC
	Addrs        []netip.Addr
	Ports        []firewall.Port
}

// Key is the link's name.
func (f FastLink) Key() Key { return Key{KindFastLink, f.Link} }

// Key is the endpoint.
func (f FastPort) Key() Key { return Key{KindFastPort, f.ID} }

func (f FastLink) String() string {
	words := []string{"fastpath dev", f.Link}
	for _, p := range f.Pools {
		words = append(words, "pool", p.String())
	}
	return strings.Join(words, " ")
}

func (f FastPort) String() string {
	words := []string{"fastpath port", f.Port, "bridge", f.Bridge, "mac", f.MAC.String(), "via", f.Gateway.String()}
	for _, a := range f.Addrs {
		words = append(words, "addr", a.String())
	}
	for _, p := range f.Ports {
		words = append(words, p.String())
	}
	return strings.Join(words, " ")
}

// UsesFastPath reports whether n asks for the fast path, and is such that nothing
// of it is translated.
func (n Network) UsesFastPath() bool { return n.FastPath && n.RoutedOut() }

// fastLinks returns the uplinks of networks that ask for it.
func fastLinks(networks []Network, up Uplinks) []Object {
	var pools []netip.Prefix
	names := make(map[string]bool)
	for _, n := range networks {
		for _, p := range Prefixes(n, up) {
			if p.Addr().Is6() && !n.Shared {
				pools = append(pools, p)
			}
		}
		if u, ok := up.For[n.Uplink]; ok && n.UsesFastPath() {
			names[u.Name] = true
		}
	}
	slices.SortFunc(pools, netip.Prefix.Compare)
	pools = slices.Compact(pools)
	var all []Object
	for name := range names {
		all = append(all, FastLink{Link: name, Pools: pools})
	}
	return all
}

// fastPort returns what the fast path is to know of an endpoint with these
// addresses and fastPorts, nothing where no address is left.
func fastPort(n Network, e Endpoint, addrs []netip.Addr, ports []firewall.Port) []Object {
	f := FastPort{ID: e.ID, Port: e.HostSide(), Bridge: n.Bridge, MAC: e.MAC, Gateway: n.MAC(), Ports: ports}
	for _, a := range addrs {
		if a.Is6() && !slices.Contains(e.Withdrawn, a) {
			f.Addrs = append(f.Addrs, a)
		}
	}
	if len(f.Addrs) == 0 {
		return nil
	}
	return []Object{f}
}

// fastPorts returns the ports of TCP and UDP that are open at the container's
// own IPv6 addresses and nowhere else. What leads there from a port of the host
// has answers that look alike and must be translated back; and the answers of a
// container that is on other networks may leave there.
func fastPorts(n Network, e Endpoint) []firewall.Port {
	if !n.UsesFastPath() || slices.ContainsFunc(e.Elsewhere, netip.Addr.Is6) {
		return nil
	}
	var ports []firewall.Port
	for _, p := range e.Published {
		port := firewall.Port{Proto: p.Proto, Number: p.Port}
		tcpOrUDP := p.Proto == 6 || p.Proto == 17
		if p.Direct && p.HostAddr.Is6() && tcpOrUDP && !forwarded(port, e.Published) && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

// forwarded reports whether an IPv6 port of the host leads to a container's.
func forwarded(port firewall.Port, published []firewall.Published) bool {
	return slices.ContainsFunc(published, func(p firewall.Published) bool {
		return p.HostAddr.Is6() && !p.HostAddr.IsLoopback() && p.HostPort != 0 &&
			port == firewall.Port{Proto: p.Proto, Number: p.Port}
	})
}
