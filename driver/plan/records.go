package plan

import (
	"crypto/sha256"
	"net/netip"
	"slices"
	"time"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/inet"
)

// A Network is the record of a Docker network: what its user asked for.
type Network struct {
	ID     string `json:"id"`
	Bridge string `json:"bridge"`
	// Pools are the network's pools, IPv6 first.
	Pools []Pool `json:"pools"`
	// Uplink is a link's name, or "auto" for the link of the IPv6 default route.
	Uplink string `json:"uplink"`
	// Mode is how the IPv6 pools reach beyond the host, and Reason says why it
	// is that one.
	Mode   Mode   `json:"mode,omitempty"`
	Reason string `json:"reason,omitempty"`
	// HostIPv6 is the host's address that a NAT network leaves with; with the
	// zero Addr it is the kernel's choice.
	HostIPv6 netip.Addr `json:"host_ipv6,omitzero"`
	// Outside is the prefix that an NPTv6 network has outside; the zero Prefix
	// follows the uplink's.
	Outside netip.Prefix `json:"outside,omitzero"`
	// NDP is NDPAuto, NDPOn or NDPOff.
	NDP string `json:"ndp,omitempty"`
	// Announce is AnnouncePrefix, AnnounceEndpoint or empty.
	Announce string `json:"announce,omitempty"`
	// MTU is that of the bridge and its endpoints; 0 follows the uplink.
	MTU int `json:"mtu,omitempty"`
	// Shared networks have their IPv6 pools together with other hosts: an address
	// without an endpoint here is looked for on the uplink.
	Shared bool `json:"shared,omitempty"`
	// Internal networks have no gateway and reach nothing outside their bridge.
	Internal bool `json:"internal,omitempty"`
	// NoMasquerade leaves IPv4 packets to the outside with the container's own source address.
	NoMasquerade bool `json:"no_masquerade,omitempty"`
	// Open networks let everything in to their containers, others their
	// published ports only. An endpoint may differ.
	Open bool `json:"open,omitempty"`
	// Unguarded lets containers send under addresses that are not theirs.
	Unguarded bool `json:"unguarded,omitempty"`
	// Isolated keeps the network's containers from each other.
	Isolated bool `json:"isolated,omitempty"`
	// HostICMPOnly keeps containers from everything of the host but ICMP.
	HostICMPOnly bool `json:"host_icmp_only,omitempty"`
	// NoHostPorts publishes ports at the container's IPv6 address only.
	NoHostPorts bool `json:"no_host_ports,omitempty"`
	// HostBinding4 is the host's address for ports that are published at
	// none; the zero Addr is all of them.
	HostBinding4 netip.Addr `json:"host_binding_ipv4,omitzero"`
	// DAD says how addresses are probed on the uplink: wait, async, off, or auto.
	DAD string `json:"dad,omitempty"`
	// OnLink is the on-link prefix of the uplink that the IPv6 pool was in when
	// the network was made; the zero Prefix where it was in none.
	OnLink netip.Prefix `json:"on_link,omitzero"`
	// Follow gives containers addresses in each global prefix that the uplink
	// has on its link, as it comes and goes. Else only a warning says so.
	Follow bool `json:"follow,omitempty"`
	// FastPath forwards published ports in front of the kernel. It is for routed
	// networks without host ports.
	FastPath bool `json:"fast_path,omitempty"`
	// StableName gives each container a second address, derived from its name.
	StableName bool `json:"stable_name,omitempty"`
	// SplitDefault is set where Docker (before 28) installs no IPv6 default
	// route for an endpoint without an IPv4 gateway.
	SplitDefault bool `json:"split_default,omitempty"`
}

// A Pool is a prefix lent to a network and the address that its bridge has in it.
type Pool struct {
	Prefix netip.Prefix `json:"prefix"`
	// Gateway is the zero Addr where the network has none in this pool.
	Gateway netip.Addr `json:"gateway,omitzero"`
}

// An Endpoint is the record of one container's attachment to a network.
type Endpoint struct {
	ID      string   `json:"id"`
	Network string   `json:"network"`
	MAC     inet.MAC `json:"mac"`
	// Addrs are the container's addresses, IPv6 first.
	Addrs []netip.Addr `json:"addrs"`
	// Stable is the address that was derived from the container's name; the
	// zero Addr where there is none, or the name is not known yet.
	Stable netip.Addr `json:"stable,omitzero"`
	// Chosen is set where the user chose the address or the MAC, or IPAM counts
	// addresses up, so that a duplicate on the uplink is possible in practice.
	Chosen bool `json:"chosen,omitempty"`
	// Joined is set from Join to Leave.
	Joined bool `json:"joined,omitempty"`
	// JoinedAt is when it joined, UTC.
	JoinedAt time.Time `json:"joined_at,omitzero"`
	// Sandbox is the key of the sandbox that the endpoint joined.
	Sandbox string `json:"sandbox,omitempty"`
	// Placed is set once Docker has moved the container side into the sandbox.
	Placed bool `json:"placed,omitempty"`
	// Open lets everything in, not only what is published.
	Open bool `json:"open,omitempty"`
	// Published are the container's published ports.
	Published []firewall.Published `json:"published,omitempty"`
	// Withdrawn are addresses that another host on the uplink was found to hold.
	Withdrawn []netip.Addr `json:"withdrawn,omitempty"`

	// Elsewhere are the container's addresses on its other networks.
	Elsewhere []netip.Addr `json:"-"`
	// Joining is set while Join runs. Only then may the veth pair be made:
	// later nobody would move its container side into the sandbox.
	Joining bool `json:"-"`
}

// Prefixes of the names of an endpoint's links.
const (
	HostSidePrefix      = "ndh-"
	ContainerSidePrefix = "ndc-"
)

// HostSide is the name of the host's end of the endpoint's veth pair.
func (e Endpoint) HostSide() string { return linkName(HostSidePrefix, e.ID) }

// ContainerSide is the name of the container's end until Docker moves it.
func (e Endpoint) ContainerSide() string { return linkName(ContainerSidePrefix, e.ID) }

// BridgeName is the name of a network's bridge where the user chose none.
func BridgeName(networkID string) string { return linkName("nd-", networkID) }

// linkName cuts prefix+id to the 15 bytes that the kernel allows.
func linkName(prefix, id string) string {
	name := prefix + id
	return name[:min(len(name), 15)]
}

// MAC is the address of the network's bridge. It is fixed, because a bridge
// without one takes that of a port, and changes it when the port goes.
func (n Network) MAC() inet.MAC {
	sum := sha256.Sum256([]byte(n.ID))
	m := inet.MAC(sum[:6])
	m[0] = m[0]&^0x01 | 0x02
	return m
}

// Prefixes returns those of the network's pools, in their order.
func (n Network) Prefixes() []netip.Prefix {
	var ps []netip.Prefix
	for _, p := range n.Pools {
		ps = append(ps, p.Prefix)
	}
	return ps
}

// Own returns the addresses that are on record, those of Docker first.
func (e Endpoint) Own() []netip.Addr {
	if !e.Stable.IsValid() {
		return e.Addrs
	}
	return append(slices.Clip(e.Addrs), e.Stable)
}

// PoolOf returns the pool that addr is in, the zero Prefix if it is in none.
func (n Network) PoolOf(addr netip.Addr) netip.Prefix {
	for _, p := range n.Pools {
		if p.Prefix.Contains(addr) {
			return p.Prefix
		}
	}
	return netip.Prefix{}
}

// LinkLocal is the address that the bridge has beside LinkLocalGateway. No
// other network's bridge has it.
func (n Network) LinkLocal() netip.Addr { return inet.LinkLocal(n.MAC()) }

// DualStack reports whether n has an IPv4 pool.
func (n Network) DualStack() bool {
	return slices.ContainsFunc(n.Pools, func(p Pool) bool { return p.Prefix.Addr().Is4() })
}

// An Uplink is what the plan needs to know of the link towards the router.
type Uplink struct {
	Name string
	MTU  int
	// OnLink are the prefixes whose addresses the uplink's neighbors solicit
	// on the link, so that a proxy entry must answer for them.
	OnLink []netip.Prefix
	// Deprecated are those of OnLink that new connections are not to come from.
	Deprecated []netip.Prefix
	// Responder is what answers on the link, but for its pools; nil leaves it
	// to the kernel's proxy entries.
	Responder *Responder
}

// covers reports whether neighbors on the uplink solicit addr.
func (u Uplink) covers(addr netip.Addr) bool {
	return slices.ContainsFunc(u.OnLink, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Uplinks are the links towards routers, as they are now.
type Uplinks struct {
	// For holds the uplink that each Network.Uplink stands for now. A name
	// that stands for none is absent.
	For map[string]Uplink
	// RA are the links that learn from router advertisements which the kernel
	// handles. They lose their default route when forwarding is switched on,
	// and learn no other, unless accept_ra is 2.
	RA []string
	// Lent are the pools of all networks.
	Lent []netip.Prefix
}
