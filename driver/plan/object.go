package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/inet"
)

// Protocol marks our neighbors and proxy entries in the kernel, and unless an
// operator wants another one the routes that are announced, as routing daemons
// mark theirs (rtnetlink(7), rtm_protocol).
const Protocol = 166

// A Kind is a kind of kernel object. Kinds are in the order in which a host is
// built; it is taken down the other way round.
type Kind int

// The kinds of objects that ndp6 owns. A permanent neighbor comes before the
// port, so that the first packet from outside needs no solicitation on the
// bridge, and so do the firewall's rules. The neighbor goes after the rules: the
// flows of its address are forgotten with it, and nothing may begin another. An
// address inside comes when its packets can pass, and the fast path when all that
// it goes around is there. A proxy entry and what is announced come last and go
// first: the router may send as soon as it knows. The responder is asked before
// the proxy entries and drops what it has no target for: it comes with those for
// the entries that are there, and a target before its entry.
const (
	KindSysctl Kind = iota
	KindBridge
	KindAddress
	KindRoute
	KindPeerRoute
	KindNeighbor
	KindRules
	KindVeth
	KindInside
	KindFastPort
	KindFastLink
	KindResponder
	KindTarget
	KindProxy
	KindAnnounced
)

// Kinds returns all kinds, in their order.
func Kinds() []Kind {
	var all []Kind
	for k := KindSysctl; k <= KindAnnounced; k++ {
		all = append(all, k)
	}
	return all
}

// String is the kind's name in metrics.
func (k Kind) String() string {
	return [...]string{
		"sysctl", "bridge", "address", "route", "peer_route", "neighbor", "rules", "veth", "inside", "fast_port", "fast_link",
		"responder", "target", "proxy", "announced",
	}[k]
}

// A Key is the identity of an object: two objects with one key cannot both exist.
type Key struct {
	Kind Kind
	Name string
}

// On returns the bridge that an object is on or a port of, empty for others.
// Without the bridge it cannot be.
func On(o Object) string {
	switch o := o.(type) {
	case Address:
		return o.Link
	case Route:
		return o.Link
	case Neighbor:
		return o.Link
	case Veth:
		return o.Master
	case Announced:
		return o.Link
	case FastPort:
		return o.Bridge
	}
	return ""
}

// An Object is one thing of ours in the kernel. Its String reads like the
// arguments of ip(8).
type Object interface {
	Key() Key
	String() string
}

// A Sysctl is a setting below /proc/sys. From, when set, is the only value
// that is replaced: any other is as good as Value.
type Sysctl struct {
	Name, Value, From string
}

// A Bridge is a network's bridge.
type Bridge struct {
	Name, Alias string
	MAC         inet.MAC
	MTU         int
	Up          bool
	// Snooping loses solicitations on a bridge without a querier, and
	// accepting RAs takes a container for a router: neither is ever wanted.
	Snooping, AcceptRA bool
}

// An Address is an address of a bridge.
type Address struct {
	Link   string
	Prefix netip.Prefix
}

// A Route is a connected route to a bridge; see ConnectedMark.
type Route struct {
	Dst  netip.Prefix
	Link string
}

// Rules are what the firewall knows of an endpoint.
type Rules struct {
	ID string // of the endpoint
	firewall.Endpoint
}

// A Neighbor is a permanent neighbor entry, of our Protocol.
type Neighbor struct {
	Addr netip.Addr
	Link string
	MAC  inet.MAC
}

// A Veth is the host side of an endpoint's pair. Peer and PeerMAC matter only
// while the pair is made; a pair that exists has neither.
type Veth struct {
	Name, Alias, Master string
	MTU                 int
	Up                  bool
	// Isolated ports of a bridge do not reach each other.
	Isolated bool
	Peer     string
	PeerMAC  inet.MAC
}

// An Inside is an address of a container in its sandbox, on the link with this
// MAC. One that Docker gave is only made deprecated or not.
type Inside struct {
	Sandbox    string // path of the namespace
	MAC        inet.MAC
	Prefix     netip.Prefix // the address and the length of its pool
	Deprecated bool
	Given      bool
}

// A Proxy is an entry that answers solicitations for Addr on Link, of our Protocol.
type Proxy struct {
	Addr netip.Addr
	Link string
}

// Key is the setting's name.
func (s Sysctl) Key() Key { return Key{KindSysctl, s.Name} }

// Key is the link's name.
func (b Bridge) Key() Key { return Key{KindBridge, b.Name} }

// Key is the address and its link.
func (a Address) Key() Key { return Key{KindAddress, a.Prefix.String() + " " + a.Link} }

// Key is the destination and the link.
func (r Route) Key() Key { return Key{KindRoute, r.Dst.String() + " " + r.Link} }

// Key is all of the route: one that changes is added before the old one goes.
func (r PeerRoute) Key() Key { return Key{KindPeerRoute, r.text()} }

// Key is the endpoint.
func (r Rules) Key() Key { return Key{KindRules, r.ID} }

// Key is the address and its link.
func (n Neighbor) Key() Key { return Key{KindNeighbor, n.Addr.String() + " " + n.Link} }

// Key is the link's name.
func (v Veth) Key() Key { return Key{KindVeth, v.Name} }

// Key is the address and the sandbox.
func (i Inside) Key() Key { return Key{KindInside, i.Prefix.Addr().String() + " " + i.Sandbox} }

// Key is the address and its link.
func (p Proxy) Key() Key { return Key{KindProxy, p.Addr.String() + " " + p.Link} }

func (s Sysctl) String() string {
	return "sysctl " + strings.ReplaceAll(s.Name, "/", ".") + "=" + s.Value
}

func (b Bridge) String() string {
	s := fmt.Sprintf("bridge %s address %s mtu %d%s", b.Name, b.MAC, b.MTU, upDown(b.Up))
	if b.Snooping {
		s += " mcast_snooping 1"
	}
	if b.AcceptRA {
		s += " accept_ra"
	}
	return s
}

func (a Address) String() string { return fmt.Sprintf("addr %s dev %s", a.Prefix, a.Link) }

func (r Route) String() string { return fmt.Sprintf("route %s dev %s", r.Dst, r.Link) }

func (r PeerRoute) String() string { return "route " + r.text() }

func (r PeerRoute) text() string {
	return r.Dst.String() + " via " + r.Via.String() + " dev " + r.Link
}

func (r Rules) String() string { return "rules " + r.Endpoint.String() }

func (n Neighbor) String() string {
	return fmt.Sprintf("neigh %s lladdr %s dev %s", n.Addr, n.MAC, n.Link)
}

func (v Veth) String() string {
	s := fmt.Sprintf("veth %s master %s mtu %d%s", v.Name, v.Master, v.MTU, upDown(v.Up))
	if v.Isolated {
		s += " isolated"
	}
	return s
}

func (i Inside) String() string {
	s := fmt.Sprintf("addr %s dev %s netns %s", i.Prefix, i.MAC, i.Sandbox)
	if i.Deprecated {
		s += " preferred_lft 0"
	}
	return s
}

func (p Proxy) String() string { return fmt.Sprintf("neigh proxy %s dev %s", p.Addr, p.Link) }

func upDown(up bool) string {
	if up {
		return " up"
	}
	return " down"
}

// compare orders keys as a host is built.
func compare(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(sysctlRank(a), sysctlRank(b)), cmp.Compare(a.Name, b.Name))
}

// sysctlRank puts accept_ra before forwarding: a host that begins to forward
// with accept_ra=1 drops the default route that it learned.
func sysctlRank(k Key) int {
	switch {
	case k.Kind != KindSysctl, strings.HasSuffix(k.Name, "/accept_ra"):
		return 0
	case strings.HasSuffix(k.Name, "/forwarding"), strings.HasSuffix(k.Name, "/ip_forward"):
		return 1
	}
	return 2
}
