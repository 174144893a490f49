package sweep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/plugin/engine"
)

// An answer is what Docker said in one or more looks, together.
type answer struct {
	since  time.Time // before the first look
	daemon engine.Daemon

	listed    map[string]bool // networks
	endpoints map[string]bool
	pools     map[netip.Prefix]bool
	// shared are pools of networks whose endpoints are on other hosts as well.
	shared map[netip.Prefix]bool
	addrs  map[netip.Addr]bool
}

func newAnswer() *answer {
	return &answer{
		since:  time.Now(),
		listed: make(map[string]bool), endpoints: make(map[string]bool),
		pools: make(map[netip.Prefix]bool), shared: make(map[netip.Prefix]bool),
		addrs: make(map[netip.Addr]bool),
	}
}

// look asks Docker once and adds what it says.
func (s *Sweeper) look(ctx context.Context, seen *answer) error {
	daemon, err := s.Docker.Daemon(ctx)
	if err != nil {
		return err
	}
	if seen.daemon.ID != "" && seen.daemon.ID != daemon.ID {
		return fmt.Errorf("the docker daemon changed from %s to %s between two looks", seen.daemon.ID, daemon.ID)
	}
	seen.daemon = daemon
	networks, err := s.Docker.Networks(ctx)
	if err != nil {
		return err
	}
	ours, lent := s.Networks.Pools(), s.Addresses.Prefixes()
	for _, n := range networks {
		_, own := ours[n.ID]
		uses := slices.ContainsFunc(n.Pools, func(p netip.Prefix) bool { return slices.Contains(lent, p) })
		if own || uses {
			endpoints, err := s.Docker.Endpoints(ctx, n.ID)
			if errors.Is(err, engine.ErrNotFound) {
				continue // removed since it was listed
			}
			if err != nil {
				return err
			}
			seen.add(endpoints)
		}
		seen.listed[n.ID] = true
		for _, p := range n.Pools {
			seen.pools[p] = true
			if !own && !n.Local {
				seen.shared[p] = true
			}
		}
	}
	return nil
}

func (a *answer) add(endpoints []engine.Endpoint) {
	for _, e := range endpoints {
		a.endpoints[e.ID] = true
		for _, addr := range e.Addrs {
			a.addrs[addr] = true
		}
	}
}

// networks is the answer as the network driver wants it.
func (a *answer) networks() driver.Known {
	return driver.Known{Since: a.since, Networks: a.listed, Endpoints: a.endpoints}
}

// addresses is the answer as the IPAM driver wants it. The network driver's
// endpoints count as well. In a swarm a pool that is not listed may be that of
// a network that only managers can list, unless it is among those freed.
func (s *Sweeper) addresses(a *answer, freed map[netip.Prefix]bool) ipam.Known {
	known := ipam.Known{
		Since: a.since,
		Pools: maps.Clone(a.pools), Shared: maps.Clone(a.shared), Addrs: maps.Clone(a.addrs),
	}
	for _, addr := range s.Networks.Addrs() {
		known.Addrs[addr] = true
	}
	if !a.daemon.Swarm {
		return known
	}
	for _, p := range s.Addresses.Prefixes() {
		if !known.Pools[p] && !freed[p] {
			known.Pools[p], known.Shared[p] = true, true
		}
	}
	return known
}
