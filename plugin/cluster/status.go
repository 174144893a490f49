package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ndp6/ndp6/plugin/cluster/peers"
)

// Status is what there is to show of the cluster, as of this host.
type Status struct {
	Host string `json:"host"`
	// Connected is whether etcd answers, and Since when that changed.
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since"`
	// Trouble is why no block can be claimed, or nothing leads to this host.
	Trouble string     `json:"trouble,omitempty"`
	NextHop netip.Addr `json:"next_hop,omitzero"`
	// Prefixes are the blocks that lead to this host.
	Prefixes []netip.Prefix `json:"prefixes"`
	Peers    []Peer         `json:"peers"`
	// Refused are blocks of peers that no route leads to, as they overlap others.
	Refused []string `json:"refused,omitempty"`
}

// A Peer is another host.
type Peer struct {
	Host string `json:"host"`
	Name string `json:"name,omitempty"`
	// State is alive, silent (its lease ended), or answering (on the link, long
	// after its lease ended).
	State    string         `json:"state"`
	Since    time.Time      `json:"since,omitzero"`
	NextHop  netip.Addr     `json:"next_hop"`
	Prefixes []netip.Prefix `json:"prefixes"`
}

// The states of peers.
const (
	Alive     = "alive"
	Silent    = "silent"
	Answering = "answering"
	gone      = "gone"
)

func stateOf(p peers.Peer, there bool) string {
	switch {
	case !there:
		return gone
	case p.Alive():
		return Alive
	case p.Asked.IsZero():
		return Silent
	}
	return Answering
}

// Status returns the status of now. It waits for nothing.
func (m *Member) Status() Status {
	prefixes := m.blocks()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Status{
		Host: m.config.Host, Connected: m.state.connected, Since: m.state.since.UTC().Truncate(time.Second),
		NextHop: m.state.nextHop, Prefixes: prefixes, Peers: []Peer{},
	}
	if err := errors.Join(m.state.clone, m.state.err); err != nil {
		s.Trouble = err.Error()
	}
	for _, p := range m.peers.All() {
		s.Peers = append(s.Peers, Peer{
			Host: p.Host, Name: p.Name, State: stateOf(p, true), Since: p.Silent, NextHop: p.NextHop, Prefixes: p.Prefixes,
		})
	}
	slices.SortFunc(s.Peers, func(a, b Peer) int { return cmp.Compare(a.Host, b.Host) })
	for _, r := range m.state.refused {
		s.Refused = append(s.Refused, fmt.Sprintf("%s of %s", r.Prefix, r.Host))
	}
	return s
}

// Counts are what metrics tell of the cluster.
type Counts struct {
	Connected      bool
	Blocks         int
	Peers          map[string]int // by state
	Refused        int
	FailedRequests uint64
}

// Counts returns the counts of now. It waits for nothing.
func (m *Member) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := Counts{
		Connected: m.state.connected, Blocks: len(m.held), Refused: len(m.state.refused),
		Peers: map[string]int{Alive: 0, Silent: 0, Answering: 0}, FailedRequests: m.config.Etcd.Failures(),
	}
	for _, p := range m.peers.All() {
		c.Peers[stateOf(p, true)]++
	}
	return c
}
