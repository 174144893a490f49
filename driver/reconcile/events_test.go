package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// A pass over ten thousand endpoints keeps calls waiting, so the containers'
// coming and going must not cause any.
func TestChurnCausesNoPass(t *testing.T) {
	enter(t)
	sandbox := nettest.Another(t)
	n := newNode(t, memory{})
	n.networks = []plan.Network{web}
	n.pass(t)
	defer n.run(t)()
	before := n.looked.Load()
	awaitCarrier := func(state string) {
		t.Helper()
		for !strings.Contains(nettest.Run(t, "ip link show nd-web"), "state "+state+" ") {
			<-time.After(10 * time.Millisecond) // the kernel tells late of it
		}
	}
	// The first brings the bridge a carrier, and takes it along.
	for i := range 5 {
		first := random.endpoint(1 + i)
		n.attach(t, first)
		nettest.Run(t, "ip link set "+first.ContainerSide()+" netns "+sandbox)
		nettest.RunIn(t, sandbox, "ip link set "+first.ContainerSide()+" up")
		awaitCarrier("UP")
		n.detach(t, first)
		awaitCarrier("DOWN")
	}
	for i := range 20 {
		n.attach(t, random.endpoint(20+i))
		n.rest(t)
		n.detach(t, random.endpoint(20+i))
	}
	n.rest(t)
	if passes := n.looked.Load() - before; passes != 0 {
		t.Errorf("%d passes for 25 containers that came and went, want none", passes)
	}
}
