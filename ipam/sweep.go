package ipam

import (
	"errors"
	"net/netip"
	"slices"
	"time"
)

// grace is how long a pool or a lease is left alone after Docker asked for it:
// Docker has a network or an endpoint only after the driver made it, and waits
// for a driver that restarts meanwhile. Nobody makes or joins a network whose
// pool Docker gave back, so there the moment of the first question is enough.
const grace = time.Minute

// Known is what is known of who uses pools and addresses.
type Known struct {
	// Since is when the first question was asked.
	Since time.Time
	// Pools are those of all networks.
	Pools map[netip.Prefix]bool
	// Shared are those of Pools whose endpoints nobody can list, because some
	// are on other hosts. Their leases are left alone.
	Shared map[netip.Prefix]bool
	// Addrs are those of all endpoints.
	Addrs map[netip.Addr]bool
}

// Swept are pools and leases that nobody uses, in their order.
type Swept struct {
	Pools []netip.Prefix
	Addrs []netip.Addr
}

// Prefixes returns all pools, sorted.
func (m *IPAM) Prefixes() []netip.Prefix { return m.prefixes() }

// Unknown returns what Sweep would release now.
func (m *IPAM) Unknown(known Known) Swept {
	var s Swept
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.pools {
		lost := 0
		for addr, l := range p.leases {
			if p.lost(l, known) {
				lost++
				s.Addrs = append(s.Addrs, addr)
			}
		}
		if lost == len(p.leases) && m.lostPool(p, known) {
			s.Pools = append(s.Pools, p.prefix)
		}
	}
	slices.SortFunc(s.Pools, netip.Prefix.Compare)
	slices.SortFunc(s.Addrs, netip.Addr.Compare)
	return s
}

// Sweep releases the leases that no endpoint has and the pools that no network
// has, and returns them. A pool with a lease that stays is kept. Gateways and
// auxiliary addresses go with their pool.
func (m *IPAM) Sweep(known Known) (Swept, error) {
	var s Swept
	var errs []error
	found := m.Unknown(known)
	for _, addr := range found.Addrs {
		swept, err := m.sweepLease(addr, known)
		if swept {
			s.Addrs = append(s.Addrs, addr)
		}
		errs = append(errs, err)
	}
	for _, prefix := range found.Pools {
		swept, err := m.sweepPool(prefix, known)
		if swept {
			s.Pools = append(s.Pools, prefix)
		}
		errs = append(errs, err)
	}
	return s, errors.Join(errs...)
}

func (m *IPAM) sweepLease(addr netip.Addr, known Known) (bool, error) {
	m.mu.Lock()
	p := m.poolOf(addr)
	if p == nil || !p.lost(p.leases[addr], known) {
		m.mu.Unlock()
		return false, nil
	}
	l := p.leases[addr]
	l.leaving = true // under the same lock, so that no request comes between
	m.mu.Unlock()
	if err := m.forget(p, l); err != nil {
		return false, err
	}
	m.log.Info("lease swept: no endpoint has the address", "pool_id", p.id, "address", addr, "mac", l.MAC)
	return true, nil
}

func (m *IPAM) sweepPool(prefix netip.Prefix, known Known) (bool, error) {
	m.changes.Lock()
	defer m.changes.Unlock()
	m.mu.Lock()
	p := m.poolOf(prefix.Addr())
	lost := p != nil && p.prefix == prefix && len(p.leases) == 0 && m.lostPool(p, known)
	m.mu.Unlock()
	if !lost {
		return false, nil
	}
	err := m.drop(p)
	return err == nil, err
}

// poolOf returns the pool that addr is in, nil if there is none. Whoever calls
// holds mu.
func (m *IPAM) poolOf(addr netip.Addr) *pool {
	for _, p := range m.pools {
		if p.prefix.Contains(addr) {
			return p
		}
	}
	return nil
}

// lostPool reports whether nobody uses p, its leases apart. Whoever calls holds mu.
func (m *IPAM) lostPool(p *pool, known Known) bool {
	return !p.closing && !known.Pools[p.prefix] && p.old(p.touched, known)
}

// lost reports whether l is a lease of p that nobody uses. Whoever calls holds mu.
func (p *pool) lost(l *lease, known Known) bool {
	return l != nil && l.settled && !l.leaving && p.old(l.touched, known) &&
		!known.Addrs[l.Addr] && !known.Shared[p.prefix]
}

// old reports whether what Docker asked for at touched must be in its answers.
func (p *pool) old(touched time.Time, known Known) bool {
	if p.record.Released {
		return touched.Before(known.Since)
	}
	return known.Since.Sub(touched) > grace
}

// now is what records say of the moment.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// notAfter is when a record says that it was made, unless a clock that was set
// back since then makes that the future.
func notAfter(recorded, start time.Time) time.Time {
	if recorded.After(start) {
		return start
	}
	return recorded
}
