package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nft"
)

// Endpoint is what the firewall has to know of a container's attachment.
type Endpoint struct {
	Port      string       // host side of its veth pair, a port of the bridge
	Bridge    string       // of its network
	MAC       inet.MAC     // the only one that it may use
	Addrs     []netip.Addr // its addresses of both families, but for the link-local one that its MAC gives
	Elsewhere []netip.Addr // its container's on other networks: answers to them leave by the default route, which may be here
	Open      bool         // everybody may reach it, whatever is published
	Unguarded bool         // it may send under any MAC and address
	Isolated  bool         // its network is
	Published []Published
	// Stateless are published ports whose packets conntrack may see some of, and
	// then does not understand. They are open at all its IPv6 addresses.
	Stateless []Port
}

// Equal reports whether o is the same in all. Order matters.
func (e Endpoint) Equal(o Endpoint) bool {
	return e.Port == o.Port && e.Bridge == o.Bridge && e.MAC == o.MAC && slices.Equal(e.Addrs, o.Addrs) &&
		slices.Equal(e.Elsewhere, o.Elsewhere) &&
		e.Open == o.Open && e.Unguarded == o.Unguarded && e.Isolated == o.Isolated && slices.Equal(e.Published, o.Published) &&
		slices.Equal(e.Stateless, o.Stateless)
}

// String returns the endpoint in one line.
func (e Endpoint) String() string {
	words := []string{e.Port, "bridge", e.Bridge, "mac", e.MAC.String()}
	for _, a := range e.Addrs {
		words = append(words, "addr", a.String())
	}
	for _, a := range e.Elsewhere {
		words = append(words, "elsewhere", a.String())
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{{e.Open, "open"}, {e.Unguarded, "unguarded"}, {e.Isolated, "isolated"}} {
		if flag.set {
			words = append(words, flag.name)
		}
	}
	for _, p := range e.Published {
		words = append(words, "publish", p.String())
	}
	for _, p := range e.Stateless {
		words = append(words, "stateless", p.String())
	}
	return strings.Join(words, " ")
}

// Elements returns what the sets and maps of Build's tables have for e. Until
// they do, nothing of the endpoint is let through.
func Elements(e Endpoint) nft.Group {
	var g group
	port := nft.LinkName(e.Port)
	if e.Unguarded {
		g.bridge("unguarded", port)
	} else {
		g.bridge("guarded", port)
		g.bridge("mac_ok", port, nft.MAC(e.MAC))
		g.bridge("mac_nd", port, nft.LLA(e.MAC))
		// Whatever addresses it is given, its kernel makes this one.
		for _, a := range slices.Concat([]netip.Addr{inet.LinkLocal(e.MAC)}, e.Addrs, e.Elsewhere) {
			g.bridge("ip"+suffix(a)+"_ok", port, nft.Addr(a))
			if a.Is6() {
				g.bridge("from_ok", port, nft.MAC(e.MAC), nft.Addr(a))
			}
		}
	}
	if e.Isolated {
		g.bridge("peers", port)
	}
	if e.Open {
		for _, a := range e.Addrs {
			g.inet("open"+suffix(a), nft.Addr(a))
		}
	}
	for _, p := range e.Published {
		g.publish(p, e.Addrs)
	}
	for _, p := range e.Stateless {
		for _, a := range e.Addrs {
			if a.Is6() {
				g.inet("stateless6", nft.Addr(a), nft.Proto(p.Proto), nft.Port(p.Number))
			}
		}
	}
	return g.elements
}

// group collects elements, each once.
type group struct {
	elements nft.Group
	seen     map[string]bool
}

func (g *group) bridge(set string, values ...nft.Value) { g.add(nft.Bridge, set, values) }

func (g *group) inet(set string, values ...nft.Value) { g.add(nft.Inet, set, values) }

func (g *group) add(family nft.Family, set string, values []nft.Value) {
	e := nft.GroupElement{Family: family, Set: set, Element: values}
	text := e.String()
	if g.seen[text] {
		return // One port may be published at two of the host.
	}
	if g.seen == nil {
		g.seen = make(map[string]bool)
	}
	g.seen[text] = true
	g.elements = append(g.elements, e)
}

// publish adds the elements of a published port of a container with these
// addresses: the port itself at all of the family, the host's port to the first.
func (g *group) publish(p Published, addrs []netip.Addr) {
	host := p.HostAddr.Unmap()
	if host.IsLoopback() {
		return // Only our relay listens there.
	}
	family := suffix(host)
	proto, port := nft.Proto(p.Proto), nft.Port(p.Port)
	first := true
	for _, a := range addrs {
		if a = a.Unmap(); suffix(a) != family || a.IsLinkLocalUnicast() {
			continue
		}
		if p.Direct {
			g.inet("pub"+family, nft.Addr(a), proto, port)
		}
		if first && p.HostPort != 0 {
			g.forward(p, nft.Addr(a))
		}
		first = false
	}
}

// forward adds the elements that lead from the host's port to a container.
func (g *group) forward(p Published, target nft.Addr) {
	host := p.HostAddr.Unmap()
	family := suffix(host)
	proto, port, hostPort := nft.Proto(p.Proto), nft.Port(p.Port), nft.Port(p.HostPort)
	if !p.Direct {
		g.inet("nat"+family, target, proto, port)
	}
	if host.IsUnspecified() {
		g.inet("host"+family+"_any", proto, hostPort, target, port)
		g.inet("relay"+family+"_any", proto, hostPort)
		return
	}
	g.inet("host"+family, nft.Addr(host), proto, hostPort, target, port)
	g.inet("relay"+family, nft.Addr(host), proto, hostPort)
}

// suffix ends the names of the sets for an address's family.
func suffix(a netip.Addr) string {
	if a.Is4() {
		return "4"
	}
	return "6"
}

// String returns the port in one line, as docker ps writes it.
func (p Published) String() string {
	host := "-"
	if p.HostPort != 0 {
		host = netip.AddrPortFrom(p.HostAddr, p.HostPort).String()
	} else if p.HostAddr.IsValid() {
		host = p.HostAddr.String()
	}
	text := fmt.Sprintf("%s->%d/%s", host, p.Port, nft.Proto(p.Proto))
	if p.Direct {
		text += " direct"
	}
	return text
}
