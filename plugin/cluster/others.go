package cluster

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ndp6/ndp6/plugin/cluster/claim"
	"github.com/ndp6/ndp6/plugin/cluster/peers"
	"github.com/ndp6/ndp6/plugin/etcd"
)

// meet learns which hosts are there, and returns as of which revision.
func (m *Member) meet(ctx context.Context) (revision int64, err error) {
	var hellos []claim.Hello
	revision, err = m.config.Etcd.Range(ctx, claim.Hellos, etcd.After(claim.Hellos), false, func(kv etcd.KV) {
		if h, ok := m.read(kv); ok {
			hellos = append(hellos, h)
		}
	})
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	news := m.peers.Reset(time.Now().UTC(), hellos)
	m.mu.Unlock()
	m.follow(ctx, news)
	return revision, nil
}

func (m *Member) read(kv etcd.KV) (claim.Hello, bool) {
	h, err := claim.ParseHello(string(kv.Key), kv.Value)
	if err != nil {
		m.log.Warn("record of a host in etcd ignored", "err", err)
	}
	return h, err == nil
}

// heard follows changes of hosts.
func (m *Member) heard(ctx context.Context, events []etcd.Event) {
	news := make(map[string]bool)
	for _, e := range events {
		host := strings.TrimPrefix(string(e.Key), claim.Hellos)
		if host == m.config.Host {
			m.disturbed(e)
			continue
		}
		if e.Deleted {
			m.mu.Lock()
			news[host] = m.peers.Lost(host, time.Now().UTC()) || news[host]
			m.mu.Unlock()
			continue
		}
		if h, ok := m.read(e.KV); ok {
			m.mu.Lock()
			news[host] = m.peers.Heard(h) || news[host]
			m.mu.Unlock()
		}
	}
	maps.DeleteFunc(news, func(_ string, is bool) bool { return !is })
	m.follow(ctx, slices.Sorted(maps.Keys(news)))
}

// disturbed notes that our own record is not what we wrote.
func (m *Member) disturbed(e etcd.Event) {
	m.mu.Lock()
	ours := !e.Deleted && e.ModRevision <= m.revision
	if !ours {
		m.revision = 0
	}
	m.mu.Unlock()
	if !ours {
		m.poke()
	}
}

// follow records what is new of these hosts, and has the kernel follow.
func (m *Member) follow(ctx context.Context, hosts []string) {
	if len(hosts) == 0 {
		return
	}
	m.mu.Lock()
	all := m.peers.All()
	m.mu.Unlock()
	for _, host := range hosts {
		p, there := all[host]
		err := m.record(host, p, there)
		if err != nil {
			m.log.Warn("peer not recorded: a restart while etcd is away would lose its routes", "peer", host, "err", err)
		}
		m.log.Info("peer changed", "peer", host, "name", p.Name, "state", stateOf(p, there), "next_hop", p.NextHop, "prefixes", len(p.Prefixes))
	}
	m.config.Changed(ctx, hosts)
}

func (m *Member) record(host string, p peers.Peer, there bool) error {
	if !there {
		return m.config.Peers.Delete(host)
	}
	return m.config.Peers.Put(host, p)
}

// due fires when a peer is to be asked whether it is there, never where none is.
func (m *Member) due() <-chan time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.peers.Due()
	if !ok {
		return nil
	}
	return time.After(time.Until(at))
}

// ask asks the peers whose hold is over on the link, all at once.
func (m *Member) ask(ctx context.Context) {
	m.mu.Lock()
	due := m.peers.Overdue(time.Now())
	m.mu.Unlock()
	type answer struct {
		host string
		is   bool
	}
	answers := make(chan answer, len(due))
	for _, p := range due {
		go func() { answers <- answer{p.Host, m.config.Answers(ctx, p.NextHop)} }()
	}
	var gone []string
	for range due {
		a := <-answers
		if ctx.Err() != nil {
			continue // Nobody listened.
		}
		m.mu.Lock()
		if m.peers.Asked(a.host, a.is, time.Now().UTC()) {
			gone = append(gone, a.host)
		}
		m.mu.Unlock()
	}
	slices.Sort(gone)
	m.follow(ctx, gone)
}
