package driver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/docker/go-plugins-helpers/network"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/ndp"
)

const (
	// dadWaitTime is how long Join waits for the owner of an address. On a
	// link an owner answers within milliseconds; RFC 4862 5.1 waits a second.
	dadWaitTime  = 200 * time.Millisecond
	dadAsyncTime = time.Second
)

// Kinds of static routes in Docker's answer to Join.
const (
	routeVia       = 0
	routeConnected = 1
)

// Join makes the endpoint's veth pair and returns when its addresses can be
// reached. Docker moves the container side into the sandbox.
func (d *Driver) Join(ctx context.Context, r *network.JoinRequest) (*network.JoinResponse, error) {
	defer d.calling(r.NetworkID, r.EndpointID)()
	n, err := d.network(r.NetworkID)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	e, ok := d.endpoints[r.EndpointID]
	sole := !d.anotherRouted(r.SandboxKey, r.EndpointID)
	d.mu.Unlock()
	if !ok || e.Network != n.ID {
		return nil, fmt.Errorf("endpoint %q is not known to ndp6: start the container again", short(r.EndpointID))
	}
	e.Joined = true
	proxies := d.proxiesOf(e)
	wait, async := dadMode(n, e)
	if wait {
		if err := d.probe(ctx, proxies); err != nil {
			return nil, err
		}
	}
	if err := d.join(ctx, e.ID, r.SandboxKey); err != nil {
		return nil, errors.Join(err, d.leave(context.WithoutCancel(ctx), e.ID))
	}
	if publishesAtJoin(n, e, sole) {
		if err := d.publish(ctx, n, e.ID, r.Options); err != nil {
			return nil, errors.Join(err, d.leave(context.WithoutCancel(ctx), e.ID))
		}
	}
	if async {
		d.probeBeside(e.ID, proxies)
	}
	d.complete(e.ID)
	return answer(n, e, sole), nil
}

// join records the endpoint as joined and makes the kernel follow.
func (d *Driver) join(ctx context.Context, id, sandbox string) error {
	_, err := d.modify(id, func(e *plan.Endpoint) {
		e.Joined, e.Joining, e.Sandbox = true, true, sandbox
		e.JoinedAt = time.Now().UTC().Truncate(time.Second)
	})
	if err != nil {
		return err
	}
	err = d.loop.Sync(ctx, id)
	d.tell(ctx, d.siblingsOf(id))
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := d.endpoints[id]; ok {
		e.Joining = false // not in the record: a later process must not make the pair again
		d.endpoints[id] = e
	}
	return err
}

// modify changes the record of an endpoint and returns it, the zero Endpoint if
// there is none.
func (d *Driver) modify(id string, change func(*plan.Endpoint)) (plan.Endpoint, error) {
	d.recording.Lock()
	defer d.recording.Unlock()
	d.mu.Lock()
	e, ok := d.endpoints[id]
	if ok {
		before := e
		change(&e)
		d.move(before, e)
		d.endpoints[id] = e
	}
	d.mu.Unlock()
	if !ok {
		return plan.Endpoint{}, nil
	}
	if err := d.config.Endpoints.Put(id, e); err != nil {
		return e, fmt.Errorf("record endpoint %s: %w", short(id), err)
	}
	return e, nil
}

// anotherRouted reports whether another of our endpoints in the sandbox has an
// IPv6 gateway.
func (d *Driver) anotherRouted(sandbox, id string) bool {
	for _, other := range d.siblings(sandbox, id) {
		e := d.endpoints[other]
		if gateway6(d.networks[e.Network], e).IsValid() {
			return true
		}
	}
	return false
}

// Leave undoes Join: the proxy entries first, so that nobody sends any more.
// An endpoint that is not known has left already.
func (d *Driver) Leave(ctx context.Context, r *network.LeaveRequest) error {
	defer d.calling(r.NetworkID, r.EndpointID)()
	return d.leave(ctx, r.EndpointID)
}

func (d *Driver) leave(ctx context.Context, id string) error {
	siblings := d.siblingsOf(id)
	_, err := d.modify(id, func(e *plan.Endpoint) {
		d.abandon(*e)
		e.Joined, e.Joining, e.Placed, e.Sandbox, e.Withdrawn, e.Stable = false, false, false, "", nil, netip.Addr{}
		e.JoinedAt = time.Time{}
		e.Published = nil // Docker 29 revokes nothing that was programmed before it restarted
	})
	err = errors.Join(err, d.close(ctx, id))
	d.tell(ctx, siblings)
	return err
}

// answer is the recipe that works on every Docker version. It never has a
// route to ::/0, which breaks the start of a container on Docker 28 and newer.
// sole says that the sandbox has no other endpoint of ours with an IPv6
// gateway: theirs must differ, and so must their routes.
func answer(n plan.Network, e plan.Endpoint, sole bool) *network.JoinResponse {
	resp := &network.JoinResponse{
		InterfaceName: network.InterfaceName{SrcName: e.ContainerSide(), DstPrefix: "eth"},
		// Else Docker adds an interface on docker_gwbridge where it sees no IPv4 gateway.
		DisableGatewayService: true,
	}
	if g := gateway(n, e, netip.Addr.Is4); g.IsValid() {
		resp.Gateway = g.String()
	}
	g := gateway6(n, e)
	if !g.IsValid() {
		return resp
	}
	if g == plan.LinkLocalGateway && !sole {
		g = n.LinkLocal()
	}
	resp.GatewayIPv6 = g.String()
	if g.IsLinkLocalUnicast() || n.Shared {
		// Docker asks the sandbox's routes which link a gateway is on. Every
		// link has fe80::/64, and on Docker 26 none may have it yet.
		resp.StaticRoutes = append(resp.StaticRoutes, &network.StaticRoute{
			Destination: netip.PrefixFrom(g, g.BitLen()).String(), RouteType: routeConnected,
		})
	}
	if n.SplitDefault && sole && resp.Gateway == "" {
		for _, half := range []string{"::/1", "8000::/1"} {
			resp.StaticRoutes = append(resp.StaticRoutes, &network.StaticRoute{
				Destination: half, RouteType: routeVia, NextHop: g.String(),
			})
		}
	}
	return resp
}

func gateway6(n plan.Network, e plan.Endpoint) netip.Addr { return gateway(n, e, netip.Addr.Is6) }

// gateway returns the gateway of the endpoint's first address of a family. An
// internal network has none.
func gateway(n plan.Network, e plan.Endpoint, family func(netip.Addr) bool) netip.Addr {
	i := slices.IndexFunc(e.Addrs, family)
	if i < 0 || n.Internal {
		return netip.Addr{}
	}
	return gatewayOf(n, e.Addrs[i])
}

// gatewayOf returns the gateway of the pool that addr is from. An IPv6 pool
// without one has the bridge's link-local address.
func gatewayOf(n plan.Network, addr netip.Addr) netip.Addr {
	for _, p := range n.Pools {
		if !p.Prefix.Contains(addr) {
			continue
		}
		if !p.Gateway.IsValid() && addr.Is6() {
			return plan.LinkLocalGateway
		}
		return p.Gateway
	}
	return netip.Addr{}
}

// proxiesOf returns the entries that e will have on the uplink.
func (d *Driver) proxiesOf(e plan.Endpoint) []plan.Proxy {
	d.mu.Lock()
	defer d.mu.Unlock()
	return proxies(d.planOf(e))
}

// proxies returns the entries of a plan.
func proxies(h plan.Host) []plan.Proxy {
	var ps []plan.Proxy
	for _, o := range h.Objects {
		if p, ok := o.Object.(plan.Proxy); ok {
			ps = append(ps, p)
		}
	}
	return ps
}

// dadMode says whether the addresses of e are probed before Join answers, or
// beside it. A random MAC cannot collide in practice (RFC 4429 2.1).
func dadMode(n plan.Network, e plan.Endpoint) (wait, async bool) {
	switch n.DAD {
	case dadOff:
		return false, false
	case dadWait:
		return true, false
	case dadAsync:
		return false, true
	}
	return e.Chosen, !e.Chosen
}

// probe refuses addresses that another host on the uplink holds. A probe that
// could not be sent is not a duplicate.
func (d *Driver) probe(ctx context.Context, proxies []plan.Proxy) error {
	for _, p := range proxies {
		err := d.config.Prober.Probe(ctx, p.Link, p.Addr, dadWaitTime)
		if dup, ok := errors.AsType[*ndp.DuplicateError](err); ok {
			return fmt.Errorf("address %s is in use on uplink %s by %s: use another --ip6 or --mac-address, or remove it there", p.Addr, p.Link, dup.Owner)
		}
		if err != nil {
			d.log.WarnContext(ctx, "address not probed", "addr", p.Addr, "uplink", p.Link, "err", err)
		}
	}
	return nil
}

// probeBeside probes while the container starts, and withdraws an address that
// another host turns out to hold.
func (d *Driver) probeBeside(id string, proxies []plan.Proxy) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return
	}
	for _, p := range proxies {
		d.beside.Go(func() {
			err := d.config.Prober.Probe(d.ctx, p.Link, p.Addr, dadAsyncTime)
			dup, taken := errors.AsType[*ndp.DuplicateError](err)
			switch {
			case taken:
				d.withdraw(d.ctx, id, p, dup)
			case err != nil && d.ctx.Err() == nil:
				d.log.Warn("address not probed", "addr", p.Addr, "uplink", p.Link, "err", err)
			}
		})
	}
}

// withdraw ends answering for an address that another host holds. The
// container keeps it, unreachable from outside, until it is started again.
func (d *Driver) withdraw(ctx context.Context, id string, p plan.Proxy, dup *ndp.DuplicateError) {
	e, err := d.modify(id, func(e *plan.Endpoint) {
		if o, ok := d.planOf(*e).Objects[p.Key()]; ok && o.Object == p {
			e.Withdrawn = append(slices.Clone(e.Withdrawn), p.Addr)
		}
	})
	if !slices.Contains(e.Withdrawn, p.Addr) {
		return // the endpoint left meanwhile
	}
	err = errors.Join(err, d.loop.Sync(ctx, id))
	d.log.WarnContext(ctx, "address withdrawn: another host on the uplink holds it; start the container again for another one",
		"addr", p.Addr, "uplink", p.Link, "owner", dup.Owner, "endpoint", short(id), "err", err)
}
