package driver

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/plan"
)

// A container on several networks has an endpoint on each. What it answers to
// one of its addresses leaves by its default route, which may be on another
// network: there it must be let through.

// move keeps the index of sandboxes while an endpoint changes; the zero
// Endpoint is one that is not there. Whoever calls holds mu.
func (d *Driver) move(before, after plan.Endpoint) {
	if before.Sandbox == after.Sandbox {
		return
	}
	if in := d.sandboxes[before.Sandbox]; in != nil {
		if delete(in, before.ID); len(in) == 0 {
			delete(d.sandboxes, before.Sandbox)
		}
	}
	if after.Sandbox == "" {
		return
	}
	if d.sandboxes[after.Sandbox] == nil {
		d.sandboxes[after.Sandbox] = make(map[string]bool)
	}
	d.sandboxes[after.Sandbox][after.ID] = true
}

// siblings returns the ids of the other endpoints in a sandbox. Whoever calls holds mu.
func (d *Driver) siblings(sandbox, id string) []string {
	ids := slices.Sorted(maps.Keys(d.sandboxes[sandbox]))
	return slices.DeleteFunc(ids, func(other string) bool { return other == id || !d.endpoints[other].Joined })
}

// siblingsOf is siblings of an endpoint, for a caller that holds nothing.
func (d *Driver) siblingsOf(id string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.siblings(d.endpoints[id].Sandbox, id)
}

// elsewhere returns the addresses of an endpoint's container on its other
// networks. Whoever calls holds mu.
func (d *Driver) elsewhere(e plan.Endpoint) []netip.Addr {
	var addrs []netip.Addr
	for _, id := range d.siblings(e.Sandbox, e.ID) {
		other := d.endpoints[id]
		addrs = append(addrs, plan.AddrsOf(plan.Addresses(d.networks[other.Network], other, d.uplinks))...)
	}
	return addrs
}

// tell has the rules of these endpoints follow what changed for another one.
// What the kernel did not take is a problem of theirs, which Run retries.
func (d *Driver) tell(ctx context.Context, siblings []string) {
	for _, id := range siblings {
		_ = d.loop.Sync(ctx, id)
	}
}
