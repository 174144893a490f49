package plan

import (
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/netutil/inet"
)

// A network that follows its uplink has twins of its pools: the same bits
// behind the length of each global prefix that is on the uplink's link now.
// Nothing of it is on record, so that it is right whatever happened while
// nobody looked.

// follows reports whether a pool of n has twins.
func (n Network) follows(pool netip.Prefix) bool {
	return n.Follow && !n.Internal && pool.IsValid() && inet.IsGUA(pool.Addr())
}

// Prefixes returns those of the pools of n and of their twins: all that its
// containers have addresses of.
func Prefixes(n Network, up Uplinks) []netip.Prefix {
	all := n.Prefixes()
	for _, p := range n.Prefixes() {
		for _, on := range n.followed(p, up) {
			all = append(all, moved(p, on).Masked())
		}
	}
	return all
}

// followed returns the prefixes in which pool has twins. A twin that would
// overlap a pool is none: somebody else has these addresses.
func (n Network) followed(pool netip.Prefix, up Uplinks) []netip.Prefix {
	if !n.follows(pool) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(up.For[n.Uplink].OnLink), func(on netip.Prefix) bool {
		return !inet.IsGUA(on.Addr()) || on.Bits() > pool.Bits() || on.Contains(pool.Addr()) ||
			slices.ContainsFunc(up.Lent, moved(pool, on).Overlaps)
	})
}

// twinsOf returns the twins of an address, which has the length of its pool.
func twinsOf(n Network, addr netip.Prefix, up Uplinks) []EndpointAddress {
	var twins []EndpointAddress
	for _, on := range n.followed(addr.Masked(), up) {
		twins = append(twins, EndpointAddress{
			Prefix: moved(addr, on), Origin: Twin, Deprecated: slices.Contains(up.For[n.Uplink].Deprecated, on),
		})
	}
	return twins
}

// moved returns p with the bits of another prefix in the place of its own.
func moved(p, to netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(inet.WithPrefix(p.Addr(), to), p.Bits())
}

// outdated reports whether the uplink has other prefixes than that of a pool,
// or no new connections are to come from it. As long as the uplink has none,
// nothing says that another will come.
func outdated(n Network, pool netip.Prefix, up Uplinks) bool {
	u := up.For[n.Uplink]
	return len(u.OnLink) > 0 && !slices.ContainsFunc(u.OnLink, func(on netip.Prefix) bool {
		return inet.Covers(on, pool) && !slices.Contains(u.Deprecated, on)
	})
}

// Renumbered returns the pool of n whose prefix went from the uplink or is
// deprecated there while nothing follows, so that its containers are reached
// no more, or soon will not be.
func Renumbered(n Network, up Uplinks) (pool netip.Prefix, ok bool) {
	if n.Internal || n.Follow || !n.OnLink.IsValid() {
		return netip.Prefix{}, false
	}
	for _, p := range n.Prefixes() {
		if inet.Covers(n.OnLink, p) && outdated(n, p, up) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}
