package ipam

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
)

// load fills the memory from the store.
func (m *IPAM) load() error {
	pools, err := m.records.All()
	if err != nil {
		return fmt.Errorf("load pools: %w", err)
	}
	leases, err := m.leases.All()
	if err != nil {
		return fmt.Errorf("load leases: %w", err)
	}
	start := time.Now()
	for id, record := range pools {
		if record.id() != id || record.check() != nil {
			m.log.Warn("pool record ignored", "pool_id", id)
			continue
		}
		m.pools[id] = newPool(record, notAfter(record.Since, start))
	}
	for _, key := range slices.Sorted(maps.Keys(leases)) {
		l := leases[key]
		p, err := m.find(l.Pool)
		if err != nil || !p.prefix.Contains(l.Addr) {
			m.log.Warn("lease record ignored", "pool_id", l.Pool, "address", l.Addr)
			continue
		}
		p.leases[l.Addr] = &lease{Lease: l, settled: true, touched: notAfter(l.Since, start)}
		if l.Endpoint != "" {
			m.stable[l.Endpoint] = l.Addr
		}
	}
	m.changes.Lock()
	defer m.changes.Unlock()
	// The host's boot took the leases that these pools waited for.
	for _, p := range slices.Collect(maps.Values(m.pools)) {
		if err := m.dropReleased(p); err != nil {
			return err
		}
	}
	return nil
}

// find returns the pool of id, made again from the id when its record is lost.
func (m *IPAM) find(id string) (*pool, error) {
	m.mu.Lock()
	p := m.pools[id]
	m.mu.Unlock()
	if p != nil {
		return p, nil
	}
	record, err := parseID(id)
	if err != nil {
		return nil, err
	}
	m.changes.Lock()
	defer m.changes.Unlock()
	m.mu.Lock()
	p = m.pools[id]
	m.mu.Unlock()
	if p != nil {
		return p, nil
	}
	if err := inet.CheckOverlap(record.Prefix, m.prefixes()); err != nil {
		return nil, fmt.Errorf("rebuild pool from its id: %w", err)
	}
	record.Source, record.Reason, record.Since = "rebuilt", "made again from its id, as the record was lost", now()
	p = newPool(record, time.Now())
	if p.is4() {
		// The gateway that the lost record most likely had: an endpoint that got
		// its address would take the network down.
		if p.record.Gateway, err = p.firstFree(); err != nil {
			return nil, err
		}
	}
	if err := m.add(p); err != nil {
		return nil, err
	}
	m.log.Warn("pool rebuilt from its id, leases unknown", "pool_id", id)
	return p, nil
}

// prefixes are those of every pool.
func (m *IPAM) prefixes() []netip.Prefix {
	m.mu.Lock()
	defer m.mu.Unlock()
	prefixes := make([]netip.Prefix, 0, len(m.pools))
	for _, p := range m.pools {
		prefixes = append(prefixes, p.prefix)
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return prefixes
}

// add makes p known. The caller holds changes.
func (m *IPAM) add(p *pool) error {
	m.mu.Lock()
	m.pools[p.id] = p
	m.mu.Unlock()
	if err := m.records.Put(p.id, p.record); err != nil {
		m.mu.Lock()
		delete(m.pools, p.id)
		m.mu.Unlock()
		// A disk that reports an error may have kept the record all the same.
		_ = m.records.Delete(p.id)
		return fmt.Errorf("record pool %s: %w", p.prefix, err)
	}
	return nil
}

// change edits the pool's record, at once in memory and then in the store, and
// takes the edit back when that fails. The caller holds changes; edit must not
// write to what the record's slices share.
func (m *IPAM) change(p *pool, edit func(*Pool) error) error {
	m.mu.Lock()
	if p.closing || m.pools[p.id] != p {
		m.mu.Unlock()
		return fmt.Errorf("pool %s is being released: create the network again", p.prefix)
	}
	before := p.record
	after := before
	if err := edit(&after); err != nil {
		m.mu.Unlock()
		return err
	}
	p.record = after
	m.mu.Unlock()
	if err := m.records.Put(p.id, after); err != nil {
		m.mu.Lock()
		p.record = before
		m.mu.Unlock()
		return fmt.Errorf("record pool %s: %w", p.prefix, err)
	}
	return nil
}
