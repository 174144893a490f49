package driver_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
)

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

func TestStableAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t, with(byName))
		stop := r.run(t)
		defer stop()
		r.host.place(false)
		r.lender.fail(driver.ErrUnnamed)
		r.attach(t, createBox("box"))
		time.Sleep(time.Second)
		if got := r.lender.questions(); got > 0 {
			t.Errorf("docker was asked %d times before the sandbox was there", got)
		}
		r.host.place(true)
		time.Sleep(time.Second)
		if got := r.lender.questions(); got < 2 || got > 10 {
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
		if diff := cmp.Diff([]string{"2001:db8::a:242:0:2 eth0 1s", stableAddr + " eth0 1s"}, r.link.probed()); diff != "" {
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
