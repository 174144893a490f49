package reconcile_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
)

// slow makes the removal of links last, as it does in the kernel.
const slow = 20 * time.Millisecond

func TestSyncsOfDifferentEndpointsDoNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var endpoints []plan.Endpoint
		for i := range 100 {
			endpoints = append(endpoints, box(i))
		}
		r := newRig(t, endpoints...)
		r.kernel.slow = slow
		begin := time.Now()
		var wg sync.WaitGroup
		for _, e := range endpoints {
			r.records.remove(e.ID)
			wg.Go(func() {
				if err := r.Sync(t.Context(), e.ID); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begin); took > slow {
			t.Errorf("100 endpoints left within %v, want %v", took, slow)
		}
	})
}

func TestSyncsOfOneEndpointWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, box(0))
		r.kernel.slow = slow
		r.records.remove(box(0).ID)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := r.Sync(t.Context(), box(0).ID); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		r.records.put(box(0))
		if err := r.Sync(t.Context(), box(0).ID); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if !r.kernel.holds("ndh-00000") {
			t.Error("a Sync that began before undid the one that began after")
		}
	})
}

// An address may be given to another endpoint while the last one still leaves,
// and the two Syncs may come in either order.
func TestAnAddressIsItsLastOwners(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, box(0))
			r.kernel.slow = slow
			heir := box(1)
			heir.Addrs = box(0).Addrs
			r.records.remove(box(0).ID)
			r.records.put(heir)
			first, second := box(0).ID, heir.ID
			if late {
				first, second = second, first
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := r.Sync(t.Context(), first); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			if err := r.Sync(t.Context(), second); err != nil {
				t.Error(err)
			}
			wg.Wait()
			got := r.kernel.String()
			for _, want := range []string{"neigh proxy 2001:db8::a:0:0:2 dev eth0", "neigh 2001:db8::a:0:0:2 lladdr 02:42:00:00:00:01", "ndh-00001"} {
				if !strings.Contains(got, want) {
					t.Errorf("late=%v: no %s in\n%s", late, want, got)
				}
			}
			if strings.Contains(got, "ndh-00000") {
				t.Errorf("late=%v: the link of the one that left is in\n%s", late, got)
			}
		})
	}
}

// A pass must see the host as it is between two Syncs, not within one.
func TestPassesWaitForSyncs(t *testing.T) {
	t.Parallel()
	r := newRig(t, box(0))
	r.kernel.slow = slow
	r.records.remove(box(0).ID)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Sync(t.Context(), box(0).ID); err != nil {
			t.Error(err)
		}
	})
	for r.kernel.seen() == "" { // the Sync has begun
		time.Sleep(time.Millisecond)
	}
	if err := r.SyncHost(t.Context(), web.ID); err != nil {
		t.Error(err)
	}
	wg.Wait()
	r.expect(t, `
del neigh proxy 2001:db8::a:0:0:2 dev eth0
del veth ndh-00000 master nd-web mtu 1500 up
del rules ndh-00000 bridge nd-web mac 02:42:00:00:00:00 addr 2001:db8::a:0:0:2
del neigh 2001:db8::a:0:0:2 lladdr 02:42:00:00:00:00 dev nd-web
`)
}
