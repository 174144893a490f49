package plan

import (
	"fmt"
	"net/netip"
	"slices"
)

// What of a network is announced, by routes that a routing daemon takes from
// the kernel. Networks have AnnounceNone, in options and settings, as nothing.
const (
	AnnounceNone = "none"
	// AnnouncePrefix announces the network's pools while it exists.
	AnnouncePrefix = "prefix"
	// AnnounceEndpoint announces each address of each container while it runs.
	AnnounceEndpoint = "endpoint"
)

// AnnouncedMetric is that of announced routes. It is behind those that lead to
// bridges, which go on to be used, and a daemon that does not tell protocols
// apart knows announced routes by it.
const AnnouncedMetric = 4096

// Connected routes do not have our Protocol, so that a routing daemon that takes
// what has it takes what is announced, and nothing else.
const (
	// connectedProtocol4 is that of IPv4. The kernel makes routes of its own,
	// with protocol "kernel", of the addresses of bridges.
	connectedProtocol4 = 168
	// connectedProtocol6 is "kernel": of the ways to one prefix, zebra knows
	// the one with the lowest metric alone, which would hide what is
	// announced. It leaves those of this protocol out.
	connectedProtocol6 = 2
	// connectedMetric6 is what the kernel gives routes that name none. Those
	// that it makes itself have 256.
	connectedMetric6 = 1024
)

// ConnectedMark returns the protocol and the metric of a Route to dst.
func ConnectedMark(dst netip.Prefix) (protocol, metric int) {
	if dst.Addr().Is4() {
		return connectedProtocol4, 0
	}
	return connectedProtocol6, connectedMetric6
}

// An Announced is a route for routing daemons to take, of the protocol that
// announced routes have, and AnnouncedMetric.
type Announced struct {
	Dst netip.Prefix
	// Link is the bridge of an endpoint's address. A pool has none: its route
	// says "unreachable", which holds for those of its addresses that no bridge
	// has, and keeps them from going in circles with the router.
	Link string
}

// Key is the destination.
func (a Announced) Key() Key { return Key{KindAnnounced, a.Dst.String()} }

func (a Announced) String() string {
	if a.Link == "" {
		return fmt.Sprintf("route unreachable %s metric %d", a.Dst, AnnouncedMetric)
	}
	return fmt.Sprintf("route %s dev %s metric %d", a.Dst, a.Link, AnnouncedMetric)
}

// A Stray is a route with our mark that is none of ours. Nothing plans it, so
// that it goes: of a route that replaced it, as that of an older ndp6, nothing is
// left to remove.
type Stray struct {
	Dst                    netip.Prefix
	Link                   string
	Protocol, Metric, Type int
}

// Key is all of it.
func (s Stray) Key() Key {
	return Key{KindRoute, fmt.Sprintf("stray %s %q %d %d %d", s.Dst, s.Link, s.Protocol, s.Metric, s.Type)}
}

func (s Stray) String() string {
	text := "route " + s.Dst.String()
	if s.Link != "" {
		text += " dev " + s.Link
	}
	return fmt.Sprintf("%s proto %d metric %d", text, s.Protocol, s.Metric)
}

// announcesPools returns the prefixes of n that are announced as a whole.
func (n Network) announcesPools(up Uplinks) []Object {
	if n.Announce != AnnouncePrefix {
		return nil
	}
	var all []Object
	for _, p := range Prefixes(n, up) {
		if p.Addr().Is6() {
			all = append(all, Announced{Dst: p})
		}
	}
	return all
}

// announcesAddr reports whether an address of an endpoint of n is announced by itself.
func (n Network) announcesAddr(e Endpoint, addr netip.Addr) bool {
	return n.Announce == AnnounceEndpoint && addr.Is6() && !slices.Contains(e.Withdrawn, addr)
}
