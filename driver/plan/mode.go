package plan

import (
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/inet"
)

// A Mode is how the IPv6 addresses of a network reach beyond the host.
type Mode string

// The modes. The empty Mode, of records from before there were modes, is Routed.
const (
	// Routed addresses are the same everywhere.
	Routed Mode = "routed"
	// NAT hides addresses behind those of the host (NAT66).
	NAT Mode = "nat"
	// NPTv6 gives each address one outside, with the same interface identifier (after RFC 6296).
	NPTv6 Mode = "nptv6"
	// Isolated networks have no address of the host on their bridge. They are internal.
	Isolated Mode = "isolated"
)

// RoutedOut reports whether containers of n have the same addresses outside.
func (n Network) RoutedOut() bool { return n.Mode == Routed && !n.Internal }

// How proxy entries answer for the addresses of a network on its uplink.
const (
	NDPAuto = ""    // where the uplink's on-link prefixes cover them
	NDPOn   = "on"  // always
	NDPOff  = "off" // never
)

// Outsides returns the prefixes that a pool of n has outside, those that are
// current before those that go. Only pools of an NPTv6 network have any.
func (n Network) Outsides(pool netip.Prefix, u Uplink) []netip.Prefix {
	if n.Mode != NPTv6 || n.Internal || !pool.Addr().Is6() {
		return nil
	}
	if n.Outside.IsValid() {
		return []netip.Prefix{n.Outside}
	}
	var outsides []netip.Prefix
	for _, p := range u.OnLink {
		if inet.IsGUA(p.Addr()) && p.Bits() < pool.Bits() {
			outsides = append(outsides, netip.PrefixFrom(inet.WithPrefix(pool.Addr(), p), pool.Bits()))
		}
	}
	return outsides
}

// Claims returns all prefixes that are of n alone: its pools, their twins, and
// what they are outside.
func Claims(n Network, up Uplinks) []netip.Prefix {
	all := Prefixes(n, up)
	for _, t := range n.translations(up.For[n.Uplink]) {
		all = append(all, t.Outside)
	}
	return all
}

// translations are those of all pools of n.
func (n Network) translations(u Uplink) []firewall.Translation {
	var ts []firewall.Translation
	for _, pool := range n.Prefixes() {
		for _, outside := range n.Outsides(pool, u) {
			ts = append(ts, firewall.Translation{Inside: pool, Outside: outside})
		}
	}
	return ts
}

// Exposed returns the addresses at which neighbors of the uplink see addr of an
// endpoint of n: none where they see the host's only, or where there is no IPv6.
func (n Network) Exposed(addr netip.Addr, u Uplink) []netip.Addr {
	if n.Internal || !addr.Is6() || n.Mode == NAT {
		return nil
	}
	if n.Mode != NPTv6 {
		return []netip.Addr{addr}
	}
	var exposed []netip.Addr
	for _, pool := range n.Prefixes() {
		if !pool.Contains(addr) {
			continue
		}
		for _, outside := range n.Outsides(pool, u) {
			exposed = append(exposed, inet.WithPrefix(addr, outside))
		}
	}
	return exposed
}

// answered reports whether a proxy entry is to answer for an exposed address.
func (n Network) answered(addr netip.Addr, u Uplink) bool {
	return u.Name != "" && n.NDP != NDPOff && (n.NDP == NDPOn || u.covers(addr))
}

// proxied reports whether neighbors on the uplink may solicit addresses of n.
func proxied(n Network, up Uplinks) bool { return len(solicited(n, up)) > 0 }

// solicited returns the prefixes of n whose addresses neighbors on the uplink
// may solicit.
func solicited(n Network, up Uplinks) []netip.Prefix {
	u := up.For[n.Uplink]
	var all []netip.Prefix
	for _, pool := range Prefixes(n, up) {
		seen := n.Outsides(pool, u)
		if n.Mode != NPTv6 && n.Mode != NAT && pool.Addr().Is6() {
			seen = []netip.Prefix{pool}
		}
		all = append(all, seen...)
	}
	return slices.DeleteFunc(all, func(p netip.Prefix) bool {
		return n.NDP != NDPOn && (n.NDP != NDPAuto || !slices.ContainsFunc(u.OnLink, p.Overlaps))
	})
}
