package driver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/docker/go-plugins-helpers/network"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
)

// GetCapabilities answers whose networks are: each host's own, or a swarm's,
// which its managers make for all nodes.
func (d *Driver) GetCapabilities(context.Context) (*network.CapabilitiesResponse, error) {
	scope := network.LocalScope
	if d.config.Global {
		scope = network.GlobalScope
	}
	return &network.CapabilitiesResponse{Scope: scope, ConnectivityScope: scope}, nil
}

// AllocateNetwork echoes the options: the swarm keeps what it answers, and its
// nodes find nothing else in CreateNetwork. What each node would refuse is
// refused here. It holds nothing, so that the next manager may ask again.
func (d *Driver) AllocateNetwork(_ context.Context, r *network.AllocateNetworkRequest) (*network.AllocateNetworkResponse, error) {
	if d.config.Global {
		if err := d.checkAllocation(r); err != nil {
			return nil, err
		}
	}
	return &network.AllocateNetworkResponse{Options: r.Options}, nil
}

// FreeNetwork has nothing to free: AllocateNetwork holds nothing.
func (d *Driver) FreeNetwork(context.Context, *network.FreeNetworkRequest) error { return nil }

// checkAllocation refuses what no node could make. Swarm has pools of both
// families in IPv4Data, and gives a task an address of one of them only.
func (d *Driver) checkAllocation(r *network.AllocateNetworkRequest) error {
	pools := slices.Concat(r.IPv4Data, r.IPv6Data)
	if len(pools) != 1 {
		return fmt.Errorf("network has %d pools: give it one --subnet, of IPv6, from which a swarm gives addresses; nodes add IPv4 by themselves", len(pools))
	}
	if p, err := netip.ParsePrefix(pools[0].Pool); err == nil && p.Addr().Is4() {
		return fmt.Errorf("pool %s of the swarm is IPv4: use an IPv6 --subnet; nodes add IPv4 by themselves", p)
	}
	generic := make(map[string]any, len(r.Options))
	for key, value := range r.Options {
		generic[key] = value
	}
	_, err := d.newNetwork(&network.CreateNetworkRequest{
		NetworkID: r.NetworkID, Options: map[string]any{keyGeneric: generic}, IPv6Data: []*network.IPAMData{&pools[0]},
	})
	return err
}

// checkShared refuses what networks that several hosts share cannot be.
func checkShared(n plan.Network) error {
	switch {
	case !n.Shared:
		return nil
	case n.Internal:
		return errors.New("an internal network does not reach its containers on other nodes: leave out --internal, or use networks of --scope local (NDP6_SCOPE), one for each node")
	case n.Mode != plan.Routed:
		return fmt.Errorf("mode %s (%s) hides containers from those of other nodes: use a global --subnet, or -o %s=%s", n.Mode, n.Reason, keyMode, plan.Routed)
	case n.Announce == plan.AnnouncePrefix:
		return fmt.Errorf("option %s=%q: each node would have the routers send all of pool %s to it: use %s", keyAnnounce, n.Announce, n.Pools[0].Prefix, plan.AnnounceEndpoint)
	}
	return nil
}

// macFor returns the MAC of an endpoint that was given none. In a shared network
// it is in the address, as everywhere else the address is made of the MAC.
func (d *Driver) macFor(n plan.Network, addrs []netip.Addr) inet.MAC {
	if !n.Shared || len(addrs) == 0 || !addrs[0].Is6() {
		return inet.RandomMAC()
	}
	mac := inet.LowMAC(addrs[0])
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.endpoints {
		if e.Network == n.ID && e.MAC == mac && !slices.Contains(e.Addrs, addrs[0]) {
			return inet.RandomMAC() // Two addresses differ above the low 48 bits only.
		}
	}
	if mac.CheckHost() != nil {
		return inet.RandomMAC()
	}
	return mac
}
