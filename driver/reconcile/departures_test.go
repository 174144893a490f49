package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// left is an endpoint that left its sandbox.
func left(e plan.Endpoint) plan.Endpoint {
	e.Joined, e.Joining = false, false
	return e
}

// Whoever leaves does not wait for the kernel to let go of the link, and nobody
// who looks at the host meanwhile takes it for wrong.
func TestLeaveWaitsForNoLink(t *testing.T) {
	enter(t)
	n := newNode(t, memory{})
	n.networks = []plan.Network{web}
	n.pass(t)
	empty := observe(t)
	for i := range 20 {
		n.sync(t, box(i))
	}
	for i := range 20 {
		n.sync(t, left(box(i)))
		if ops, err := n.Drift(t.Context()); err != nil || len(ops) > 0 {
			t.Errorf("endpoint %d left: drift %v, error %v", i, ops, err)
		}
	}
	if err := n.host.Close(); err != nil {
		t.Fatal(err)
	}
	expectHost(t, empty)
}

// An endpoint that joins again has a pair of its own, and not what is left of
// the last one.
func TestJoinAfterLeave(t *testing.T) {
	enter(t)
	n := newNode(t, memory{})
	n.serve(t)
	for range 10 {
		n.sync(t, left(box(0)))
		n.sync(t, box(0))
	}
	// The neighbor takes longer than the pair, which would come first without.
	pair := n.PlanOf(box(0).ID).Objects[plan.Veth{Name: box(0).HostSide()}.Key()]
	for range 10 {
		for _, verb := range []plan.Verb{plan.Del, plan.Add} {
			if err := n.host.Apply(plan.Op{Verb: verb, Owned: pair}); err != nil {
				t.Fatalf("%s %s: %v", verb, pair, err)
			}
		}
	}
	if err := n.host.Close(); err != nil {
		t.Fatal(err)
	}
	nettest.Run(t, "ip link show ndh-00000", "ip link show ndc-00000")
	if neighbors := nettest.Run(t, "ip -6 neigh show dev nd-web nud permanent"); !strings.Contains(neighbors, box(0).Addrs[0].String()) {
		t.Errorf("no permanent neighbor %s:\n%s", box(0).Addrs[0], neighbors)
	}
}

func TestNetworkRemovedAfterLeave(t *testing.T) {
	enter(t)
	before := observe(t)
	n := newNode(t, memory{})
	n.networks = []plan.Network{web}
	n.pass(t)
	for i := range 40 {
		n.sync(t, box(i))
	}
	for i := range 40 {
		n.sync(t, left(box(i)))
	}
	n.networks = nil
	n.pass(t)
	if links := nettest.Run(t, "ip -o link show"); strings.Contains(links, plan.HostSidePrefix) {
		t.Errorf("links left:\n%s", links)
	}
	expectHost(t, before)
}

// What could not go while nobody waited is tried again, and then somebody hears
// why it cannot.
func TestLinkThatCannotGo(t *testing.T) {
	enter(t)
	n := newNode(t, memory{})
	n.pass(t)
	op := plan.Op{Verb: plan.Del, Owned: plan.Owned{Object: plan.Veth{Name: "lo"}}}
	if err := n.host.Apply(op); err != nil {
		t.Fatal(err)
	}
	drifted := func() bool {
		t.Helper()
		yes, err := n.host.Drifted()
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	for deadline := time.Now().Add(10 * time.Second); !drifted(); {
		if time.Now().After(deadline) {
			t.Fatal("nobody hears of it")
		}
	}
	if err := n.host.Refresh(); err != nil {
		t.Fatal(err)
	}
	if drifted() {
		t.Error("heard of again by who looked at the host since")
	}
	if err := n.host.Apply(op); err == nil {
		t.Error("the second removal says nothing")
	}
}
