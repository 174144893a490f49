// Package graph draws a status: the host's uplinks, the networks behind them
// and their endpoints, as SVG and as Mermaid's text.
//
// It is pure: a status has one picture. Networks of many endpoints are
// grouped, so that a picture stays readable.
package graph

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/report"
)

const (
	// whole is how many endpoints a network has at most for all to be drawn in
	// full. Of more, up to featured are.
	whole    = 12
	featured = 6
)

// unknown stands for a mode or a state that only another version of ndp6 has.
const unknown = "unknown"

// A topology is what is drawn.
type topology struct {
	uplinks  []uplink
	networks []network
	ports    []hostPort
	states   []tally
	entries  int // proxy entries
	size     int // endpoints
}

type uplink struct {
	name    string
	entries int
}

type network struct {
	driver.NetworkStatus
	title  string
	uplink int // index of uplinks, -1 where there is none
	// shown are drawn in full, rest are grouped.
	shown, rest []endpoint
	// notes are the first lines of the network's problems and warnings.
	notes []string
}

// mode is how the network reaches beyond the host, in a word.
func (n network) mode() string {
	switch {
	case n.Internal && n.Mode != plan.Isolated:
		return "internal"
	case slices.Contains([]plan.Mode{plan.Routed, plan.NAT, plan.NPTv6, plan.Isolated}, n.Mode):
		return string(n.Mode)
	}
	return unknown
}

// pools are the network's, each with what it is outside.
func (n network) pools() []string {
	var lines []string
	for _, p := range n.Pools {
		same := []string{p.Prefix.String()}
		for _, outside := range p.Outside {
			same = append(same, outside.String())
		}
		lines = append(lines, strings.Join(same, " ⇄ "))
	}
	return lines
}

type endpoint struct {
	driver.EndpointStatus
	title string
	age   string
	// opened are the ports at the container's own addresses, host those of the
	// host that lead to it.
	opened []string
	host   []hostPort
}

// A hostPort is a port of the host that leads to a container.
type hostPort struct {
	number uint16
	host   string // 8080, with an address where it is at one only
	proto  string
	to     string // title of the endpoint
	port   uint16 // in the container
}

// A tally counts endpoints in one state.
type tally struct {
	state driver.State
	n     int
}

func build(s admin.Status) topology {
	var t topology
	for _, n := range s.Networks {
		t.networks = append(t.networks, network{
			NetworkStatus: n, title: title(n.Name, n.ID), uplink: -1, notes: notes(s, n.ID),
		})
	}
	slices.SortStableFunc(t.networks, func(a, b network) int {
		// Those that lead nowhere come last.
		return cmp.Or(cmp.Compare(reach(a), reach(b)), cmp.Compare(a.Uplink, b.Uplink), cmp.Compare(a.title, b.title))
	})
	all := make(map[string][]endpoint)
	for _, e := range s.Endpoints {
		all[e.Network] = append(all[e.Network], newEndpoint(e, s.Time))
	}
	for i := range t.networks {
		n := &t.networks[i]
		endpoints := all[n.ID]
		slices.SortStableFunc(endpoints, func(a, b endpoint) int { return cmp.Compare(a.title, b.title) })
		n.shown, n.rest = feature(endpoints)
		t.entries += n.ProxyEntries
		t.size += len(endpoints)
		for _, e := range endpoints {
			t.ports = append(t.ports, e.host...)
		}
		if n.Uplink == "" || n.Internal {
			continue
		}
		n.uplink = slices.IndexFunc(t.uplinks, func(u uplink) bool { return u.name == n.Uplink })
		if n.uplink < 0 {
			n.uplink = len(t.uplinks)
			t.uplinks = append(t.uplinks, uplink{name: n.Uplink})
		}
		t.uplinks[n.uplink].entries += n.ProxyEntries
	}
	slices.SortStableFunc(t.ports, func(a, b hostPort) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.proto, b.proto), cmp.Compare(a.host, b.host))
	})
	t.states = tallies(slices.Concat(slices.Collect(maps.Values(all))...))
	return t
}

func reach(n network) int {
	switch {
	case n.Internal:
		return 2
	case n.Uplink == "":
		return 1
	}
	return 0
}

// title is a name, or the id where there is none.
func title(name, id string) string { return cmp.Or(name, id[:min(len(id), 12)]) }

func notes(s admin.Status, network string) []string {
	var lines []string
	for _, p := range s.Problems {
		if p.Owner == network {
			line, _, _ := strings.Cut(p.Error, "\n")
			lines = append(lines, line)
		}
	}
	for _, w := range s.Warnings {
		if w.Owner == network {
			lines = append(lines, w.Text)
		}
	}
	return lines
}

func newEndpoint(e driver.EndpointStatus, now time.Time) endpoint {
	r := endpoint{EndpointStatus: e, title: title(e.Name, e.ID)}
	if !now.IsZero() && !e.JoinedAt.IsZero() {
		r.age = report.Age(now.Sub(e.JoinedAt))
	}
	for _, p := range e.Ports {
		own := fmt.Sprintf("%d/%s", p.Port, p.Proto)
		if p.Direct && !slices.Contains(r.opened, own) {
			r.opened = append(r.opened, own)
		}
		if p.HostPort == 0 {
			continue
		}
		at := fmt.Sprint(p.HostPort)
		if !p.HostAddr.IsUnspecified() {
			at = netip.AddrPortFrom(p.HostAddr, p.HostPort).String()
		}
		h := hostPort{number: p.HostPort, host: at, proto: p.Proto, to: r.title, port: p.Port}
		if !slices.Contains(r.host, h) { // IPv6 and IPv4
			r.host = append(r.host, h)
		}
	}
	return r
}

// feature chooses which endpoints of many are drawn in full: those that need a
// look, then those with ports.
func feature(all []endpoint) (shown, rest []endpoint) {
	if len(all) <= whole {
		return all, nil
	}
	order := slices.Clone(all)
	slices.SortStableFunc(order, func(a, b endpoint) int { return cmp.Compare(rank(b), rank(a)) })
	n := 0
	for n < featured && rank(order[n]) > 0 {
		n++
	}
	return order[:n], order[n:]
}

func rank(e endpoint) int {
	switch {
	case e.State == driver.Failing:
		return 5
	case e.State == driver.Withdrawn:
		return 4
	case e.Inbound == "open":
		return 3
	case len(e.host) > 0:
		return 2
	case len(e.opened) > 0:
		return 1
	}
	return 0
}

// tallies counts endpoints by their state, the largest count first.
func tallies(endpoints []endpoint) []tally {
	counts := make(map[driver.State]int)
	for _, e := range endpoints {
		counts[e.State]++
	}
	var ts []tally
	for state, n := range counts {
		ts = append(ts, tally{state, n})
	}
	slices.SortFunc(ts, func(a, b tally) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.state, b.state))
	})
	return ts
}

// mark is what sets an address apart.
func mark(a driver.AddressStatus) string {
	if a.Origin == plan.Given {
		return ""
	}
	return string(a.Origin)
}

// word is an endpoint's state.
func word(s driver.State) string {
	switch s {
	case driver.Created, driver.Starting, driver.Running, driver.Withdrawn, driver.Failing:
		return string(s)
	}
	return unknown
}
