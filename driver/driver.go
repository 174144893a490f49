// Package driver is the network driver: libnetwork's remote network API,
// turned into records of networks and endpoints and a kernel that follows.
//
// A call records intent, then has the kernel reconciled; undoing is
// forgetting, then reconciling. What a call asks for twice is done once.
package driver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/docker/go-plugins-helpers/network"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/inet"
)

// A Host is the host that networks are made on.
type Host interface {
	reconcile.Kernel
	// Uplinks returns what these uplinks are, by the last Refresh.
	Uplinks(specs []string) plan.Uplinks
	// Choose returns one uplink, or an error that says what would be right.
	Choose(spec string) (uplink.Uplink, error)
	// HasLink reports whether a link of this name exists.
	HasLink(name string) bool
	// Foreign returns what the host uses besides our own objects.
	Foreign() inet.Foreign
	// Enterable returns why sandboxes cannot be entered, nil if they can.
	Enterable() error
	// Placed reports whether the link with this MAC is up in its sandbox.
	Placed(sandbox string, mac inet.MAC) (bool, error)
	// Answers returns what answers solicitations on the uplinks.
	Answers() []reconcile.Answer
	// FastPath says why the kernel has no fast path, nil if it has.
	FastPath() error
	// Missing returns the commands for sysctls that want needs.
	Missing(want plan.Host) ([]string, error)
}

// A Prober asks for an address on an uplink. It returns nil when no owner
// answered within wait.
type Prober interface {
	Probe(ctx context.Context, link string, addr netip.Addr, wait time.Duration) error
}

// Config is what a Driver is made of. All fields are required but Announce,
// ResyncPeriod, CheckSysctls, Global and Stale.
type Config struct {
	Log       *slog.Logger
	Networks  Records[plan.Network]
	Endpoints Records[plan.Endpoint]
	Host      Host
	Prober    Prober
	Ports     Ports
	Lender    Lender
	// Uplink is that of networks that name none.
	Uplink string
	// Announce is what of networks that say nothing of it is announced: one of
	// plan's words, or nothing.
	Announce string
	// ResyncPeriod is how often the whole host is looked at when nothing
	// happens; 0 is a minute.
	ResyncPeriod time.Duration
	// CheckSysctls refuses a network while a sysctl that it needs is missing,
	// instead of writing it.
	CheckSysctls bool
	// Global makes networks those of a whole swarm, whose nodes share the pools.
	Global bool
	// Stale is called when a port is not free: an endpoint that Docker forgot
	// without telling may have it, and only Sweep finds out. It returns at
	// once; Docker waits for it.
	Stale func()
}

// A Driver answers Docker's calls. Make it with New.
type Driver struct {
	log    *slog.Logger
	config Config
	loop   *reconcile.Loop

	// settle deletes the records whose deletion did not succeed before.
	settle func() error

	// ctx is that of what runs beside, probes and waiting for Docker: it
	// outlives the call that asked for it. Run ends it and waits for it.
	ctx    context.Context
	cancel context.CancelFunc
	beside sync.WaitGroup

	// recording is held, before mu, while an endpoint's record changes in the
	// store and here, so that both see changes in one order.
	recording sync.Mutex

	mu        sync.Mutex
	networks  map[string]plan.Network
	endpoints map[string]plan.Endpoint
	// sandboxes holds the endpoints in each.
	sandboxes map[string]map[string]bool
	// holders holds the endpoint of each address.
	holders map[netip.Addr]string
	// calls holds what Docker's calls have been about; see Sweep.
	calls   map[string]activity
	uplinks plan.Uplinks
	// awaited are the endpoints whose addresses are not complete yet.
	awaited map[string]*awaited
	// peers are the other hosts.
	peers map[string]plan.Peer
	// warned are the warnings that were logged and still hold.
	warned []Warning
}

// New returns a Driver with the records of an earlier process. It leaves the
// kernel alone: call Restore next.
func New(c Config) (*Driver, error) {
	networks, err := c.Networks.All()
	if err != nil {
		return nil, fmt.Errorf("read networks: %w", err)
	}
	endpoints, err := c.Endpoints.All()
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", err)
	}
	if c.Stale == nil {
		c.Stale = func() {}
	}
	lasting, boot := newStubborn(c.Networks), newStubborn(c.Endpoints)
	c.Networks, c.Endpoints = lasting, boot
	ctx, cancel := context.WithCancel(context.Background())
	d := &Driver{
		log: c.Log, config: c, ctx: ctx, cancel: cancel,
		networks: networks, endpoints: endpoints,
		holders:   make(map[netip.Addr]string),
		sandboxes: make(map[string]map[string]bool),
		settle:    func() error { return errors.Join(lasting.settle(), boot.settle()) },
		calls:     make(map[string]activity), awaited: make(map[string]*awaited),
	}
	for id, e := range endpoints {
		d.move(plan.Endpoint{}, e)
		for _, a := range e.Own() {
			d.holders[a] = id
		}
	}
	d.loop = reconcile.New(c.Host, d, cmp.Or(c.ResyncPeriod, reconcile.Period), c.Log)
	return d, nil
}

// Restore makes the kernel match the records. Call it before answering calls.
// An object that cannot be restored is logged, and retried by Run.
func (d *Driver) Restore(ctx context.Context) error {
	if err := d.loop.Refresh(ctx); err != nil {
		return err
	}
	if err := d.loop.SyncHost(ctx, ""); err != nil {
		d.log.WarnContext(ctx, "host not restored", "err", err)
	}
	d.restorePorts()
	for _, id := range d.endpointIDs() {
		d.complete(id)
	}
	return nil
}

// Run keeps the kernel matching until ctx ends, and returns nil then. It is
// called once.
func (d *Driver) Run(ctx context.Context) error {
	err := d.loop.Run(ctx)
	d.mu.Lock()
	d.cancel() // under mu: nothing begins after it
	d.mu.Unlock()
	d.beside.Wait()
	return err
}

// Alive returns nil once Run shows that it still keeps the kernel matching, or
// the error of ctx.
func (d *Driver) Alive(ctx context.Context) error { return d.loop.Alive(ctx) }

// Plan implements reconcile.Planner.
func (d *Driver) Plan() plan.Host {
	fresh, came, went := d.follow(d.config.Host.Uplinks(d.uplinkSpecs()))
	for id, ps := range fresh {
		d.probeBeside(id, ps)
	}
	for _, w := range came {
		d.log.Warn("network needs attention", "network", short(w.Owner), "warning", w.Text)
	}
	for _, w := range went {
		d.log.Info("network needs no attention any more", "network", short(w.Owner), "warning", w.Text)
	}
	d.mu.Lock()
	networks := slices.Collect(maps.Values(d.networks))
	endpoints := make([]plan.Endpoint, 0, len(d.endpoints))
	for _, e := range d.endpoints {
		e.Elsewhere = d.elsewhere(e)
		endpoints = append(endpoints, e)
	}
	up := d.uplinks
	d.mu.Unlock()
	host := plan.Build(networks, endpoints, up)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.planPeers(host)
	return host
}

// endpointIDs returns the ids of all endpoints.
func (d *Driver) endpointIDs() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.endpoints))
}

// PlanOf implements reconcile.Planner.
func (d *Driver) PlanOf(owner string) plan.Host {
	d.mu.Lock()
	defer d.mu.Unlock()
	if host, ok := plan.PeerOf(owner); ok {
		return plan.ForPeer(d.peers[host], d.config.Uplink, d.uplinks)
	}
	return d.planOf(d.endpoints[owner])
}

// planOf is PlanOf of a record; the zero Endpoint has an empty plan.
func (d *Driver) planOf(e plan.Endpoint) plan.Host {
	n, ok := d.networks[e.Network]
	if !ok {
		return plan.NewHost()
	}
	e.Elsewhere = d.elsewhere(e)
	return plan.ForEndpoint(n, e, d.uplinks)
}

// uplinkSpecs returns the uplinks that networks name, each once, sorted.
func (d *Driver) uplinkSpecs() []string {
	specs := make(map[string]bool)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.networks {
		if !n.Internal {
			specs[n.Uplink] = true
		}
	}
	if len(d.peers) > 0 {
		specs[d.config.Uplink] = true
	}
	return slices.Sorted(maps.Keys(specs))
}

// GwAllocCheck tells Docker 28 and newer that an IPv6 gateway need not be
// allocated: the bridge answers at its link-local address.
func (d *Driver) GwAllocCheck(context.Context, map[string]any) (skipIPv4, skipIPv6 bool, err error) {
	return false, true, nil
}

// DiscoverNew ignores other nodes: Docker sends them to local drivers as well.
func (d *Driver) DiscoverNew(context.Context, *network.DiscoveryNotification) error { return nil }

// DiscoverDelete ignores other nodes.
func (d *Driver) DiscoverDelete(context.Context, *network.DiscoveryNotification) error { return nil }
