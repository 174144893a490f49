package driver_test

import (
	"testing"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
)

// A container on two networks may answer by either, from the addresses of
// both, as long as it is on both.
func TestTwoNetworks(t *testing.T) {
	t.Parallel()
	const (
		web       = "ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2"
		db        = "ndh-store bridge nd-db mac 02:42:00:00:00:03 addr 2001:db8::b:242:0:3"
		other     = "ndh-other bridge nd-db mac 02:42:00:00:00:04 addr 2001:db8::b:242:0:4"
		fromDB    = " elsewhere 2001:db8::b:242:0:3"
		fromWeb   = " elsewhere 2001:db8::a:242:0:2"
		container = "/run/docker/netns/box"
	)
	r := newRig(t).serve(t, createWeb(), createDB())
	check := func(when, want string) {
		t.Helper()
		if diff := cmp.Diff(want, r.host.holds(plan.KindRules)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	join := func(id, mac, addr, sandbox string) {
		t.Helper()
		_, err := r.CreateEndpoint(t.Context(), &network.CreateEndpointRequest{
			NetworkID: "db", EndpointID: id, Interface: &network.EndpointInterface{AddressIPv6: addr + "/80", MacAddress: mac},
		})
		must(t)(err)
		_, err = r.Join(t.Context(), &network.JoinRequest{NetworkID: "db", EndpointID: id, SandboxKey: sandbox})
		must(t)(err)
	}
	r.attach(t, createBox("box"))
	check("on one", "rules "+web+"\n")
	join("store", "02:42:00:00:00:03", "2001:db8::b:242:0:3", container)
	join("other", "02:42:00:00:00:04", "2001:db8::b:242:0:4", "/run/docker/netns/other")
	check("on two", "rules "+web+fromDB+"\nrules "+other+"\nrules "+db+fromWeb+"\n")

	r = r.restart(t)
	check("restarted", "rules "+web+fromDB+"\nrules "+other+"\nrules "+db+fromWeb+"\n")
	must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "db", EndpointID: "store"}))
	check("left one", "rules "+web+"\nrules "+other+"\n")
	_, err := r.Join(t.Context(), &network.JoinRequest{NetworkID: "db", EndpointID: "store", SandboxKey: container})
	must(t)(err)
	must(t)(r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "web", EndpointID: "box"}))
	check("deleted the other", "rules "+other+"\nrules "+db+"\n")
}
