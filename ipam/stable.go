package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ndp6/ndp6/ipam/alloc"
)

// A Stable asks for the address that a container's name gives in a pool. It is
// the same as Docker 29 gets in mode name, so that it stays when Docker is
// upgraded.
type Stable struct {
	Pool netip.Prefix
	Name string
	// Endpoint is Docker's id of the container's attachment, which is another
	// one at each start.
	Endpoint string
	// Addrs are those that Docker asked for itself for the endpoint.
	Addrs []netip.Addr
	// Alive reports whether Docker still has an endpoint.
	Alive func(endpoint string) bool
}

// PoolSource says where a pool came from, as in Pool. It is empty for a prefix
// that is no pool.
func (m *IPAM) PoolSource(prefix netip.Prefix) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.poolOf(prefix.Addr()); p != nil && p.prefix == prefix {
		return p.record.Source
	}
	return ""
}

// CheckStable returns why a pool has no stable addresses, nil if it has.
func (m *IPAM) CheckStable(prefix netip.Prefix) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.poolOf(prefix.Addr())
	if p == nil || p.prefix != prefix {
		return fmt.Errorf("pool %s is that of another IPAM driver: add --ipam-driver ndp6 to docker network create", prefix)
	}
	r := m.stableRequest(p, Stable{Name: "any"})
	if r.Effective() != alloc.Name {
		return fmt.Errorf("pool %s has no room for addresses made of names: use a --subnet, and an --ip-range where there is one, of /80 or shorter", prefix)
	}
	return nil
}

// LendStable leases the address that the container's name gives, until
// ReturnStable. A name has one address as long as the pool and the host's
// secret are the same, unless somebody else has it: then the next that the
// name gives. Where Docker got that very address for the endpoint, nothing is
// leased.
func (m *IPAM) LendStable(s Stable) (netip.Addr, error) {
	m.mu.Lock()
	p := m.poolOf(s.Pool.Addr())
	if p == nil || p.closing {
		m.mu.Unlock()
		return netip.Addr{}, fmt.Errorf("pool %s is not lent: create the network again", s.Pool)
	}
	l, fresh, err := m.reserveStable(p, s)
	m.mu.Unlock()
	if err == nil && fresh {
		err = m.settle(p, l)
	}
	if err != nil {
		return netip.Addr{}, err
	}
	return l.Addr, nil
}

// reserveStable makes a lease that is not recorded yet, or returns the one that
// the endpoint has. The caller holds mu.
func (m *IPAM) reserveStable(p *pool, s Stable) (l *lease, fresh bool, err error) {
	addr, err := alloc.Pick(m.stableRequest(p, s))
	if err != nil {
		return nil, false, p.exhausted(err)
	}
	before := p.leases[addr]
	switch {
	case before == nil:
	case before.leaving || !before.settled:
		return nil, false, fmt.Errorf("address %s of pool %s is being released: ask again: %w", addr, p.prefix, ErrInUse)
	case before.Endpoint == "", before.Endpoint == s.Endpoint:
		return before, false, nil
	default:
		delete(m.stable, before.Endpoint)
	}
	l = &lease{
		Lease:   Lease{Pool: p.id, Addr: addr, Name: s.Name, Endpoint: s.Endpoint, Since: now()},
		touched: time.Now(),
	}
	p.creating, p.unconfirmed, p.touched = false, false, l.touched
	p.leases[addr], m.stable[s.Endpoint] = l, addr
	return l, true, nil
}

// stableRequest takes an address for free that the name's own container has,
// or had when Docker lost its endpoint without a word.
func (m *IPAM) stableRequest(p *pool, s Stable) alloc.Request {
	return alloc.Request{
		Pool: p.prefix, Range: p.record.Range, Mode: alloc.Name, Name: s.Name, Secret: m.secret,
		Taken: func(a netip.Addr) bool {
			l := p.leases[a]
			switch {
			case l == nil:
				return p.taken(a)
			case l.Endpoint == "":
				return !slices.Contains(s.Addrs, a)
			}
			return l.Endpoint != s.Endpoint && (l.Name != s.Name || s.Alive(l.Endpoint))
		},
	}
}

// ReturnStable ends the lease of an endpoint's stable address, if it has one.
func (m *IPAM) ReturnStable(endpoint string) error {
	m.mu.Lock()
	addr, lent := m.stable[endpoint]
	p := m.poolOf(addr)
	m.mu.Unlock()
	if !lent || p == nil {
		return nil
	}
	if err := m.release(p, addr); err != nil && !errors.Is(err, errNotLeased) {
		return err
	}
	return nil
}
