package ipam

import (
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/inet"
)

// A PoolStatus is a pool as it is now. Its form in JSON is described in
// docs/status.md and only grows.
type PoolStatus struct {
	Prefix netip.Prefix `json:"prefix"`
	// Source and Reason are those of Pool.
	Source string `json:"source"`
	Reason string `json:"reason"`
	// IID is the mode of the pool's automatic addresses.
	IID alloc.Mode `json:"iid"`
	// Leases is how many addresses endpoints have, Capacity how many they can
	// have, 0 for more than 65,536.
	Leases   int `json:"leases"`
	Capacity int `json:"capacity"`
}

// Pools returns all pools, sorted by prefix, IPv4 first.
func (m *IPAM) Pools() []PoolStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]PoolStatus, 0, len(m.pools))
	for _, p := range m.pools {
		r := m.request(p, wish{mac: inet.MAC{2}, name: "any"})
		all = append(all, PoolStatus{
			Prefix: p.prefix, Source: p.record.Source, Reason: p.record.Reason,
			IID: r.Effective(), Leases: len(p.leases), Capacity: p.capacity(),
		})
	}
	slices.SortFunc(all, func(a, b PoolStatus) int { return a.Prefix.Compare(b.Prefix) })
	return all
}

// countedBits are the host bits of the largest pool that is worth counting.
const countedBits = 16

// capacity is PoolStatus.Capacity. The caller holds IPAM.mu.
func (p *pool) capacity() int {
	span := p.prefix
	if p.record.Range.IsValid() {
		span = p.record.Range
	}
	if span.Addr().BitLen()-span.Bits() > countedBits {
		return 0
	}
	n := 0
	for addr := span.Addr(); span.Contains(addr); addr = addr.Next() {
		if alloc.Reserved(p.prefix, addr) == "" && (p.leases[addr] != nil || !p.taken(addr)) {
			n++
		}
	}
	return n
}
