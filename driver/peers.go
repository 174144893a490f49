package driver

import (
	"context"
	"errors"
	"maps"
	"net/netip"

	"github.com/ndp6/ndp6/driver/plan"
)

// SetPeers says which other hosts are reached on the plugin's uplink, in place
// of those that it was told before. The kernel follows with SyncPeers, or
// Restore.
func (d *Driver) SetPeers(peers []plan.Peer) {
	byHost := make(map[string]plan.Peer, len(peers))
	for _, p := range peers {
		byHost[p.Host] = p
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.peers = byHost
}

// severalPeers is from how many peers on one pass is cheaper than a Sync of each.
const severalPeers = 16

// SyncPeers makes the kernel hold what leads to these hosts. What cannot be done
// is retried by Run.
func (d *Driver) SyncPeers(ctx context.Context, hosts []string) error {
	d.mu.Lock()
	_, known := d.uplinks.For[d.config.Uplink]
	d.mu.Unlock()
	if len(hosts) >= severalPeers || !known {
		return d.loop.SyncHost(ctx, "")
	}
	var errs []error
	for _, host := range hosts {
		errs = append(errs, d.loop.Sync(ctx, plan.PeerOwner(host)))
	}
	return errors.Join(errs...)
}

// planPeers adds what leads to peers. Whoever calls holds mu.
func (d *Driver) planPeers(host plan.Host) {
	for _, p := range d.peers {
		maps.Copy(host.Objects, plan.ForPeer(p, d.config.Uplink, d.uplinks).Objects)
	}
}

// Prefixes returns the pools of all networks.
func (d *Driver) Prefixes() []netip.Prefix {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []netip.Prefix
	for _, n := range d.networks {
		all = append(all, n.Prefixes()...)
	}
	return all
}

// Joined counts the endpoints of containers that run.
func (d *Driver) Joined() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	joined := 0
	for _, e := range d.endpoints {
		if e.Joined {
			joined++
		}
	}
	return joined
}
