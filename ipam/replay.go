package ipam

import "time"

// When dockerd starts it asks again for every pool and address that it has
// stored: pools with their prefix even where we chose it, addresses without a
// MAC. The answers must be the same, or dockerd gives the live pool back. Yet a
// second network with a --subnet in use asks in the very same words and must be
// refused.
//
// What tells them apart is the session: dockerd calls GetCapabilities once when
// it starts. From then on each known pool can be confirmed once. (Docker 28
// calls GetDefaultAddressSpaces before every RequestPool, so that starts
// nothing.) A new endpoint in a pool shows that dockerd has its network, and
// ends the wait as well: a plugin that was down when dockerd started is never
// asked for replay.

// expectReplay lets every pool be confirmed once.
func (m *IPAM) expectReplay() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.pools {
		p.unconfirmed, p.creating = true, false
	}
}

// confirm returns the pool that want asks for again: one that dockerd has not
// confirmed since it started, or one that it gave back while leases were left.
// It returns nil when want is for a new pool. The caller holds changes.
func (m *IPAM) confirm(want Pool) (*pool, error) {
	m.mu.Lock()
	p := m.match(want)
	if p == nil {
		m.mu.Unlock()
		return nil, nil
	}
	released := p.record.Released
	p.unconfirmed, p.creating, p.touched = false, false, time.Now()
	m.mu.Unlock()
	if !released {
		m.log.Debug("pool confirmed", "pool_id", p.id)
		return p, nil
	}
	if err := m.change(p, func(r *Pool) error { r.Released = false; return nil }); err != nil {
		return nil, err
	}
	m.log.Info("released pool lent again with its leases", "pool_id", p.id)
	return p, nil
}

// match looks want up among the pools that can be confirmed. The caller holds mu.
func (m *IPAM) match(want Pool) *pool {
	for _, p := range m.pools {
		r := p.record
		if r.Prefix == want.Prefix && r.Range == want.Range && (want.IID == "" || want.IID == r.IID) {
			if (p.unconfirmed || r.Released) && !p.closing {
				return p
			}
			return nil
		}
	}
	return nil
}
