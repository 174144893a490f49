package driver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/docker/go-plugins-helpers/network"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/inet"
)

// Keys of CreateNetwork's options.
const (
	keyGeneric    = "com.docker.network.generic"
	keyInternal   = "com.docker.network.internal"
	keyEnableIPv4 = "com.docker.network.enable_ipv4"
)

// noIPv4 is the pool by which ndp6's IPAM gives Docker before 28 a network without IPv4.
const noIPv4 = "0.0.0.0/0"

// maxBits are the longest prefixes with room for a gateway and a container.
const (
	maxBits6 = 126
	maxBits4 = 30
)

// CreateNetwork records the network and makes its bridge. What is wrong with
// the request is refused before anything is changed. Docker sends a request
// again when the connection broke: the same network is made once.
func (d *Driver) CreateNetwork(ctx context.Context, r *network.CreateNetworkRequest) error {
	defer d.calling(r.NetworkID)()
	n, err := d.newNetwork(r)
	if err != nil {
		return err
	}
	known, err := d.known(n)
	if err != nil {
		return err
	}
	if known {
		return d.loop.SyncHost(ctx, n.ID)
	}
	if err := d.checkHost(ctx, n); err != nil {
		return err
	}
	if err := d.checkInside(n); err != nil {
		return err
	}
	n.OnLink = d.onLink(n)
	if err := d.admit(n); err != nil {
		return err
	}
	if err := d.makeNetwork(ctx, n); err != nil {
		// Docker sends no DeleteNetwork after an error.
		return errors.Join(err, d.forgetNetwork(context.WithoutCancel(ctx), n.ID))
	}
	d.log.InfoContext(ctx, "network created", "network", short(n.ID), "pools", n.Prefixes(), "mode", n.Mode, "reason", n.Reason, "uplink_option", n.Uplink)
	return nil
}

func (d *Driver) makeNetwork(ctx context.Context, n plan.Network) error {
	if err := d.config.Networks.Put(n.ID, n); err != nil {
		return fmt.Errorf("record network %s: %w", short(n.ID), err)
	}
	return d.loop.SyncHost(ctx, n.ID)
}

// newNetwork checks a request by itself and returns its record.
func (d *Driver) newNetwork(r *network.CreateNetworkRequest) (plan.Network, error) {
	if r.NetworkID == "" {
		return plan.Network{}, errors.New("create network: NetworkID is empty")
	}
	generic, ok := r.Options[keyGeneric].(map[string]any)
	if !ok && r.Options[keyGeneric] != nil {
		return plan.Network{}, fmt.Errorf("create network: %s is a %T, not options by key", keyGeneric, r.Options[keyGeneric])
	}
	o, err := parseOptions(generic, d.config.Uplink, d.log)
	if err != nil {
		return plan.Network{}, err
	}
	internal, _ := r.Options[keyInternal].(bool)
	// Docker 28 and newer send this key, and install an IPv6 default route
	// whether or not there is an IPv4 one.
	_, modern := r.Options[keyEnableIPv4]
	n := plan.Network{
		ID: r.NetworkID, Bridge: o.bridge, Uplink: o.uplink, MTU: o.mtu, DAD: o.dad,
		Internal: internal, NoMasquerade: o.noMasquerade, SplitDefault: !modern,
		Open: o.open, Unguarded: o.unguarded, Isolated: o.isolated, HostICMPOnly: o.hostICMPOnly,
		NoHostPorts: o.noHostPorts, FastPath: o.fastPath, HostBinding4: o.hostBinding4,
		StableName: o.stableName, Follow: o.follow, Shared: d.config.Global,
	}
	if n.Bridge == "" {
		n.Bridge = plan.BridgeName(n.ID)
	}
	if len(r.IPv6Data) == 0 {
		return plan.Network{}, errors.New("network has no IPv6 pool: add --ipv6 to docker network create, or enable_ipv6: true to the compose file")
	}
	for _, data := range slices.Concat(r.IPv6Data, r.IPv4Data) {
		if data == nil {
			return plan.Network{}, errors.New("create network: a pool is null")
		}
		if data.Pool == noIPv4 {
			continue
		}
		p, err := newPool(data)
		if err != nil {
			return plan.Network{}, err
		}
		if i := slices.IndexFunc(n.Prefixes(), p.Prefix.Overlaps); i >= 0 {
			return plan.Network{}, fmt.Errorf("pool %s overlaps pool %s of the same network: use another --subnet", p.Prefix, n.Pools[i].Prefix)
		}
		n.Pools = append(n.Pools, p)
	}
	if err := setModeOf(&n, o, d.config.Announce); err != nil {
		return plan.Network{}, err
	}
	return n, checkShared(n)
}

func newPool(data *network.IPAMData) (plan.Pool, error) {
	prefix, err := netip.ParsePrefix(data.Pool)
	if err != nil {
		return plan.Pool{}, fmt.Errorf("pool %q is not a prefix: use a --subnet such as 2001:db8:1::/80", data.Pool)
	}
	p := plan.Pool{Prefix: prefix.Masked()}
	if !lendable(p.Prefix.Addr()) {
		return plan.Pool{}, fmt.Errorf("pool %s is not for unicast addresses: use a --subnet such as 2001:db8:1::/80", prefix)
	}
	limit := maxBits4
	if prefix.Addr().Is6() {
		limit = maxBits6
	}
	if prefix.Bits() > limit {
		return plan.Pool{}, fmt.Errorf("pool %s has no room for containers: use a --subnet of /%d or shorter", prefix, limit)
	}
	if data.Gateway == "" {
		return p, nil
	}
	gateway, err := netip.ParsePrefix(data.Gateway)
	if err != nil {
		return plan.Pool{}, fmt.Errorf("gateway %q is not an address with a prefix length", data.Gateway)
	}
	p.Gateway = gateway.Addr()
	linkLocal := p.Prefix.Addr().Is6() && plan.LinkLocal.Contains(p.Gateway)
	if !linkLocal && !p.Prefix.Contains(p.Gateway) {
		return plan.Pool{}, fmt.Errorf("gateway %s is outside the pool %s: use a --gateway inside it, or none for fe80::1", p.Gateway, p.Prefix)
	}
	return p, nil
}

// lendable reports whether containers can have addresses of a pool with this
// one: 169.254.0.0/16 is as good as any other IPv4 prefix, fe80::/10 is not.
func lendable(a netip.Addr) bool {
	return !a.Is4In6() && (a.IsGlobalUnicast() || a.Is4() && a.IsLinkLocalUnicast())
}

// known reports whether n is recorded already. Another network with its id is an error.
func (d *Driver) known(n plan.Network) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	have, ok := d.networks[n.ID]
	n.OnLink = have.OnLink // what the host was then
	if ok && !reflect.DeepEqual(have, n) {
		return false, fmt.Errorf("network %s exists with other settings: remove it first", short(n.ID))
	}
	return ok, nil
}

// checkHost refuses what the host as it is cannot carry.
func (d *Driver) checkHost(ctx context.Context, n plan.Network) error {
	host := d.config.Host
	if err := d.loop.Refresh(ctx); err != nil {
		return err
	}
	if host.HasLink(n.Bridge) {
		return fmt.Errorf("link %s exists on the host: use another name with -o com.docker.network.bridge.name", n.Bridge)
	}
	foreign := host.Foreign()
	if n.Shared {
		foreign = foreign.BesideHosts()
	}
	for _, p := range n.Pools {
		if err := foreign.CheckPool(p.Prefix); err != nil {
			return err
		}
	}
	if n.Internal {
		return nil
	}
	u, err := host.Choose(n.Uplink)
	if err != nil {
		if n.Uplink != uplink.Auto {
			return fmt.Errorf("option ndp6.uplink: %w", err)
		}
		// A host without IPv6 may get it later; its containers reach each other.
		d.log.WarnContext(ctx, "network has no uplink yet", "network", short(n.ID), "err", err)
	}
	if err := errors.Join(checkOutside(n, u, foreign), d.checkFastPath(n)); err != nil {
		return err
	}
	if !d.config.CheckSysctls {
		return nil
	}
	specs := append(d.uplinkSpecs(), n.Uplink)
	missing, err := host.Missing(plan.Shared([]plan.Network{n}, host.Uplinks(specs)))
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("the host's sysctls are not what the network needs and --sysctls check writes none: run %s", strings.Join(missing, "; "))
	}
	return nil
}

// admit takes n among the networks unless it collides with one of them. Check
// and change are one step, so that two networks made at once cannot both pass.
func (d *Driver) admit(n plan.Network) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, other := range d.networks {
		for _, p := range plan.Claims(n, d.uplinks) {
			if err := inet.CheckOverlap(p, plan.Claims(other, d.uplinks)); err != nil {
				return err
			}
		}
		if other.Bridge == n.Bridge {
			return fmt.Errorf("bridge %s belongs to network %s: use another -o com.docker.network.bridge.name", n.Bridge, short(other.ID))
		}
	}
	d.networks[n.ID] = n
	return nil
}

// DeleteNetwork forgets the network with what is left of its endpoints. A
// network that is not known is deleted already.
func (d *Driver) DeleteNetwork(ctx context.Context, r *network.DeleteNetworkRequest) error {
	defer d.calling(r.NetworkID)()
	return d.forgetNetwork(ctx, r.NetworkID)
}

// forgetNetwork gets as far as it can: Docker forgets the network whatever the answer.
func (d *Driver) forgetNetwork(ctx context.Context, id string) error {
	d.mu.Lock()
	_, known := d.networks[id]
	left := d.takeNetwork(id)
	d.mu.Unlock()
	if !known {
		return d.forgetAll(ctx, left)
	}
	return d.clearNetwork(ctx, id, left)
}

// takeNetwork takes a network from the networks and returns its endpoints.
// Whoever calls holds mu, and lets clearNetwork do the rest.
func (d *Driver) takeNetwork(id string) (left []string) {
	delete(d.networks, id) // first, so that no endpoint is added
	d.forgetCalls(id)
	for endpoint, e := range d.endpoints {
		if e.Network == id {
			left = append(left, endpoint)
		}
	}
	return left
}

// clearNetwork forgets what takeNetwork took.
func (d *Driver) clearNetwork(ctx context.Context, id string, left []string) error {
	err := d.forgetAll(ctx, left)
	if deleteErr := d.config.Networks.Delete(id); deleteErr != nil {
		err = errors.Join(err, fmt.Errorf("forget network %s: %w", short(id), deleteErr))
	}
	return errors.Join(err, d.loop.SyncHost(ctx, id))
}

// forgetAll forgets endpoints that Docker forgot while the plugin was away.
func (d *Driver) forgetAll(ctx context.Context, endpoints []string) error {
	var errs []error
	for _, id := range endpoints {
		errs = append(errs, d.forget(ctx, id))
	}
	return errors.Join(errs...)
}

// short is the form of an id that Docker's own commands show.
func short(id string) string { return id[:min(len(id), 12)] }
