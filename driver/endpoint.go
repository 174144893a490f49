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

// keyMAC is in CreateEndpoint's options where the user chose the MAC.
const keyMAC = "com.docker.network.endpoint.macaddress"

// CreateEndpoint records the endpoint with the addresses that IPAM gave it. It
// answers a MAC where the request has none (an IPAM driver that asks for none),
// and nothing else: Docker refuses an answer that repeats what it sent.
func (d *Driver) CreateEndpoint(ctx context.Context, r *network.CreateEndpointRequest) (*network.CreateEndpointResponse, error) {
	defer d.calling(r.NetworkID, r.EndpointID)()
	if r.EndpointID == "" {
		return nil, errors.New("create endpoint: EndpointID is empty")
	}
	n, err := d.network(r.NetworkID)
	if err != nil {
		return nil, err
	}
	e, given, err := d.newEndpoint(n, r)
	if err != nil {
		return nil, err
	}
	replaced, err := d.record(e)
	d.clear(ctx, e, replaced)
	if err != nil {
		return nil, err
	}
	var resp network.CreateEndpointResponse
	if !given {
		resp.Interface = &network.EndpointInterface{MacAddress: e.MAC.String()}
	}
	return &resp, nil
}

// network returns the record of a network, or an error that says that it is lost.
func (d *Driver) network(id string) (plan.Network, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, ok := d.networks[id]
	if !ok {
		return plan.Network{}, fmt.Errorf("network %q is not known to ndp6: remove it with docker network rm and create it again", short(id))
	}
	return n, nil
}

// newEndpoint checks a request and returns its record, and whether it has a MAC.
func (d *Driver) newEndpoint(n plan.Network, r *network.CreateEndpointRequest) (e plan.Endpoint, given bool, err error) {
	e = plan.Endpoint{ID: r.EndpointID, Network: n.ID}
	var iface network.EndpointInterface
	if r.Interface != nil {
		iface = *r.Interface
	}
	if given = iface.MacAddress != ""; given {
		if e.MAC, err = inet.ParseMAC(iface.MacAddress); err != nil {
			return e, given, err
		}
		if err := e.MAC.CheckHost(); err != nil {
			return e, given, err
		}
	}
	if e.Open, err = parseEndpointOptions(r.Options, n.Open); err != nil {
		return e, given, err
	}
	_, e.Chosen = r.Options[keyMAC]
	// An endpoint may have no IPv6 address where its sysctls disable IPv6 (Docker 28 and newer).
	for _, s := range []string{iface.AddressIPv6, iface.Address} {
		if s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return e, given, fmt.Errorf("address %q is not an address with a prefix length", s)
		}
		if p.Bits() == 0 {
			continue // 0.0.0.0/0 stands for no IPv4
		}
		if !slices.ContainsFunc(n.Pools, func(pool plan.Pool) bool { return pool.Prefix.Contains(p.Addr()) }) {
			return e, given, fmt.Errorf("address %s is outside the network's pools %s: use an address inside one", p.Addr(), n.Prefixes())
		}
		e.Addrs = append(e.Addrs, p.Addr())
		if p.Addr().Is6() && !d.config.Lender.Random(p.Addr()) {
			e.Chosen = true
		}
	}
	if !given {
		e.MAC = d.macFor(n, e.Addrs)
	}
	return e, given, nil
}

// record takes e among the endpoints, here and in the store, and returns those
// that it replaces: clear takes them out of the kernel.
func (d *Driver) record(e plan.Endpoint) (replaced []string, err error) {
	d.recording.Lock()
	defer d.recording.Unlock()
	replaced, err = d.hold(e)
	if err != nil {
		return nil, err
	}
	for _, id := range replaced {
		err = errors.Join(err, d.drop(id))
	}
	if err == nil {
		if err = d.config.Endpoints.Put(e.ID, e); err == nil {
			return replaced, nil
		}
		err = fmt.Errorf("record endpoint %s: %w", short(e.ID), err)
	}
	// A disk that reports an error may have kept the record all the same.
	return replaced, errors.Join(err, d.drop(e.ID))
}

// hold takes e among the endpoints unless a gateway or an endpoint of another
// network has one of its addresses. An endpoint of the same network does not
// count: IPAM lends an address once, so Docker has released it, and its
// DeleteEndpoint was lost with the process that it was sent to, or never sent,
// as after a CreateEndpoint without an answer. Such endpoints are returned.
func (d *Driver) hold(e plan.Endpoint) (replaced []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, ok := d.networks[e.Network]
	if !ok {
		return nil, fmt.Errorf("network %q was removed meanwhile", short(e.Network))
	}
	if _, ok := d.endpoints[e.ID]; ok {
		return nil, fmt.Errorf("endpoint %s exists: delete it first", short(e.ID))
	}
	for _, a := range e.Addrs {
		if id, ok := d.holders[a]; ok && d.endpoints[id].Network != e.Network {
			return nil, fmt.Errorf("address %s belongs to endpoint %s of network %s: use another address", a, short(id), short(d.endpoints[id].Network))
		} else if ok {
			replaced = append(replaced, id)
		}
		if slices.ContainsFunc(n.Pools, func(p plan.Pool) bool { return p.Gateway == a }) {
			return nil, fmt.Errorf("address %s is the network's gateway: use another address", a)
		}
	}
	for _, a := range e.Addrs {
		d.holders[a] = e.ID
	}
	d.endpoints[e.ID] = e
	slices.Sort(replaced)
	return slices.Compact(replaced), nil
}

// clear takes what e replaced out of the kernel, before e joins. What stays is
// retried by Run, and does not keep e from joining.
func (d *Driver) clear(ctx context.Context, e plan.Endpoint, replaced []string) {
	for _, id := range replaced {
		err := d.close(ctx, id)
		d.log.InfoContext(ctx, "endpoint replaced: docker lent its address again", "endpoint", short(id), "by", short(e.ID), "addrs", e.Addrs, "err", err)
	}
}

// drop takes an endpoint from the endpoints, here and in the store. Whoever
// calls holds recording.
func (d *Driver) drop(id string) error {
	if !d.release(id) {
		return nil
	}
	if err := d.config.Endpoints.Delete(id); err != nil {
		return fmt.Errorf("forget endpoint %s: %w", short(id), err)
	}
	return nil
}

// release takes an endpoint from the endpoints and reports whether it was one.
func (d *Driver) release(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.takeEndpoint(id)
}

// takeEndpoint is release for whoever holds mu.
func (d *Driver) takeEndpoint(id string) bool {
	e, ok := d.endpoints[id]
	d.abandon(e)
	d.move(e, plan.Endpoint{})
	for _, a := range e.Addrs {
		if d.holders[a] == id {
			delete(d.holders, a)
		}
	}
	delete(d.endpoints, id)
	d.forgetCalls(id)
	return ok
}

// DeleteEndpoint forgets the endpoint, and undoes what Leave should have
// undone: after some errors Docker sends no Leave. One that is not known is
// deleted already.
func (d *Driver) DeleteEndpoint(ctx context.Context, r *network.DeleteEndpointRequest) error {
	defer d.calling(r.NetworkID, r.EndpointID)()
	return d.forget(ctx, r.EndpointID)
}

// forget gets as far as it can: Docker forgets the endpoint whatever the answer.
func (d *Driver) forget(ctx context.Context, id string) error {
	siblings := d.siblingsOf(id)
	d.recording.Lock()
	err := d.drop(id)
	d.recording.Unlock()
	err = errors.Join(err, d.close(ctx, id))
	d.tell(ctx, siblings)
	return err
}

// EndpointInfo answers an empty map: Docker up to 26 fails the start of a
// container without an answer, and shows none of it.
func (d *Driver) EndpointInfo(context.Context, *network.InfoRequest) (*network.InfoResponse, error) {
	return &network.InfoResponse{Value: map[string]string{}}, nil
}
