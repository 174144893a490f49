// Package cluster makes the host a member of a cluster that shares prefixes
// through etcd: it claims blocks for the host's networks, says which lead here,
// and knows which lead to the others.
//
// Nothing that runs depends on etcd. While it is away all routes stay, networks
// that have their blocks go on, and only what needs a new block is refused.
package cluster

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/ndp6/ndp6/plugin/cluster/peers"
	"github.com/ndp6/ndp6/plugin/etcd"
)

// Records keep the peers until the host's next boot. Every change is one transaction.
type Records interface {
	All() (map[string]peers.Peer, error)
	Put(host string, p peers.Peer) error
	Delete(host string) error
}

// Config is what a Member is made of. All fields but Patience are required.
type Config struct {
	Log  *slog.Logger
	Etcd *etcd.Client
	// Host is the host's id in the cluster, Name its name for people, and BootID
	// the kernel's.
	Host, Name, BootID string
	// Lease is how long etcd waits for a host, and Hold how long its routes stay
	// then.
	Lease, Hold time.Duration
	// Patience is how long a claim may take, 4 seconds where it is 0: docker
	// network create waits.
	Patience time.Duration
	// NextHop returns the host's address on the link that all hosts share.
	NextHop func() (netip.Addr, error)
	// Answers reports whether a host has this address on that link.
	Answers func(ctx context.Context, addr netip.Addr) bool
	// Changed is called when the routes to these hosts may be others. It returns
	// when the kernel has them.
	Changed func(ctx context.Context, hosts []string)
	// Busy reports whether containers here are reached through the host's blocks.
	Busy  func() bool
	Peers Records
}

// A Member is this host in its cluster. Make it with New.
type Member struct {
	config Config
	log    *slog.Logger
	// kick has Run say what is new of this host.
	kick chan struct{}

	mu    sync.Mutex
	peers *peers.Peers
	// held are the blocks that networks here have, claiming those that they may
	// have soon.
	held, claiming map[netip.Prefix]bool
	// released are blocks that are still to be given back.
	released map[netip.Prefix]bool
	// revision is that of our Hello, 0 while there is none.
	revision int64
	// changed is closed, and made anew, when state changes.
	changed chan struct{}
	state   state
}

// state is how things are with etcd.
type state struct {
	connected bool
	since     time.Time // when connected changed
	// err is why the host is not connected, or no member.
	err error
	// clone is why the host cannot be a member, though etcd is there.
	clone error
	// nextHop is what was said last.
	nextHop netip.Addr
	refused []peers.Route
}

// New returns a Member with the peers that an earlier process knew.
func New(c Config) (*Member, error) {
	recorded, err := c.Peers.All()
	if err != nil {
		return nil, err
	}
	c.Patience = cmp.Or(c.Patience, patience)
	m := &Member{
		config: c, log: c.Log, kick: make(chan struct{}, 1),
		peers: peers.New(c.Host, c.Hold, recorded),
		held:  make(map[netip.Prefix]bool), claiming: make(map[netip.Prefix]bool), released: make(map[netip.Prefix]bool),
		changed: make(chan struct{}),
		state:   state{since: time.Now()},
	}
	return m, nil
}

// Hold says which blocks the host's networks have, before Run.
func (m *Member) Hold(blocks []netip.Prefix) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range blocks {
		m.held[p] = true
	}
}

const (
	firstRetry   = 500 * time.Millisecond
	longestRetry = 3 * time.Second
	// farewell is how long leaving may take while the process stops.
	farewell = time.Second
)

// Run keeps the host a member until ctx ends, and returns nil then. Where no
// container needs it any more, the host leaves: nothing leads to it from then on.
func (m *Member) Run(ctx context.Context) error {
	var s session
	retry := firstRetry
	for ctx.Err() == nil {
		begin := time.Now()
		err := m.run(ctx, &s)
		if ctx.Err() != nil {
			break
		}
		if time.Since(begin) > longestRetry {
			retry = firstRetry
		}
		m.disconnected(err)
		// A thousand hosts lose etcd at once, and should not come back at once.
		sleep(ctx, retry/2+rand.N(retry/2))
		retry = min(2*retry, longestRetry)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	m.leave(ctx, &s)
	return nil
}

// poke has Run say what is new of this host.
func (m *Member) poke() {
	select {
	case m.kick <- struct{}{}:
	default: // It will.
	}
}

// setState changes the state and wakes those who wait for it.
func (m *Member) setState(f func(*state)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.state)
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Member) disconnected(err error) {
	news := false
	m.setState(func(s *state) {
		news = s.connected || s.err == nil || err != nil && s.err.Error() != err.Error()
		if s.connected {
			s.since = time.Now()
		}
		s.connected, s.err = false, err
	})
	if news {
		m.log.Warn("etcd is away: routes stay, no block can be claimed", "err", err)
	}
}

func (m *Member) connected() {
	m.setState(func(s *state) {
		if !s.connected {
			s.since = time.Now()
		}
		s.connected, s.err = true, nil
	})
	m.log.Info("etcd answers")
}

// Routes returns the routes to each peer, and notes those that are refused for
// another's, or for prefixes of our own.
func (m *Member) Routes(own []netip.Prefix) []peers.Route {
	m.mu.Lock()
	defer m.mu.Unlock()
	routes, refused := m.peers.Routes(own)
	m.state.refused = refused
	return routes
}
