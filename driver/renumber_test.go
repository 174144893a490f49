package driver_test

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/kernel"
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

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t, with(follow))
		stop := r.run(t)
		defer stop()
		r.attach(t, createBox("box"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
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
		if diff := cmp.Diff([]string{"2001:db8::a:242:0:2 eth0 1s", "2001:db8:1:0:a:242:0:2 eth0 1s"}, r.link.probed()); diff != "" {
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
