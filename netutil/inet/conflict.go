package inet

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// ErrConflict is wrapped by every error that says that a pool collides with
// what the host or another pool already uses.
var ErrConflict = errors.New("conflict")

// Foreign is what a host uses besides ndp6's own objects. Pools must stay clear of it.
type Foreign struct {
	// Addrs are the host's own addresses.
	Addrs []HostAddr
	// Routers are the next hops of its default routes, link-local ones left out.
	Routers []HostAddr
	// Routes are the host's routes, default routes left out.
	Routes []HostRoute
}

// A HostAddr is an address of the host or a router, and the link that holds it
// or leads to it.
type HostAddr struct {
	Addr netip.Addr
	Link string
}

// A HostRoute is a route of the host and the link that it leads to, empty where
// the route says that there is no way.
type HostRoute struct {
	Dst  netip.Prefix
	Link string
}

// String returns the route as errors name it.
func (r HostRoute) String() string {
	if r.Link == "" {
		return "route " + r.Dst.String() + " to nowhere"
	}
	return "route " + r.Dst.String() + " on " + r.Link
}

// Excludes reports whether no pool may be inside r. IPv4 has no prefix to
// share, so a pool inside the route to a link takes hosts off the network.
func (r HostRoute) Excludes() bool { return r.Dst.Addr().Is4() && r.Link != "" }

// BesideHosts returns f without its routes to single IPv6 addresses. Where hosts
// share a pool, they lead to the containers of others.
func (f Foreign) BesideHosts() Foreign {
	f.Routes = slices.DeleteFunc(slices.Clone(f.Routes), func(r HostRoute) bool { return r.Dst.Addr().Is6() && r.Dst.IsSingleIP() })
	return f
}

// CheckPool says why pool cannot be lent to a network, nil if it can. A pool
// inside a shorter route (a /80 of the uplink's on-link /64) is right; a pool
// that equals or covers a route, or holds an address of the host, is not.
func (f Foreign) CheckPool(pool netip.Prefix) error {
	for _, a := range f.Addrs {
		if pool.Contains(a.Addr) {
			return fmt.Errorf("pool %s contains the host's address %s on %s: use a --subnet without it: %w", pool, a.Addr, a.Link, ErrConflict)
		}
	}
	for _, a := range f.Routers {
		if pool.Contains(a.Addr) {
			return fmt.Errorf("pool %s contains the address %s of the router on %s: use a --subnet without it: %w", pool, a.Addr, a.Link, ErrConflict)
		}
	}
	for _, r := range f.Routes {
		switch {
		case r.Excludes() && pool.Overlaps(r.Dst):
			return fmt.Errorf("pool %s overlaps the host's %s: use a --subnet beside it: %w", pool, r, ErrConflict)
		case Covers(pool, r.Dst):
			return fmt.Errorf("pool %s covers the host's %s: use a --subnet beside it, or a longer one inside it: %w", pool, r, ErrConflict)
		}
	}
	return nil
}

// CheckOverlap says which of used overlaps pool, nil if none does.
func CheckOverlap(pool netip.Prefix, used []netip.Prefix) error {
	for _, u := range used {
		if pool.Overlaps(u) {
			return fmt.Errorf("pool %s overlaps pool %s of another network: use another --subnet: %w", pool, u, ErrConflict)
		}
	}
	return nil
}
