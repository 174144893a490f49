package sweep_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/plugin/engine"
	"github.com/ndp6/ndp6/plugin/sweep"
)

// docker is a daemon with networks and endpoints. Its lock orders a test's
// looks with those of Run, which waking from a sleep alone does not.
type docker struct {
	mu        sync.Mutex
	daemon    engine.Daemon
	networks  []engine.Network
	endpoints map[string][]engine.Endpoint
	err       error
	looks     int
	// between is called before each look but the first.
	between func()
}

func (d *docker) Daemon(context.Context) (engine.Daemon, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.looks++; d.looks > 1 && d.between != nil {
		d.between()
	}
	return d.daemon, d.err
}

func (d *docker) Networks(context.Context) ([]engine.Network, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.networks, d.err
}

// looked returns how often the daemon was asked, and then changes it.
func (d *docker) looked(change func(*docker)) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if change != nil {
		change(d)
	}
	return d.looks
}

func (d *docker) Endpoints(_ context.Context, network string) ([]engine.Endpoint, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if endpoints, ok := d.endpoints[network]; ok {
		return endpoints, d.err
	}
	return nil, fmt.Errorf("network %s: %w", network, engine.ErrNotFound)
}

// networks are records of the network driver: endpoints by network.
type networks struct {
	pools     map[string][]netip.Prefix
	endpoints map[string]netip.Addr
	since     time.Time
	swept     []string
	err       error
}

func (n *networks) Pools() map[string][]netip.Prefix { return n.pools }

func (n *networks) Addrs() []netip.Addr {
	var addrs []netip.Addr
	for _, a := range n.endpoints {
		addrs = append(addrs, a)
	}
	return addrs
}

func (n *networks) Unknown(known driver.Known) driver.Swept {
	var s driver.Swept
	for id := range n.pools {
		if !known.Networks[id] {
			s.Networks = append(s.Networks, id)
		}
	}
	for id := range n.endpoints {
		if !known.Endpoints[id] {
			s.Endpoints = append(s.Endpoints, id)
		}
	}
	slices.Sort(s.Networks)
	slices.Sort(s.Endpoints)
	return s
}

func (n *networks) Sweep(_ context.Context, known driver.Known) (driver.Swept, error) {
	s := n.Unknown(known)
	n.since = known.Since
	n.swept = append(slices.Clone(s.Networks), s.Endpoints...)
	n.pools = cloneWithout(n.pools, s.Networks)
	n.endpoints = cloneWithout(n.endpoints, s.Endpoints)
	return s, n.err
}

func cloneWithout[V any](m map[string]V, ids []string) map[string]V {
	rest := make(map[string]V)
	for id, v := range m {
		if !slices.Contains(ids, id) {
			rest[id] = v
		}
	}
	return rest
}

// addresses are records of the IPAM driver.
type addresses struct {
	pools  []netip.Prefix
	leases []netip.Addr
	swept  string
}

func (a *addresses) Prefixes() []netip.Prefix { return a.pools }

func (a *addresses) Unknown(known ipam.Known) ipam.Swept {
	var s ipam.Swept
	for _, p := range a.pools {
		if !known.Pools[p] {
			s.Pools = append(s.Pools, p)
		}
	}
	for _, addr := range a.leases {
		shared := slices.ContainsFunc(a.pools, func(p netip.Prefix) bool { return p.Contains(addr) && known.Shared[p] })
		if !known.Addrs[addr] && !shared {
			s.Addrs = append(s.Addrs, addr)
		}
	}
	return s
}

func (a *addresses) Sweep(known ipam.Known) (ipam.Swept, error) {
	s := a.Unknown(known)
	a.swept = fmt.Sprint(s.Pools, s.Addrs)
	return s, nil
}

type daemons map[string]sweep.Daemon

func (d daemons) All() (map[string]sweep.Daemon, error) { return d, nil }

func (d daemons) Put(id string, v sweep.Daemon) error {
	d[id] = v
	return nil
}

// rig is a sweeper and all that it works on: network web with endpoints a and
// b, which Docker has, unless a test changes that.
type rig struct {
	*sweep.Sweeper
	docker    *docker
	networks  *networks
	addresses *addresses
	daemons   daemons
	log       *bytes.Buffer
}

var (
	web  = netip.MustParsePrefix("2001:db8:0:0:a::/80")
	web4 = netip.MustParsePrefix("10.166.0.0/24")
	addr = netip.MustParseAddr
)

func newRig(t *testing.T) rig {
	t.Helper()
	r := rig{
		docker: &docker{
			daemon: engine.Daemon{ID: "D1"},
			networks: []engine.Network{
				{ID: "host", Local: true},
				{ID: "web", Local: true, Pools: []netip.Prefix{web, web4}},
			},
			endpoints: map[string][]engine.Endpoint{"web": {
				{ID: "a", Addrs: []netip.Addr{addr("2001:db8::a:0:0:2"), addr("10.166.0.2")}},
				{ID: "b", Addrs: []netip.Addr{addr("2001:db8::a:0:0:3"), addr("10.166.0.3")}},
			}},
		},
		networks: &networks{
			pools:     map[string][]netip.Prefix{"web": {web, web4}},
			endpoints: map[string]netip.Addr{"a": addr("2001:db8::a:0:0:2"), "b": addr("2001:db8::a:0:0:3")},
		},
		addresses: &addresses{
			pools:  []netip.Prefix{web, web4},
			leases: []netip.Addr{addr("2001:db8::a:0:0:2"), addr("2001:db8::a:0:0:3"), addr("10.166.0.2"), addr("10.166.0.3")},
		},
		daemons: daemons{"docker": {ID: "D1"}},
		log:     &bytes.Buffer{},
	}
	r.Sweeper = sweep.New(sweep.Config{
		Log:    slog.New(slog.NewTextHandler(r.log, nil)),
		Docker: r.docker, Networks: r.networks, Addresses: r.addresses, Daemons: r.daemons,
	})
	return r
}

// swept tells what was forgotten.
func (r rig) swept() string {
	return strings.TrimSpace(fmt.Sprint(r.networks.swept, " ", r.addresses.swept))
}
