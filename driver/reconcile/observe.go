package reconcile

import (
	"strings"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// Observe implements Kernel.
func (h *Host) Observe(want plan.Host) (plan.Host, error) {
	snapshot := h.observed()
	have := plan.NewHost()
	bridges, err := h.observeLinks(snapshot, have)
	if err != nil {
		return plan.Host{}, err
	}
	for _, a := range snapshot.Addresses {
		// An address that an administrator gave our bridge is not ours.
		object := plan.Address{Link: a.Link, Prefix: a.Prefix}
		if _, ok := want.Objects[object.Key()]; ok {
			have.Add("", object)
		}
	}
	h.observeRoutes(snapshot, bridges, have)
	neighbors, err := h.conn.Neighbors()
	if err != nil {
		return plan.Host{}, err
	}
	for _, n := range neighbors {
		switch {
		case n.Protocol != plan.Protocol:
		case n.Proxy:
			have.Add("", plan.Proxy{Addr: n.Addr, Link: n.Link})
		case bridges[n.Link]:
			have.Add("", plan.Neighbor{Addr: n.Addr, Link: n.Link, MAC: n.MAC})
		}
	}
	h.observeRules(have, want)
	h.insides.observe(have)
	if err := h.responders.observe(snapshot, have, want); err != nil {
		return plan.Host{}, err
	}
	if err := h.fastPaths.observe(snapshot, have, want); err != nil {
		return plan.Host{}, err
	}
	if err := h.observeSysctls(have, want); err != nil {
		return plan.Host{}, err
	}
	h.leave(have)
	h.expected.reset(have, want)
	h.announceAgain(have)
	h.observeLedger(have)
	return have, nil
}

// observeLinks adds our links, known by their alias, and returns the bridges' names.
func (h *Host) observeLinks(snapshot uplink.Snapshot, have plan.Host) (map[string]bool, error) {
	bridges := make(map[string]bool)
	for _, l := range snapshot.Links {
		if id, ok := strings.CutPrefix(l.Alias, plan.AliasNetwork); ok {
			bridges[l.Name] = true
			accepts, err := h.acceptsRA(l.Name)
			if err != nil {
				return nil, err
			}
			b := bridge(l)
			b.AcceptRA = accepts
			have.Add(id, b)
		}
		if id, ok := strings.CutPrefix(l.Alias, plan.AliasEndpoint); ok {
			have.Add(id, plan.Veth{Name: l.Name, Alias: l.Alias, Master: l.Master, MTU: l.MTU, Up: l.Up, Isolated: l.Isolated})
		}
	}
	return bridges, nil
}

// bridge is what a link says of a bridge of ours.
func bridge(l kernel.Link) plan.Bridge {
	return plan.Bridge{Name: l.Name, Alias: l.Alias, MAC: l.MAC, MTU: l.MTU, Up: l.Up, Snooping: l.McastSnooping}
}
