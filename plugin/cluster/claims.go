package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/cluster/claim"
	"github.com/ndp6/ndp6/plugin/etcd"
)

const (
	// patience is how long a claim may take, so that it is refused within 5 seconds.
	patience = 4 * time.Second
	// again is how long a claim waits before it asks etcd again.
	again = 200 * time.Millisecond
)

// Claim claims a block of base for a network of this host: one that overlaps
// none of busy and nothing that is claimed. Its error wraps inet.ErrConflict
// where there is none. It takes no longer than Patience.
func (m *Member) Claim(ctx context.Context, base netip.Prefix, bits int, busy []netip.Prefix) (netip.Prefix, error) {
	if err := claim.CheckBase(base, bits); err != nil {
		return netip.Prefix{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, m.config.Patience)
	defer cancel()
	c := claiming{m: m, base: base, bits: bits, busy: append(m.own(), busy...)}
	p, err := c.run(ctx)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("claim a /%d of base %s: %w", bits, base, m.explain(err))
	}
	m.log.InfoContext(ctx, "block claimed", "prefix", p, "base", base)
	m.poke()
	return p, nil
}

// ClaimThis claims one block, which a network of this host is known to have. One
// that this host has already is claimed.
func (m *Member) ClaimThis(ctx context.Context, base, p netip.Prefix) error {
	if err := claim.CheckBase(base, p.Bits()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, m.config.Patience)
	defer cancel()
	c := claiming{m: m, base: base, bits: p.Bits()}
	taken, err := c.try(ctx, p)
	switch {
	case err != nil:
		return fmt.Errorf("claim %s: %w", p, m.explain(err))
	case len(taken) > 0:
		return fmt.Errorf("claim %s: host %s has %s: leave out --subnet to get a block that is free: %w", p, taken[0].Host, taken[0].Prefix, inet.ErrConflict)
	}
	m.poke()
	return nil
}

// Release gives a block back, as soon as etcd answers.
func (m *Member) Release(p netip.Prefix) {
	m.mu.Lock()
	delete(m.held, p)
	m.released[p] = true
	m.mu.Unlock()
	m.poke()
}

// explain says what an error of a claim means for who waits for it.
func (m *Member) explain(err error) error {
	m.mu.Lock()
	trouble := m.state.err
	m.mu.Unlock()
	switch {
	case errors.Is(err, etcd.ErrAway):
	case errors.Is(err, context.DeadlineExceeded) && trouble != nil:
		err = trouble
	default:
		return err
	}
	return fmt.Errorf("%w: networks that have their block go on, new ones need etcd", err)
}
