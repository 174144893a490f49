package driver_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/go-plugins-helpers/network"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/ndp"
)

var errBroken = errors.New("broken")

// bucket keeps records as the store does: as text.
type bucket[T any] struct {
	mu     sync.Mutex
	values map[string][]byte
	err    error
}

func (b *bucket[T]) All() (map[string]T, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]T)
	for id, text := range b.values {
		var v T
		if err := json.Unmarshal(text, &v); err != nil {
			return nil, err
		}
		all[id] = v
	}
	return all, b.err
}

func (b *bucket[T]) Put(id string, v T) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, err := json.Marshal(v)
	if err != nil || b.err != nil {
		return errors.Join(err, b.err)
	}
	if b.values == nil {
		b.values = make(map[string][]byte)
	}
	b.values[id] = text
	return nil
}

func (b *bucket[T]) Delete(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		delete(b.values, id)
	}
	return b.err
}

// all returns the records.
func (b *bucket[T]) all(tb testing.TB) map[string]T {
	tb.Helper()
	all, err := b.All()
	must(tb)(err)
	return all
}

func (b *bucket[T]) breaks(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *bucket[T]) ids() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.values))
}

// fakeHost holds objects in memory, and has an uplink.
type fakeHost struct {
	uplink.Snapshot
	missing []string
	// unenterable is why sandboxes cannot be entered, and unplaced that links
	// are not in theirs yet.
	unenterable error
	unplaced    bool
	slow        error // why there is no fast path

	mu      sync.Mutex
	objects map[plan.Key]plan.Object
	applied int
	// broken is a part of the text of operations that fail.
	broken string
}

func newFakeHost() *fakeHost {
	route := func(dst, link string) kernel.Route {
		return kernel.Route{Dst: netip.MustParsePrefix(dst), Link: link, Type: kernel.Unicast}
	}
	return &fakeHost{
		objects: make(map[plan.Key]plan.Object),
		Snapshot: uplink.Snapshot{
			Links: []kernel.Link{{Name: "lo"}, {Name: "eth0", MTU: 1500}, {Name: "wan0", MTU: 1400}, {Name: "br-other", Kind: "bridge"}},
			Addresses: []kernel.Address{
				{Link: "eth0", Prefix: netip.MustParsePrefix("2001:db8::5/64")},
				{Link: "eth0", Prefix: netip.MustParsePrefix("192.0.2.5/24")},
			},
			Routes: []kernel.Route{
				route("::/0", "eth0"), route("2001:db8::/64", "eth0"), route("192.0.2.0/24", "eth0"), route("2001:db8:5::/64", "wan0"),
			},
		},
	}
}

func (h *fakeHost) Refresh() error { return nil }

func (h *fakeHost) Observe(plan.Host) (plan.Host, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	have := plan.NewHost()
	for _, o := range h.objects {
		have.Add("", o)
	}
	return have, nil
}

func (h *fakeHost) SetRules(plan.Host) (bool, error) { return false, nil }

func (h *fakeHost) Apply(op plan.Op) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.applied++
	if h.broken != "" && strings.Contains(op.String(), h.broken) {
		return errBroken
	}
	if op.Verb == plan.Del {
		delete(h.objects, op.Key())
	} else {
		h.objects[op.Key()] = op.Object
	}
	return nil
}

func (h *fakeHost) Drifted() (bool, error) { return false, nil }

func (h *fakeHost) Watch(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return nil
}

func (h *fakeHost) Uplinks(specs []string) plan.Uplinks {
	up := plan.Uplinks{For: make(map[string]plan.Uplink)}
	for _, spec := range specs {
		if u, err := h.Choose(spec); err == nil {
			up.For[spec] = plan.Uplink{Name: u.Name, MTU: u.MTU, OnLink: u.OnLink, Deprecated: u.Deprecated}
		}
	}
	return up
}

func (h *fakeHost) HasLink(name string) bool {
	_, ok := h.Link(name)
	return ok
}

func (h *fakeHost) Foreign() inet.Foreign {
	return h.Snapshot.Foreign(func(string) bool { return false }, plan.Protocol)
}

func (h *fakeHost) Missing(plan.Host) ([]string, error) { return h.missing, nil }

func (h *fakeHost) FastPath() error { return h.slow }

func (h *fakeHost) Answers() []reconcile.Answer {
	return []reconcile.Answer{{Uplink: "eth0", Asked: plan.AnswerAuto, By: plan.AnswerKernel, Reason: "no program"}, {Uplink: "eth7", By: plan.AnswerBPF}}
}

func (h *fakeHost) Enterable() error { return h.unenterable }

func (h *fakeHost) Placed(string, inet.MAC) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.unplaced, nil
}

// place has Docker move the links into their sandboxes, or not yet.
func (h *fakeHost) place(done bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unplaced = !done
}

func (h *fakeHost) breaks(part string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = part
}

// holds lists the objects of these kinds, all if none is given.
func (h *fakeHost) holds(kinds ...plan.Kind) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := plan.NewHost()
	for k, o := range h.objects {
		if len(kinds) == 0 || slices.Contains(kinds, k.Kind) {
			held.Add("", o)
		}
	}
	return held.String()
}

// fakeLink is the uplink's link, with the addresses that other hosts on it have.
type fakeLink struct {
	mu     sync.Mutex
	owners map[netip.Addr]inet.MAC
	probes []string
	err    error
}

func (l *fakeLink) Probe(ctx context.Context, link string, addr netip.Addr, wait time.Duration) error {
	l.mu.Lock()
	l.probes = append(l.probes, addr.String()+" "+link+" "+wait.String())
	owner, ok := l.owners[addr]
	err := l.err
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if ok {
		wait /= 2
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
	}
	if ok {
		return &ndp.DuplicateError{Addr: addr, Owner: owner}
	}
	return nil
}

// probed tells what was asked for.
func (l *fakeLink) probed() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.probes)
}

// rig is a driver and all that it works on.
type rig struct {
	*driver.Driver
	host      *fakeHost
	link      *fakeLink
	ports     *fakePorts
	lender    *fakeLender
	networks  *bucket[plan.Network]
	endpoints *bucket[plan.Endpoint]
}

func newRig(tb testing.TB) rig {
	tb.Helper()
	r := rig{host: newFakeHost(), link: &fakeLink{owners: make(map[netip.Addr]inet.MAC)}, networks: &bucket[plan.Network]{}, endpoints: &bucket[plan.Endpoint]{}}
	r.ports = &fakePorts{host: r.host}
	r.lender = &fakeLender{source: "uplink"}
	return r.restart(tb)
}

// restart returns a rig with a new process on the same host.
func (r rig) restart(tb testing.TB, change ...func(*driver.Config)) rig {
	tb.Helper()
	config := driver.Config{
		Log: slog.New(slog.DiscardHandler), Networks: r.networks, Endpoints: r.endpoints,
		Host: r.host, Prober: r.link, Ports: r.ports, Lender: r.lender, Uplink: uplink.Auto,
	}
	for _, f := range change {
		f(&config)
	}
	d, err := driver.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	if err := d.Restore(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	r.Driver = d
	return r
}

// options are those of a CreateNetwork request of Docker 28 and newer.
func options(generic map[string]any) map[string]any {
	return map[string]any{
		"com.docker.network.enable_ipv4": false, "com.docker.network.enable_ipv6": true,
		"com.docker.network.generic": generic,
	}
}

func pool(pool, gateway string) *network.IPAMData {
	return &network.IPAMData{AddressSpace: "LocalDefault", Pool: pool, Gateway: gateway}
}

// createWeb is a request for an IPv6-only network.
func createWeb() *network.CreateNetworkRequest {
	return &network.CreateNetworkRequest{
		NetworkID: "web", Options: options(nil),
		IPv6Data: []*network.IPAMData{pool("2001:db8:0:0:a::/80", "fe80::1/64")},
	}
}

// createBox is a request for an endpoint whose address is that of its MAC.
func createBox(id string) *network.CreateEndpointRequest {
	return &network.CreateEndpointRequest{
		NetworkID: "web", EndpointID: id, Options: map[string]any{},
		Interface: &network.EndpointInterface{AddressIPv6: "2001:db8::a:242:0:2/80", MacAddress: "02:42:00:00:00:02"},
	}
}

func joinBox(id string) *network.JoinRequest {
	return &network.JoinRequest{NetworkID: "web", EndpointID: id, SandboxKey: "/run/docker/netns/" + id}
}

// must returns a function that fails the test at an error.
func must(tb testing.TB) func(error) {
	tb.Helper()
	return func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// serve makes the network.
func (r rig) serve(tb testing.TB, requests ...*network.CreateNetworkRequest) rig {
	tb.Helper()
	if len(requests) == 0 {
		requests = append(requests, createWeb())
	}
	for _, request := range requests {
		must(tb)(r.CreateNetwork(tb.Context(), request))
	}
	return r
}

// published returns the ports on record of the endpoint box.
func (r rig) published(tb testing.TB) []firewall.Published {
	tb.Helper()
	return r.endpoints.all(tb)["box"].Published
}

// attach makes an endpoint and joins it.
func (r rig) attach(tb testing.TB, e *network.CreateEndpointRequest) *network.JoinResponse {
	tb.Helper()
	_, err := r.CreateEndpoint(tb.Context(), e)
	must(tb)(err)
	j := joinBox(e.EndpointID)
	j.NetworkID = e.NetworkID
	answer, err := r.Join(tb.Context(), j)
	must(tb)(err)
	return answer
}

// run runs the driver until the returned function is called.
func (r rig) run(tb testing.TB) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() {
		tb.Helper()
		cancel()
		must(tb)(<-done)
	}
}
