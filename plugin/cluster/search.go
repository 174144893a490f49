package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/cluster/claim"
	"github.com/ndp6/ndp6/plugin/etcd"
)

const (
	// blind is how many blocks are tried before what is taken is read.
	blind = 8
	// ahead is how many claims are read at once. Reading 65,536 takes seconds,
	// and a gap is found long before.
	ahead = 1000
)

// claiming is one search for a block.
type claiming struct {
	m    *Member
	base netip.Prefix
	bits int
	busy []netip.Prefix
}

func (c *claiming) run(ctx context.Context) (netip.Prefix, error) {
	p, err := c.left(ctx)
	for errors.Is(err, etcd.ErrAway) && sleep(ctx, again) {
		p, err = c.left(ctx)
	}
	if p.IsValid() || err != nil {
		return p, err
	}
	for n := 0; ; n++ {
		p, ok := claim.Choose(c.base, c.bits, c.m.config.Host, c.busy)
		if !ok {
			return netip.Prefix{}, c.exhausted(ctx)
		}
		if n >= blind {
			if taken, err := c.read(ctx, p); err != nil {
				return netip.Prefix{}, err
			} else if taken {
				continue
			}
		}
		taken, err := c.try(ctx, p)
		if err != nil {
			return netip.Prefix{}, err
		}
		if len(taken) == 0 {
			return p, nil
		}
		for _, t := range taken {
			c.busy = append(c.busy, t.Prefix)
		}
	}
}

// left takes a block that this host has and no network of it: the process was
// killed between claiming and recording, or etcd was away when it was released.
func (c *claiming) left(ctx context.Context) (netip.Prefix, error) {
	var found []netip.Prefix
	first := claim.HostKey(c.m.config.Host, netip.Prefix{})
	if _, err := c.m.config.Etcd.Range(ctx, first, etcd.After(first), true, func(kv etcd.KV) {
		if p, err := claim.ParsePrefix(string(kv.Key)); err == nil && p.Bits() == c.bits && inet.Covers(c.base, p) {
			found = append(found, p)
		}
	}); err != nil {
		return netip.Prefix{}, err
	}
	for _, p := range found {
		if c.m.has(p) || inet.CheckOverlap(p, c.busy) != nil {
			continue
		}
		if taken, err := c.try(ctx, p); err != nil || len(taken) == 0 {
			return p, err
		}
	}
	return netip.Prefix{}, nil
}

// try claims p, and returns what is in its way.
func (c *claiming) try(ctx context.Context, p netip.Prefix) (taken []claim.Claim, err error) {
	if !c.m.reserve(p) {
		return []claim.Claim{{Prefix: p, Host: c.m.config.Host}}, nil
	}
	defer func() { c.m.settle(p, err == nil && len(taken) == 0) }()
	value, err := json.Marshal(claim.Claim{
		Prefix: p, Host: c.m.config.Host, Name: c.m.config.Name, Base: c.base, Since: time.Now().UTC().Truncate(time.Second),
	})
	if err != nil {
		return nil, err
	}
	for {
		revision, err := c.m.membership(ctx)
		if err != nil {
			return nil, err
		}
		r, err := c.m.config.Etcd.Do(ctx, c.txn(p, value, revision))
		if errors.Is(err, etcd.ErrAway) && sleep(ctx, again) {
			continue // It may be choosing a leader.
		}
		if err != nil || r.OK {
			return nil, err
		}
		taken = overlapping(r.Found[1:])
		switch {
		case len(taken) == 1 && taken[0].Prefix == p && taken[0].Host == c.m.config.Host:
			return nil, nil // Of before, or the answer was lost.
		case len(taken) > 0:
			return taken, nil
		}
		// Our record is another than a moment ago: the lease ended, or there is news.
		c.m.lapsed(revision)
	}
}

// txn claims p where nothing that is claimed overlaps it, and we are a member.
func (c *claiming) txn(p netip.Prefix, value []byte, revision int64) etcd.Txn {
	first, end := claim.Within(p)
	host := c.m.config.Host
	t := etcd.Txn{
		If:   []etcd.Compare{etcd.Unchanged(claim.HelloKey(host), revision), etcd.Absent(first, end)},
		Then: []etcd.Op{etcd.Put(claim.Key(p), value, 0), etcd.Put(claim.HostKey(host, p), nil, 0)},
		Else: []etcd.Op{etcd.Get(claim.HelloKey(host), ""), etcd.Get(first, end)},
	}
	for _, key := range claim.Around(p) {
		t.If, t.Else = append(t.If, etcd.Absent(key, "")), append(t.Else, etcd.Get(key, ""))
	}
	return t
}

// overlapping returns the claims that a txn found in its way. One that cannot be
// read is in the way as well.
func overlapping(found [][]etcd.KV) []claim.Claim {
	var claims []claim.Claim
	for _, kv := range slices.Concat(found...) {
		c, err := claim.ParseClaim(string(kv.Key), kv.Value)
		if err != nil {
			if c.Prefix, err = claim.ParsePrefix(string(kv.Key)); err != nil {
				continue // A key that stands for no prefix is in nobody's way.
			}
		}
		claims = append(claims, c)
	}
	return claims
}

// read has the search know claims from p on, and reports whether p is among them.
func (c *claiming) read(ctx context.Context, p netip.Prefix) (taken bool, err error) {
	first, _ := claim.Within(p)
	_, end := claim.Within(c.base)
	err = c.m.config.Etcd.Some(ctx, first, end, ahead, func(kv etcd.KV) {
		if found, err := claim.ParsePrefix(string(kv.Key)); err == nil {
			c.busy = append(c.busy, found)
			taken = taken || found.Overlaps(p)
		}
	})
	return taken, err
}

// named is how many hosts an error names.
const named = 5

// exhausted says who has the blocks of the base.
func (c *claiming) exhausted(ctx context.Context) error {
	count := make(map[string]int)
	first, end := claim.Within(c.base)
	_, err := c.m.config.Etcd.Range(ctx, first, end, false, func(kv etcd.KV) {
		if found, err := claim.ParseClaim(string(kv.Key), kv.Value); err == nil {
			count[cmp.Or(found.Name, found.Host)]++
		}
	})
	if err != nil {
		// There are too many to count while Docker waits.
		return fmt.Errorf("none is free: use another base, or see ndp6 claims: %w", inet.ErrConflict)
	}
	hosts := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	var holders []string
	for _, h := range hosts[:min(len(hosts), named)] {
		holders = append(holders, fmt.Sprintf("%s (%d)", h, count[h]))
	}
	if more := len(hosts) - named; more > 0 {
		holders = append(holders, fmt.Sprintf("%d more hosts", more))
	}
	if len(holders) == 0 {
		holders = []string{"nobody in etcd, but this host uses all of it otherwise"}
	}
	return fmt.Errorf("none is free; they are held by %s: use another base, remove networks, or reap hosts that are gone with ndp6 claims --reap HOST: %w",
		strings.Join(holders, ", "), inet.ErrConflict)
}
