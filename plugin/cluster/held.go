package cluster

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ndp6/ndp6/plugin/cluster/claim"
	"github.com/ndp6/ndp6/plugin/etcd"
)

// errCondition says that a claim is not given back because of its host.
var errCondition = errors.New("the host came back")

// has reports whether a network of this host has p, or is about to.
func (m *Member) has(p netip.Prefix) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held[p] || m.claiming[p]
}

// own returns all that this host has, or is about to.
func (m *Member) own() []netip.Prefix {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.AppendSeq(slices.Collect(maps.Keys(m.held)), maps.Keys(m.claiming))
}

// reserve keeps p from other claims of this host until settle.
func (m *Member) reserve(p netip.Prefix) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[p] || m.claiming[p] {
		return false
	}
	m.claiming[p] = true
	return true
}

func (m *Member) settle(p netip.Prefix, claimed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.claiming, p)
	if claimed {
		m.held[p] = true
		delete(m.released, p)
	}
}

// membership waits until the host is a member, and returns the revision of its
// record. Where another host has its id there is nothing to wait for.
func (m *Member) membership(ctx context.Context) (revision int64, err error) {
	for {
		m.mu.Lock()
		revision, changed, clone := m.revision, m.changed, m.state.clone
		m.mu.Unlock()
		if clone != nil {
			return 0, clone
		}
		if revision != 0 {
			return revision, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// lapsed has Run say anew what it said at that revision.
func (m *Member) lapsed(revision int64) {
	m.mu.Lock()
	if m.revision == revision {
		m.revision = 0
	}
	m.mu.Unlock()
	m.poke()
}

// giveBack deletes the claims of blocks that were released.
func (m *Member) giveBack(ctx context.Context) error {
	m.mu.Lock()
	released := slices.Collect(maps.Keys(m.released))
	m.mu.Unlock()
	for _, p := range released {
		if !m.reserve(p) {
			continue // It is wanted again.
		}
		err := m.unclaim(ctx, m.config.Host, p, nil)
		m.settle(p, false)
		if err != nil {
			return err
		}
		m.mu.Lock()
		delete(m.released, p)
		m.mu.Unlock()
		m.log.Info("block given back", "prefix", p)
	}
	return nil
}

// unclaim deletes a claim that is still the host's, where the condition holds.
func (m *Member) unclaim(ctx context.Context, host string, p netip.Prefix, condition []etcd.Compare) error {
	for {
		r, err := m.config.Etcd.Do(ctx, etcd.Txn{Then: []etcd.Op{etcd.Get(claim.Key(p), "")}})
		if err != nil {
			return err
		}
		t := etcd.Txn{If: slices.Clone(condition), Then: []etcd.Op{etcd.Delete(claim.HostKey(host, p))}}
		for _, kv := range r.Found[0] {
			if c, err := claim.ParseClaim(string(kv.Key), kv.Value); err != nil || c.Host == host {
				t.If = append(t.If, etcd.Unchanged(string(kv.Key), kv.ModRevision))
				t.Then = append(t.Then, etcd.Delete(string(kv.Key)))
			}
		}
		if r, err = m.config.Etcd.Do(ctx, t); err != nil || r.OK {
			return err
		}
		if len(condition) > 0 {
			return errCondition
		}
	}
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
