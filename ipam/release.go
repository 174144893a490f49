package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/docker/go-plugins-helpers/ipam"
)

// errNotLeased says that there is nothing to release.
var errNotLeased = errors.New("address is not leased")

// ReleaseAddress takes an address back. What is not known succeeds: Docker may
// release twice, and after its pool.
func (m *IPAM) ReleaseAddress(_ context.Context, r *ipam.ReleaseAddressRequest) error {
	if r.PoolID == noIPv4ID {
		return nil
	}
	if isSwarmID(r.PoolID) {
		return m.swarm.releaseAddress(r)
	}
	addr, err := parseAddr(r.Address)
	if err != nil {
		return err
	}
	m.mu.Lock()
	p := m.pools[r.PoolID]
	m.mu.Unlock()
	if p == nil {
		m.log.Debug("release of an address in an unknown pool", "pool_id", r.PoolID, "address", addr)
		return nil
	}
	if isLinkLocalGateway(p, addr) {
		return nil
	}
	err = m.release(p, addr)
	if errors.Is(err, errNotLeased) {
		return m.releaseReserved(p, addr)
	}
	return err
}

// release ends the lease of addr, errNotLeased if there is none.
func (m *IPAM) release(p *pool, addr netip.Addr) error {
	m.mu.Lock()
	l := p.leases[addr]
	if l == nil || l.leaving || !l.settled {
		m.mu.Unlock()
		return errNotLeased
	}
	l.leaving = true
	m.mu.Unlock()
	return m.forget(p, l)
}

// forget ends a lease that was marked as leaving.
func (m *IPAM) forget(p *pool, l *lease) error {
	addr := l.Addr
	if err := m.leases.Delete(l.key()); err != nil {
		m.mu.Lock()
		l.leaving = false
		m.mu.Unlock()
		return fmt.Errorf("forget lease %s: %w", addr, err)
	}
	m.mu.Lock()
	m.take(p, l)
	if u := m.unpaired[l.MAC]; u.pool == p && u.addr == addr {
		delete(m.unpaired, l.MAC)
	}
	last := p.record.Released && len(p.leases) == 0
	m.mu.Unlock()
	m.log.Debug("address released", "pool_id", p.id, "address", addr)
	if last {
		m.changes.Lock()
		defer m.changes.Unlock()
		return m.dropReleased(p)
	}
	return nil
}

// releaseReserved takes a gateway or an auxiliary address back.
func (m *IPAM) releaseReserved(p *pool, addr netip.Addr) error {
	m.changes.Lock()
	defer m.changes.Unlock()
	m.mu.Lock()
	known := addr == p.record.Gateway || slices.Contains(p.record.Aux, addr)
	m.mu.Unlock()
	if !known {
		m.log.Debug("release of an address that is not leased", "pool_id", p.id, "address", addr)
		return nil
	}
	return m.change(p, func(r *Pool) error {
		if r.Gateway == addr {
			r.Gateway = netip.Addr{}
		}
		r.Aux = slices.DeleteFunc(slices.Clone(r.Aux), func(a netip.Addr) bool { return a == addr })
		return nil
	})
}

// ReleasePool takes a pool back. With leases left it is kept until the last one
// goes: when a replay fails Docker gives pools of running containers back. More
// often Docker lost the leases; a sweep tells.
func (m *IPAM) ReleasePool(_ context.Context, r *ipam.ReleasePoolRequest) error {
	if isSwarmID(r.PoolID) {
		m.swarm.releasePool(r)
		return nil
	}
	m.changes.Lock()
	defer m.changes.Unlock()
	m.mu.Lock()
	p := m.pools[r.PoolID]
	left := 0
	if p != nil {
		left = len(p.leases)
	}
	m.mu.Unlock()
	switch {
	case p == nil:
		m.log.Debug("release of an unknown pool", "pool_id", r.PoolID)
		return nil
	case left == 0:
		return m.drop(p)
	}
	m.log.Warn("pool released with leases left, kept until they go", "pool_id", p.id, "leases", left)
	if err := m.change(p, func(r *Pool) error { r.Released = true; return nil }); err != nil {
		return err
	}
	m.stale()
	return m.dropReleased(p) // The last lease may have gone meanwhile.
}

// dropReleased removes a pool that Docker gave back and no lease is left in. The
// caller holds changes.
func (m *IPAM) dropReleased(p *pool) error {
	m.mu.Lock()
	done := p.record.Released && len(p.leases) == 0 && m.pools[p.id] == p
	m.mu.Unlock()
	if !done {
		return nil
	}
	return m.drop(p)
}

// drop removes p from the store, then from memory. The caller holds changes.
func (m *IPAM) drop(p *pool) error {
	m.mu.Lock()
	if len(p.leases) > 0 { // A new endpoint came meanwhile; its release comes back here.
		p.record.Released = true
		m.mu.Unlock()
		return nil
	}
	p.closing = true
	m.mu.Unlock()
	if err := m.records.Delete(p.id); err != nil {
		m.mu.Lock()
		p.closing = false
		m.mu.Unlock()
		return fmt.Errorf("forget pool %s: %w", p.prefix, err)
	}
	m.mu.Lock()
	delete(m.pools, p.id)
	m.mu.Unlock()
	m.unclaim(p.record)
	m.log.Info("pool released", "pool_id", p.id)
	return nil
}
