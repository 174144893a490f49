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
	n := newNode(t, memory{})
	n.networks = []plan.Network{web}
	n.pass(t)
	first := random.endpoint(1)
	n.attach(t, first)
	nettest.Run(t, "ip link set "+first.ContainerSide()+" up") // so that the bridge keeps its carrier
	for !strings.Contains(nettest.Run(t, "ip link show nd-web"), "state UP") {
		<-time.After(10 * time.Millisecond) // the kernel tells late of it
	}
	defer n.run(t)()
	before := n.looked.Load()
	for i := range 20 {
		n.attach(t, random.endpoint(2+i))
		n.rest(t)
		n.detach(t, random.endpoint(2+i))
	}
	n.rest(t)
	if passes := n.looked.Load() - before; passes != 0 {
		t.Errorf("%d passes for 20 containers that came and went, want none", passes)
	}
}
