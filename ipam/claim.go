package ipam

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/inet"
)

// Claims are the blocks that the hosts of a cluster share.
type Claims interface {
	// Claim claims a block of base, of that length, that overlaps none of busy.
	Claim(ctx context.Context, base netip.Prefix, bits int, busy []netip.Prefix) (netip.Prefix, error)
	// ClaimThis claims one block of base.
	ClaimThis(ctx context.Context, base, block netip.Prefix) error
	// Release gives a block back. It waits for nobody.
	Release(block netip.Prefix)
}

// claimFor completes want, which came with a base, by a block of it. Where the
// block is given, it is one that was claimed before: dockerd asks again, and the
// record was lost. Nobody but the network that is made waits for etcd.
func (m *IPAM) claimFor(ctx context.Context, want Pool, o poolOptions, facts source.Facts) (Pool, error) {
	base := o.base
	if m.claims == nil {
		return Pool{}, fmt.Errorf("--ipam-opt %s=%s: no etcd is set that has the blocks of other hosts: give --etcd (NDP6_ETCD)", optionBase, base)
	}
	bits := m.source.Bits(o.wish)
	block := want.Prefix
	var err error
	switch {
	case !block.IsValid():
		block, err = m.claims.Claim(ctx, base, bits, source.Obstacles(facts.Foreign, m.prefixes(), base, bits))
	case !inet.Covers(base, block):
		err = fmt.Errorf("--subnet %s is not in it: leave out --subnet to get a block that is free", block)
	default:
		err = m.claims.ClaimThis(ctx, base, block)
	}
	if err != nil {
		return Pool{}, fmt.Errorf("--ipam-opt %s=%s: %w", optionBase, base, err)
	}
	want.Prefix, want.Base = block, base
	if err := want.check(); err != nil {
		m.claims.Release(block)
		return Pool{}, err
	}
	return want, nil
}

// unclaim gives the block of a pool back that is no more.
func (m *IPAM) unclaim(p Pool) {
	if p.Base.IsValid() && m.claims != nil {
		m.claims.Release(p.Prefix)
	}
}

// Claimed returns the pools that are blocks of a base.
func (m *IPAM) Claimed() []netip.Prefix {
	m.mu.Lock()
	defer m.mu.Unlock()
	var blocks []netip.Prefix
	for _, p := range m.pools {
		if p.record.Base.IsValid() {
			blocks = append(blocks, p.prefix)
		}
	}
	return blocks
}
