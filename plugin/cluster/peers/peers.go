// Package peers says which other hosts of a cluster are there, and which routes
// lead to them. It is pure: time comes with each call.
//
// A host is there as long as its lease in etcd. What ends a lease is more often
// a killed plugin than a dead host, and there is no other way to a host's
// containers: so its routes stay for a while (the hold), and then as long as the
// host answers on the link. A host that leaves says so, and its routes go at once.
package peers

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ndp6/ndp6/plugin/cluster/claim"
)

// A Peer is another host. It can be recorded.
type Peer struct {
	claim.Hello
	// Silent is since when the host has had no lease; the zero Time while it has one.
	Silent time.Time `json:"silent,omitzero"`
	// Asked is when the host answered on the link last, after its hold.
	Asked time.Time `json:"asked,omitzero"`
}

// Alive reports whether the host has a lease.
func (p Peer) Alive() bool { return p.Silent.IsZero() }

// Peers are the other hosts. Make it with New.
type Peers struct {
	self string
	hold time.Duration
	all  map[string]Peer
}

// New returns the peers of a host with what is on record of them, which may
// be nil. Their routes stay for hold without a lease.
func New(self string, hold time.Duration, recorded map[string]Peer) *Peers {
	ps := &Peers{self: self, hold: hold, all: make(map[string]Peer)}
	maps.Copy(ps.all, recorded)
	delete(ps.all, self)
	return ps
}

// All returns all peers by their ids.
func (ps *Peers) All() map[string]Peer { return maps.Clone(ps.all) }

// Heard notes what a host says of itself, and reports whether that is news.
func (ps *Peers) Heard(h claim.Hello) bool {
	before, known := ps.all[h.Host]
	switch {
	case h.Host == ps.self:
		return false
	case h.Leaving:
		delete(ps.all, h.Host)
		return known
	}
	ps.all[h.Host] = Peer{Hello: h}
	return !known || !before.Alive() || !same(before.Hello, h)
}

func same(a, b claim.Hello) bool {
	return a.Host == b.Host && a.Name == b.Name && a.BootID == b.BootID && a.NextHop == b.NextHop && slices.Equal(a.Prefixes, b.Prefixes)
}

// Lost notes that a host has no lease any more, and reports whether that is news.
func (ps *Peers) Lost(host string, now time.Time) bool {
	p, known := ps.all[host]
	if !known || !p.Alive() {
		return false
	}
	p.Silent = now
	ps.all[host] = p
	return true
}

// Reset notes that these and no others have a lease, and returns the hosts of
// which that is news.
func (ps *Peers) Reset(now time.Time, hellos []claim.Hello) []string {
	news := make(map[string]bool)
	there := make(map[string]bool)
	for _, h := range hellos {
		there[h.Host] = true
		if ps.Heard(h) {
			news[h.Host] = true
		}
	}
	for host := range ps.all {
		if !there[host] && ps.Lost(host, now) {
			news[host] = true
		}
	}
	return slices.Sorted(maps.Keys(news))
}

// Due returns when a peer is to be asked on the link whether it is there, false
// where none is.
func (ps *Peers) Due() (at time.Time, ok bool) {
	for _, p := range ps.all {
		if p.Alive() {
			continue
		}
		if until := ps.until(p); !ok || until.Before(at) {
			at, ok = until, true
		}
	}
	return at, ok
}

// until is how long a silent peer's routes stay with nobody asking.
func (ps *Peers) until(p Peer) time.Time {
	since := p.Silent
	if p.Asked.After(since) {
		since = p.Asked
	}
	return since.Add(ps.hold)
}

// Overdue returns the peers to ask now, in the order of their ids.
func (ps *Peers) Overdue(now time.Time) []Peer {
	var due []Peer
	for _, p := range ps.all {
		if !p.Alive() && !ps.until(p).After(now) {
			due = append(due, p)
		}
	}
	slices.SortFunc(due, byHost)
	return due
}

// Asked notes whether a silent peer answered on the link. One that did not is
// no peer any more; true is returned then.
func (ps *Peers) Asked(host string, answered bool, now time.Time) (gone bool) {
	p, known := ps.all[host]
	switch {
	case !known || p.Alive():
		return false // It came back meanwhile.
	case answered:
		p.Asked = now
		ps.all[host] = p
		return false
	}
	delete(ps.all, host)
	return true
}

func byHost(a, b Peer) int { return strings.Compare(a.Host, b.Host) }
