package reconcile_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// TestCounts: what a call asks for is no repair, and what cannot be repaired is drift.
func TestCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, box(0), box(1))
		stop := r.run(t)
		defer stop()
		if err := r.Sync(t.Context(), box(1).ID); err != nil {
			t.Fatal(err)
		}
		c := r.Counts()
		if len(c.Repairs) > 0 || c.Drift != 0 || c.Passes != 1 || !c.LastPass.Equal(time.Now()) {
			t.Errorf("after calls: %+v", c)
		}
		r.kernel.drift(box(0).ID)
		r.kernel.drift(box(1).ID)
		r.kernel.breaks("ndh-00001")
		r.kernel.event()
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		c = r.Counts()
		want := map[plan.Kind]uint64{plan.KindRules: 1, plan.KindNeighbor: 2, plan.KindVeth: 1, plan.KindProxy: 2}
		if diff := cmp.Diff(want, c.Repairs); diff != "" || c.Drift != 2 {
			t.Errorf("after a repair: %d to do, want 2; repairs (-want +got):\n%s", c.Drift, diff)
		}
		r.kernel.mu.Lock()
		r.kernel.blind = errBroken
		r.kernel.mu.Unlock()
		seen := c.LastPass
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if c = r.Counts(); !c.LastPass.Equal(seen) || c.Drift != 2 || c.Passes < 3 || c.Passes > 9 {
			t.Errorf("while the host cannot be seen: %+v", c)
		}
		r.kernel.mu.Lock()
		r.kernel.blind, r.kernel.broken = nil, ""
		r.kernel.mu.Unlock()
		time.Sleep(2 * reconcile.Period)
		synctest.Wait()
		if c = r.Counts(); c.Drift != 0 || c.Repairs[plan.KindVeth] != 2 || c.Repairs[plan.KindRules] != 2 {
			t.Errorf("in the end: %+v", c)
		}
	})
}

func TestHostCounts(t *testing.T) {
	enter(t)
	n := newNode(t, memory{})
	drops, err := n.host.Drops()
	if err != nil || len(drops) != len(firewall.Counters()) {
		t.Errorf("without rules: drops %v, %v", drops, err)
	}
	n.serve(t)
	counts := func() reconcile.HostCounts {
		t.Helper()
		c, err := n.host.Counts()
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Uplinks {
			c.Uplinks[i].Solicitations, c.Uplinks[i].Advertisements = 0, 0 // what the test's kernel says by itself
		}
		return c
	}
	want := reconcile.HostCounts{Uplinks: []reconcile.UplinkCounts{{Name: "eth0", Ready: true, Proxies: 1}}}
	if diff := cmp.Diff(want, counts()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	nettest.Run(t, "ip addr add 2001:db8:77::5/64 dev eth0 nodad")
	n.pass(t)
	n.pass(t)
	nettest.Run(t, "ip link set eth0 down")
	n.pass(t)
	want.PrefixChanges, want.Uplinks[0].Ready = 1, false
	got := counts()
	got.Uplinks[0].Proxies = want.Uplinks[0].Proxies
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
