package plan

import (
	"net/netip"
	"strings"
)

// PeerProtocol marks routes to other hosts. It is not Protocol, so that a
// routing daemon which exports our own prefixes does not export those of others.
const PeerProtocol = 167

// PeerMetric is behind that of routes of the kernel, of an administrator and of
// routing daemons: theirs win, and none of theirs is replaced.
const PeerMetric = 2048

// A Peer is what is routed to another host.
type Peer struct {
	Host string
	// Prefixes are reached through Via, an address on the uplink's link.
	Prefixes []netip.Prefix
	Via      netip.Addr
}

// A PeerRoute is a route to a prefix of another host, of PeerProtocol.
type PeerRoute struct {
	Dst  netip.Prefix
	Via  netip.Addr
	Link string
}

// peerOwner starts the owner of what leads to a peer. Docker's ids have no colon.
const peerOwner = "peer:"

// PeerOwner returns the owner of what leads to a host.
func PeerOwner(host string) string { return peerOwner + host }

// PeerOf returns the host that an owner stands for, false for other owners.
func PeerOf(owner string) (host string, ok bool) { return strings.CutPrefix(owner, peerOwner) }

// ForPeer returns the objects that lead to a peer: nothing while there is no
// uplink of that name.
func ForPeer(p Peer, spec string, up Uplinks) Host {
	host := NewHost()
	u, ok := up.For[spec]
	if !ok {
		return host
	}
	for _, dst := range p.Prefixes {
		host.Add(PeerOwner(p.Host), PeerRoute{Dst: dst, Via: p.Via, Link: u.Name})
	}
	return host
}
