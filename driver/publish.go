package driver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/docker/go-plugins-helpers/network"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/publish"
	"github.com/ndp6/ndp6/netutil/hostport"
)

// keyNoIPv6Ports is true where another endpoint of the container, of whatever
// driver, is its IPv6 gateway and publishes there.
const keyNoIPv6Ports = "com.docker.network.driver.private.no_proxy_6to4"

// Ports takes ports of the host for containers, and relays what the firewall
// cannot redirect.
type Ports interface {
	// Publish takes the host ports of an endpoint, all or none.
	Publish(endpointID string, addrs []netip.Addr, mappings []publish.Mapping, o publish.Options) ([]firewall.Published, error)
	// Serve begins to relay.
	Serve(endpointID string) error
	// Restore takes the ports of an earlier process again. What is taken
	// meanwhile is in the error; the rest can be served.
	Restore(endpointID string, addrs []netip.Addr, ports []firewall.Published) error
	// Unpublish gives up the host ports of an endpoint, if it has any.
	Unpublish(endpointID string) error
}

// ProgramExternalConnectivity publishes the container's ports. Docker calls it
// for the endpoint that is the container's gateway, and fails the start of the
// container with our error.
func (d *Driver) ProgramExternalConnectivity(ctx context.Context, r *network.ProgramExternalConnectivityRequest) error {
	defer d.calling(r.NetworkID, r.EndpointID)()
	n, err := d.network(r.NetworkID)
	if err != nil {
		return err
	}
	return d.publish(ctx, n, r.EndpointID, r.Options)
}

// RevokeExternalConnectivity ends what ProgramExternalConnectivity began. An
// endpoint that is not known has no ports.
func (d *Driver) RevokeExternalConnectivity(ctx context.Context, r *network.RevokeExternalConnectivityRequest) error {
	defer d.calling(r.NetworkID, r.EndpointID)()
	return d.unpublish(ctx, r.EndpointID)
}

// publishesAtJoin reports whether Join must publish: Docker before 28 programs
// external connectivity only for endpoints with an IPv4 gateway.
func publishesAtJoin(n plan.Network, e plan.Endpoint, sole bool) bool {
	return n.SplitDefault && sole && !n.Internal && !gateway(n, e, netip.Addr.Is4).IsValid()
}

// publish replaces the endpoint's ports by those that the options ask for. The
// ports of the host are taken before anybody is let in, and relayed after.
func (d *Driver) publish(ctx context.Context, n plan.Network, id string, options map[string]any) error {
	mappings, err := publish.Parse(options)
	if err != nil {
		return err
	}
	d.mu.Lock()
	e, ok := d.endpoints[id]
	d.mu.Unlock()
	if !ok || e.Network != n.ID || !e.Joined {
		return fmt.Errorf("endpoint %q has not joined a network of ndp6: start the container again", short(id))
	}
	if err := d.unpublish(ctx, id); err != nil {
		return err
	}
	if len(mappings) == 0 {
		return nil
	}
	only4, _ := options[keyNoIPv6Ports].(bool)
	ports, err := d.config.Ports.Publish(id, e.Addrs, mappings, publish.Options{
		NoHostPorts6: n.NoHostPorts, HostBinding4: n.HostBinding4, IPv4Only: only4, NAT6: n.Mode == plan.NAT,
	})
	if err != nil {
		if errors.Is(err, hostport.ErrInUse) {
			d.config.Stale()
		}
		return err
	}
	if err := d.open(ctx, id, ports); err != nil {
		ctx = context.WithoutCancel(ctx)
		return errors.Join(err, d.unpublish(ctx, id), d.config.Ports.Unpublish(id))
	}
	for _, line := range publish.Lines(d.seen(n, e), ports) {
		d.log.InfoContext(ctx, "port published", "port", line, "endpoint", short(id))
	}
	return nil
}

// seen returns the addresses at which others find an endpoint.
func (d *Driver) seen(n plan.Network, e plan.Endpoint) []netip.Addr {
	d.mu.Lock()
	defer d.mu.Unlock()
	var seen []netip.Addr
	for _, a := range e.Addrs {
		if outside := n.Exposed(a, d.uplinks.For[n.Uplink]); len(outside) > 0 {
			seen = append(seen, outside...)
		} else {
			seen = append(seen, a)
		}
	}
	return seen
}

// open records the ports of an endpoint and lets in what comes to them.
func (d *Driver) open(ctx context.Context, id string, ports []firewall.Published) error {
	if _, err := d.modify(id, func(e *plan.Endpoint) { e.Published = ports }); err != nil {
		return err
	}
	if err := d.loop.Sync(ctx, id); err != nil {
		return err
	}
	return d.config.Ports.Serve(id)
}

// unpublish gets as far as it can: Docker forgets the ports whatever the answer.
func (d *Driver) unpublish(ctx context.Context, id string) error {
	d.mu.Lock()
	none := len(d.endpoints[id].Published) == 0
	d.mu.Unlock()
	if none {
		return nil
	}
	_, err := d.modify(id, func(e *plan.Endpoint) { e.Published = nil })
	return errors.Join(err, d.close(ctx, id))
}

// close makes the kernel follow the record of an endpoint that has no
// published ports any more, and maybe no stable address.
func (d *Driver) close(ctx context.Context, id string) error {
	err := d.loop.Sync(ctx, id)
	// Last, so that nobody else gets what still leads to the container.
	return errors.Join(err, d.config.Ports.Unpublish(id), d.giveBack(id))
}

// restorePorts takes the ports of the records again. A port that somebody else
// has by now stays redirected to the container; only what would have been
// relayed is lost.
func (d *Driver) restorePorts() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, e := range d.endpoints {
		if len(e.Published) == 0 {
			continue
		}
		err := d.config.Ports.Restore(id, e.Addrs, e.Published)
		if err = errors.Join(err, d.config.Ports.Serve(id)); err != nil {
			d.log.Warn("port not taken again: start the container again once it is free", "endpoint", short(id), "err", err)
		}
	}
}
