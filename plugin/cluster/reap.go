package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/plugin/cluster/claim"
	"github.com/ndp6/ndp6/plugin/etcd"
)

// A Claimed is a claim and what is known of its host.
type Claimed struct {
	claim.Claim
	// Alive is whether the host has a lease.
	Alive bool `json:"alive"`
	// Unused is set for a block of this host that no network of it has.
	Unused bool `json:"unused,omitempty"`
}

// Claims returns all claims, in the order of their prefixes.
func (m *Member) Claims(ctx context.Context) ([]Claimed, error) {
	alive := make(map[string]bool)
	if _, err := m.config.Etcd.Range(ctx, claim.Hellos, etcd.After(claim.Hellos), true, func(kv etcd.KV) {
		alive[string(kv.Key)] = true
	}); err != nil {
		return nil, err
	}
	var all []Claimed
	_, err := m.config.Etcd.Range(ctx, claim.Prefixes, etcd.After(claim.Prefixes), false, func(kv etcd.KV) {
		c, err := claim.ParseClaim(string(kv.Key), kv.Value)
		if err != nil {
			m.log.Warn("claim in etcd ignored", "err", err)
			return
		}
		all = append(all, Claimed{
			Claim: c, Alive: alive[claim.HelloKey(c.Host)], Unused: c.Host == m.config.Host && !m.has(c.Prefix),
		})
	})
	return all, err
}

// Reap deletes the claims of a host that has no lease, and of this host those
// that no network of it has. It returns the blocks that are free now.
func (m *Member) Reap(ctx context.Context, host string) ([]netip.Prefix, error) {
	all, err := m.Claims(ctx)
	if err != nil {
		return nil, err
	}
	of := slices.DeleteFunc(all, func(c Claimed) bool { return c.Host != host && c.Name != host })
	if len(of) == 0 {
		return nil, fmt.Errorf("no host %q has a claim: ndp6 claims lists those that have", host)
	}
	var freed []netip.Prefix
	for _, c := range of {
		did, err := m.reap(ctx, c)
		if err != nil {
			return freed, fmt.Errorf("free %s of host %s: %w", c.Prefix, host, err)
		}
		if did {
			m.log.WarnContext(ctx, "block reaped", "prefix", c.Prefix, "host", c.Host)
			freed = append(freed, c.Prefix)
		}
	}
	return freed, nil
}

func (m *Member) reap(ctx context.Context, c Claimed) (did bool, err error) {
	if c.Host == m.config.Host {
		if !m.reserve(c.Prefix) {
			return false, nil // A network has it.
		}
		defer m.settle(c.Prefix, false)
		return true, m.unclaim(ctx, c.Host, c.Prefix, nil)
	}
	if c.Alive {
		return false, errors.New("it is alive: stop ndp6 there, and wait until its lease ends")
	}
	return true, m.unclaim(ctx, c.Host, c.Prefix, []etcd.Compare{etcd.Absent(claim.HelloKey(c.Host), "")})
}
