package plan

import (
	"net/netip"
	"slices"
)

// An Origin says where an endpoint has an address from.
type Origin string

// The origins of addresses.
const (
	Given  Origin = "given"  // IPAM lent it, and Docker set it
	Stable Origin = "stable" // derived from the container's name
	Twin   Origin = "twin"   // of another address, in a prefix that the uplink has now
	// Outside is that of an address which no link has: it is translated.
	Outside Origin = "outside"
)

// An EndpointAddress is one of an endpoint's addresses.
type EndpointAddress struct {
	// Prefix is the address with the length of its pool.
	netip.Prefix
	Origin Origin
	// Deprecated addresses are reached as long as their prefix is, and are not
	// the source of new connections (RFC 4862 5.5.4).
	Deprecated bool
}

// Addresses returns all addresses of an endpoint of n, in the order of their
// origins. Whatever is made for each address of an endpoint is made for these.
func Addresses(n Network, e Endpoint, up Uplinks) []EndpointAddress {
	own := make([]EndpointAddress, 0, len(e.Addrs)+1)
	var twins []EndpointAddress
	add := func(addr netip.Addr, o Origin) {
		pool := n.PoolOf(addr)
		a := EndpointAddress{Prefix: netip.PrefixFrom(addr, pool.Bits()), Origin: o}
		if n.follows(pool) {
			a.Deprecated = outdated(n, pool, up)
			if e.Placed {
				twins = append(twins, twinsOf(n, a.Prefix, up)...)
			}
		}
		own = append(own, a)
	}
	for _, addr := range e.Addrs {
		add(addr, Given)
	}
	if e.Stable.IsValid() {
		add(e.Stable, Stable)
	}
	return slices.Concat(own, twins)
}

// AddrsOf returns the addresses alone.
func AddrsOf(all []EndpointAddress) []netip.Addr {
	addrs := make([]netip.Addr, 0, len(all))
	for _, a := range all {
		addrs = append(addrs, a.Addr())
	}
	return addrs
}

// inside returns what ndp6 sets of an address in the endpoint's sandbox, once
// Docker has moved the link there: of those that Docker sets only whether they
// are deprecated, and only where they can be.
func inside(n Network, e Endpoint, a EndpointAddress) (o Inside, ok bool) {
	given := a.Origin == Given
	return Inside{
		Sandbox: e.Sandbox, MAC: e.MAC, Prefix: a.Prefix, Deprecated: a.Deprecated, Given: given,
	}, e.Placed && (!given || n.follows(n.PoolOf(a.Addr())))
}
