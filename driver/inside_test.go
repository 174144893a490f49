package driver_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// fakeLender lends one address to one endpoint at a time.
type fakeLender struct {
	mu     sync.Mutex
	source string
	// err is why there is no address now, and refuses why there never is one.
	err, refuses error
	// lent is who has the address.
	lent  string
	asked int
}

const stableAddr = "2001:db8::a:5:5:5"

func (l *fakeLender) Source(netip.Prefix) string { return l.source }

func (l *fakeLender) CheckStable(netip.Prefix) error { return l.refuses }

func (l *fakeLender) Stable(_ context.Context, r driver.StableRequest) (netip.Addr, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.err != nil {
		return netip.Addr{}, l.err
	}
	l.lent = r.Endpoint
	return netip.MustParseAddr(stableAddr), nil
}

func (l *fakeLender) Return(endpoint string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lent == endpoint {
		l.lent = ""
	}
	return nil
}

func (l *fakeLender) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *fakeLender) holder() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lent
}

// with is a request for the network with options.
func with(generic map[string]any) *network.CreateNetworkRequest {
	r := createWeb()
	r.Options = options(generic)
	return r
}

var (
	byName = map[string]any{"ndp6.stable": "name"}
	follow = map[string]any{"ndp6.renumber": "follow"}
)

// renumber gives the uplink another prefix, and deprecates the first.
func (h *fakeHost) renumber() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Addresses = []kernel.Address{
		{Link: "eth0", Prefix: netip.MustParsePrefix("2001:db8::5/64"), Deprecated: true},
		{Link: "eth0", Prefix: netip.MustParsePrefix("2001:db8:1::5/64")},
	}
	h.Routes = append(h.Routes, kernel.Route{Dst: netip.MustParsePrefix("2001:db8:1::/64"), Link: "eth0", Type: kernel.Unicast})
}

func TestStableAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t, with(byName))
		stop := r.run(t)
		defer stop()
		r.host.place(false)
		r.lender.fail(driver.ErrUnnamed)
		r.attach(t, createBox("box"))
		time.Sleep(time.Second)
		if got := r.lender.asked; got > 0 {
			t.Errorf("docker was asked %d times before the sandbox was there", got)
		}
		r.host.place(true)
		time.Sleep(time.Second)
		if got := r.lender.asked; got < 2 || got > 10 {
			t.Errorf("docker was asked %d times in a second", got)
		}
		if got := r.host.holds(plan.KindInside); got != "" {
			t.Errorf("without a name there is %s", got)
		}
		r.lender.fail(nil)
		time.Sleep(time.Second)
		want := `neigh 2001:db8::a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
neigh 2001:db8::a:5:5:5 lladdr 02:42:00:00:00:02 dev nd-web
addr 2001:db8::a:5:5:5/80 dev 02:42:00:00:00:02 netns /run/docker/netns/box
neigh proxy 2001:db8::a:242:0:2 dev eth0
neigh proxy 2001:db8::a:5:5:5 dev eth0
`
		if diff := cmp.Diff(want, r.host.holds(plan.KindNeighbor, plan.KindInside, plan.KindProxy)); diff != "" {
			t.Errorf("host (-want +got):\n%s", diff)
		}
		if got := r.endpoints.all(t)["box"]; got.Stable != netip.MustParseAddr(stableAddr) || !got.Placed {
			t.Errorf("record: %+v", got)
		}
		if diff := cmp.Diff([]string{"2001:db8::a:242:0:2 eth0 1s", stableAddr + " eth0 1s"}, r.link.probes); diff != "" {
			t.Errorf("probes (-want +got):\n%s", diff)
		}

		must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "web", EndpointID: "box"}))
		if got := r.host.holds(plan.KindNeighbor, plan.KindInside, plan.KindProxy); got != "" {
			t.Errorf("after Leave there is\n%s", got)
		}
		if got := r.lender.holder(); got != "" {
			t.Errorf("after Leave %s has the address", got)
		}
		if got := r.endpoints.all(t)["box"]; got.Stable.IsValid() || got.Placed {
			t.Errorf("record after Leave: %+v", got)
		}
	})
}

// Another host on the uplink has the address.
func TestStableAddressIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t, with(byName))
		stop := r.run(t)
		defer stop()
		r.link.owners[netip.MustParseAddr(stableAddr)] = inet.MAC{2, 0x42, 0, 0, 0, 0x99}
		r.attach(t, createBox("box"))
		time.Sleep(2 * time.Second)
		if diff := cmp.Diff("neigh proxy 2001:db8::a:242:0:2 dev eth0\n", r.host.holds(plan.KindProxy)); diff != "" {
			t.Errorf("proxy entries (-want +got):\n%s", diff)
		}
	})
}

func TestEndpointLeavesBeforeItsNameIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t, with(byName))
		stop := r.run(t)
		defer stop()
		r.lender.fail(errBroken)
		r.attach(t, createBox("box"))
		time.Sleep(time.Minute)
		s, err := r.Status(t.Context())
		must(t)(err)
		if len(s.Problems) != 1 || s.Problems[0].Owner != "box" || s.Problems[0].Error != "broken" || s.Problems[0].Attempts < 5 {
			t.Errorf("problems: %+v", s.Problems)
		}
		must(t)(r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "web", EndpointID: "box"}))
		synctest.Wait()
		r.lender.fail(nil)
		time.Sleep(time.Minute)
		if got := r.lender.holder(); got != "" {
			t.Errorf("%s got an address after it left", got)
		}
		if s, err = r.Status(t.Context()); err != nil || len(s.Problems) > 0 {
			t.Errorf("problems after it left: %+v, %v", s.Problems, err)
		}
	})
}

// A process that was killed while it waited goes on.
func TestStableAddressAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t, with(byName))
		r.lender.fail(driver.ErrUnnamed)
		r.attach(t, createBox("box"))
		r.run(t)()
		r.lender.fail(nil)
		next := r.restart(t)
		stop := next.run(t)
		defer stop()
		time.Sleep(time.Second)
		if got := next.host.holds(plan.KindInside); !strings.Contains(got, stableAddr) {
			t.Errorf("inside: %s", got)
		}
	})
}

// Docker lost an endpoint without a word, and the container's next one has the
// address.
func TestStableAddressOfLostEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t, with(byName))
		stop := r.run(t)
		defer stop()
		r.attach(t, createBox("lost"))
		time.Sleep(time.Second)
		again := createBox("next")
		again.Interface.AddressIPv6, again.Interface.MacAddress = "2001:db8::a:242:0:3/80", "02:42:00:00:00:03"
		r.attach(t, again)
		time.Sleep(time.Second)
		if got := r.host.holds(plan.KindInside); got != "addr 2001:db8::a:5:5:5/80 dev 02:42:00:00:00:03 netns /run/docker/netns/next\n" {
			t.Errorf("inside: %s", got)
		}
		must(t)(r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "web", EndpointID: "lost"}))
		if got := r.lender.holder(); got != "next" {
			t.Errorf("%q has the address", got)
		}
		if got := r.host.holds(plan.KindProxy); !strings.Contains(got, stableAddr) {
			t.Errorf("proxy entries: %s", got)
		}
	})
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t, with(follow))
		stop := r.run(t)
		defer stop()
		r.attach(t, createBox("box"))
		time.Sleep(2 * time.Second)
		r.host.renumber()
		must(t)(r.Restore(t.Context()))
		time.Sleep(2 * time.Second)
		want := `route 2001:db8:0:0:a::/80 dev nd-web
route 2001:db8:1:0:a::/80 dev nd-web
addr 2001:db8:1:0:a:242:0:2/80 dev 02:42:00:00:00:02 netns /run/docker/netns/box
addr 2001:db8::a:242:0:2/80 dev 02:42:00:00:00:02 netns /run/docker/netns/box preferred_lft 0
neigh proxy 2001:db8:1:0:a:242:0:2 dev eth0
neigh proxy 2001:db8::a:242:0:2 dev eth0
`
		if diff := cmp.Diff(want, r.host.holds(plan.KindRoute, plan.KindInside, plan.KindProxy)); diff != "" {
			t.Errorf("host (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"2001:db8::a:242:0:2 eth0 1s", "2001:db8:1:0:a:242:0:2 eth0 1s"}, r.link.probes); diff != "" {
			t.Errorf("probes (-want +got):\n%s", diff)
		}
		s, err := r.Status(t.Context())
		must(t)(err)
		addresses := []driver.AddressStatus{
			{Addr: netip.MustParseAddr("2001:db8::a:242:0:2"), Origin: plan.Given, Deprecated: true},
			{Addr: netip.MustParseAddr("2001:db8:1:0:a:242:0:2"), Origin: plan.Twin},
		}
		if diff := cmp.Diff(addresses, s.Endpoints[0].Addresses, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
		if len(s.Warnings) > 0 {
			t.Errorf("warnings: %+v", s.Warnings)
		}
	})
}

func TestRenumberWarning(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t).restart(t, func(c *driver.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }).serve(t)
	r.attach(t, createBox("box"))
	warnings := func() []driver.Warning {
		t.Helper()
		for range 2 {
			must(t)(r.Restore(t.Context()))
		}
		s, err := r.Status(t.Context())
		must(t)(err)
		return s.Warnings
	}
	if ws := warnings(); len(ws) > 0 {
		t.Errorf("before: %+v", ws)
	}
	stable := r.host.Snapshot
	r.host.renumber()
	const text = "prefix 2001:db8::/64 of pool 2001:db8:0:0:a::/80 is deprecated on uplink eth0, and its containers cannot be reached when it goes: " +
		"make the network anew, with -o ndp6.renumber=follow for one that changes with the prefix, or with -o ndp6.mode=nptv6"
	if diff := cmp.Diff([]driver.Warning{{Owner: "web", Text: text}}, warnings()); diff != "" {
		t.Errorf("deprecated (-want +got):\n%s", diff)
	}
	r.host.Routes = r.host.Routes[:0:0]
	for _, route := range append(stable.Routes, kernel.Route{Dst: netip.MustParsePrefix("2001:db8:1::/64"), Link: "eth0"}) {
		if route.Dst != netip.MustParsePrefix("2001:db8::/64") {
			r.host.Routes = append(r.host.Routes, route)
		}
	}
	if ws := warnings(); len(ws) != 1 || !strings.Contains(ws[0].Text, "is gone from uplink eth0, so that its containers cannot be reached:") {
		t.Errorf("gone: %+v", ws)
	}
	r.host.Snapshot = stable
	if ws := warnings(); len(ws) > 0 {
		t.Errorf("back: %+v", ws)
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 2 {
		t.Errorf("%d warnings in the log, want 2", got)
	}
	if got := strings.Count(log.String(), "network needs no attention any more"); got != 1 {
		t.Errorf("%d ends of warnings in the log, want 1", got)
	}
}

func TestInsideRefused(t *testing.T) {
	tests := []struct {
		name    string
		options map[string]any
		change  func(r rig)
		err     string
	}{
		{name: "stable", options: byName},
		{name: "follow", options: follow},
		{name: "stable of what", options: map[string]any{"ndp6.stable": "mac"}, err: `option ndp6.stable="mac" is not right: use name: an address made of the container's name`},
		{name: "renumber how", options: map[string]any{"ndp6.renumber": "yes"}, err: `option ndp6.renumber="yes" is not right: use warn or follow`},
		{
			name: "no names", options: byName, change: func(r rig) { r.lender.refuses = errors.New("--docker-socket is none") },
			err: "option ndp6.stable=name: --docker-socket is none",
		},
		{
			name: "managed plugin", options: byName, change: func(r rig) { r.host.unenterable = errBroken },
			err: "option ndp6.stable=name sets addresses inside running containers, and ndp6 may not enter their namespaces: leave it out, or run ndp6 as a service with CAP_SYS_ADMIN instead of the managed plugin: broken",
		},
		{
			name: "fixed pool", options: follow, change: func(r rig) { r.lender.source = "given" },
			err: "option ndp6.renumber=follow: pool 2001:db8:0:0:a::/80 was given with --subnet: leave out --subnet and add --ipam-driver ndp6, on a host whose uplink has a global on-link prefix, or leave out the option",
		},
		{
			name: "pool of another driver", options: follow, change: func(r rig) { r.lender.source = "" },
			err: "option ndp6.renumber=follow: pool 2001:db8:0:0:a::/80 is that of another IPAM driver: leave out --subnet and add --ipam-driver ndp6, on a host whose uplink has a global on-link prefix, or leave out the option",
		},
		{
			name: "pool of a block", options: follow, change: func(r rig) { r.lender.source = "block" },
			err: "option ndp6.renumber=follow: pool 2001:db8:0:0:a::/80 was not taken from a prefix of the uplink: leave out --subnet and add --ipam-driver ndp6, on a host whose uplink has a global on-link prefix, or leave out the option",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			if tt.change != nil {
				tt.change(r)
			}
			got := ""
			if err := r.CreateNetwork(t.Context(), with(tt.options)); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.err, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if left := r.networks.ids(); tt.err != "" && len(left) > 0 {
				t.Errorf("records are left: %v", left)
			}
		})
	}
}
