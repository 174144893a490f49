package driver

import (
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/plan"
)

// A State is how an endpoint is, in a word.
type State string

// The states of an endpoint.
const (
	// Created endpoints belong to a container that does not run.
	Created State = "created"
	// Starting endpoints lack an address that they have only inside.
	Starting State = "starting"
	Running  State = "running"
	// Withdrawn endpoints have an address that another host holds.
	Withdrawn State = "withdrawn"
	// Failing endpoints have a problem.
	Failing State = "failing"
)

// state returns how an endpoint is. Whoever calls holds mu.
func (d *Driver) state(e plan.Endpoint, failing map[string]bool) State {
	_, incomplete := d.awaited[e.ID]
	switch {
	case failing[e.ID]:
		return Failing
	case !e.Joined:
		return Created
	case len(e.Withdrawn) > 0:
		return Withdrawn
	case incomplete:
		return Starting
	}
	return Running
}

// owners returns those who have a problem.
func owners(problems []ProblemStatus) map[string]bool {
	ids := make(map[string]bool)
	for _, p := range problems {
		ids[p.Owner] = true
	}
	return ids
}

// proxyEntries counts, by network, the proxy entries that are planned and not
// among the operations that are due. Whoever calls holds mu.
func (d *Driver) proxyEntries(due []plan.Op) map[string]int {
	missing := absent(due)
	counts := make(map[string]int)
	for _, e := range d.endpoints {
		for _, p := range proxies(d.planOf(e)) {
			if !missing[p.Key()] {
				counts[e.Network]++
			}
		}
	}
	return counts
}

// announced returns, by network, the destinations of the routes that announce
// it, planned and not among the operations that are due. Whoever calls holds mu.
func (d *Driver) announced(due []plan.Op) map[string][]netip.Prefix {
	missing := absent(due)
	all := make(map[string][]netip.Prefix)
	note := func(network string, h plan.Host) {
		for key, o := range h.Objects {
			if a, ok := o.Object.(plan.Announced); ok && !missing[key] {
				all[network] = append(all[network], a.Dst)
			}
		}
	}
	for id, n := range d.networks {
		if n.Announce == plan.AnnouncePrefix {
			note(id, plan.ForNetwork(n, d.uplinks))
		}
	}
	for _, e := range d.endpoints {
		if d.networks[e.Network].Announce == plan.AnnounceEndpoint {
			note(e.Network, d.planOf(e))
		}
	}
	for _, prefixes := range all {
		slices.SortFunc(prefixes, netip.Prefix.Compare)
	}
	return all
}

// absent returns the objects that operations would add.
func absent(due []plan.Op) map[plan.Key]bool {
	missing := make(map[plan.Key]bool)
	for _, op := range due {
		if op.Verb == plan.Add {
			missing[op.Key()] = true
		}
	}
	return missing
}
