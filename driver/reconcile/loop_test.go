package reconcile_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/netutil/inet"
)

var (
	web = plan.Network{
		ID: "web", Bridge: "nd-web", Uplink: "auto",
		Pools: []plan.Pool{{Prefix: netip.MustParsePrefix("2001:db8:0:0:a::/80"), Gateway: netip.MustParseAddr("fe80::1")}},
	}
	onEth0 = plan.Uplinks{For: map[string]plan.Uplink{
		"auto": {Name: "eth0", MTU: 1500, OnLink: []netip.Prefix{netip.MustParsePrefix("2001:db8::/64")}},
	}}
)

// box is an endpoint of web that joins.
func box(i int) plan.Endpoint {
	return plan.Endpoint{
		ID: fmt.Sprintf("%05d", i), Network: "web", MAC: inet.MAC{2, 0x42, 0, 0, byte(i >> 8), byte(i)}, Joined: true, Joining: true,
		Addrs: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("2001:db8::a:0:0:%x", i+2))},
	}
}

// rig is a loop over a fake kernel.
type rig struct {
	*reconcile.Loop
	kernel  *fakeKernel
	records *records
}

func newRig(tb testing.TB, endpoints ...plan.Endpoint) rig {
	tb.Helper()
	r := rig{kernel: newFakeKernel(), records: &records{endpoints: make(map[string]plan.Endpoint)}}
	for _, e := range endpoints {
		r.records.endpoints[e.ID] = e
	}
	r.Loop = reconcile.New(r.kernel, r.records, reconcile.Period, slog.New(slog.DiscardHandler))
	if err := r.SyncHost(tb.Context(), web.ID); err != nil {
		tb.Fatal(err)
	}
	r.kernel.taken()
	return r
}

// expect compares what the kernel was asked since the last time.
func (r rig) expect(t *testing.T, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), r.kernel.taken()); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

func TestSyncTouchesOneEndpoint(t *testing.T) {
	t.Parallel()
	r := newRig(t, box(0))
	r.kernel.drift(box(0).ID) // which is nobody's business here
	r.records.put(box(1))
	if err := r.Sync(t.Context(), box(1).ID); err != nil {
		t.Fatal(err)
	}
	r.expect(t, `
add neigh 2001:db8::a:0:0:3 lladdr 02:42:00:00:00:01 dev nd-web
add rules ndh-00001 bridge nd-web mac 02:42:00:00:00:01 addr 2001:db8::a:0:0:3
add veth ndh-00001 master nd-web mtu 1500 up
add neigh proxy 2001:db8::a:0:0:3 dev eth0
`)
	r.records.remove(box(1).ID)
	if err := r.Sync(t.Context(), box(1).ID); err != nil {
		t.Fatal(err)
	}
	r.expect(t, `
del neigh proxy 2001:db8::a:0:0:3 dev eth0
del veth ndh-00001 master nd-web mtu 1500 up
del rules ndh-00001 bridge nd-web mac 02:42:00:00:00:01 addr 2001:db8::a:0:0:3
del neigh 2001:db8::a:0:0:3 lladdr 02:42:00:00:00:01 dev nd-web
`)
	if r.kernel.dumps != 1 {
		t.Errorf("the host was observed %d times, want once at start", r.kernel.dumps)
	}
}

func TestPassOnACorrectHostChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, box(0), box(1))
	for range 2 {
		if err := r.SyncHost(t.Context(), web.ID); err != nil {
			t.Fatal(err)
		}
	}
	r.expect(t, "")
}

func TestPassRepairsDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t, box(0), box(1))
	r.kernel.drift(box(1).ID)
	if err := r.SyncHost(t.Context(), web.ID); err != nil {
		t.Fatal(err)
	}
	r.expect(t, `
add neigh 2001:db8::a:0:0:3 lladdr 02:42:00:00:00:01 dev nd-web
add rules ndh-00001 bridge nd-web mac 02:42:00:00:00:01 addr 2001:db8::a:0:0:3
add veth ndh-00001 master nd-web mtu 1500 up
add neigh proxy 2001:db8::a:0:0:3 dev eth0
`)
}

func TestOneFailureLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.kernel.breaks("veth ndh-00000")
	r.records.put(box(0))
	r.records.put(box(1))
	if err := r.SyncHost(t.Context(), web.ID); err != nil {
		t.Errorf("the network's own objects: %v", err)
	}
	if err := r.SyncHost(t.Context(), box(1).ID); err != nil {
		t.Errorf("the endpoint that works: %v", err)
	}
	want := "add veth ndh-00000 master nd-web mtu 1500 up: no room"
	if err := r.SyncHost(t.Context(), box(0).ID); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if !r.kernel.holds("ndh-00001") {
		t.Error("the endpoint that works has no link")
	}
}

// A Join that failed is undone by a Leave, and what that could not remove by
// whatever comes next.
func TestSyncAfterAnError(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.kernel.breaks("neigh proxy")
	r.records.put(box(0))
	if err := r.Sync(t.Context(), box(0).ID); !errors.Is(err, errBroken) {
		t.Fatalf("error %v, want %v", err, errBroken)
	}
	r.kernel.taken()

	t.Log("the same again tries all of it again, and says what is wrong")
	if err := r.Sync(t.Context(), box(0).ID); !errors.Is(err, errBroken) {
		t.Fatalf("error %v, want %v", err, errBroken)
	}
	r.expect(t, `
add neigh 2001:db8::a:0:0:2 lladdr 02:42:00:00:00:00 dev nd-web
add rules ndh-00000 bridge nd-web mac 02:42:00:00:00:00 addr 2001:db8::a:0:0:2
add veth ndh-00000 master nd-web mtu 1500 up
`)

	t.Log("removal gets as far as it can")
	r.records.remove(box(0).ID)
	if err := r.Sync(t.Context(), box(0).ID); !errors.Is(err, errBroken) {
		t.Fatalf("error %v, want %v", err, errBroken)
	}
	r.expect(t, `
del veth ndh-00000 master nd-web mtu 1500 up
del rules ndh-00000 bridge nd-web mac 02:42:00:00:00:00 addr 2001:db8::a:0:0:2
del neigh 2001:db8::a:0:0:2 lladdr 02:42:00:00:00:00 dev nd-web
`)

	t.Log("and the rest goes when it can")
	r.kernel.breaks("")
	if err := r.Sync(t.Context(), box(0).ID); err != nil {
		t.Fatal(err)
	}
	r.expect(t, `
del neigh proxy 2001:db8::a:0:0:2 dev eth0
del veth ndh-00000 master nd-web mtu 1500 up
del rules ndh-00000 bridge nd-web mac 02:42:00:00:00:00 addr 2001:db8::a:0:0:2
del neigh 2001:db8::a:0:0:2 lladdr 02:42:00:00:00:00 dev nd-web
`)
	if err := r.Sync(t.Context(), box(0).ID); err != nil {
		t.Fatal(err)
	}
	r.expect(t, "")
}

func TestSyncAfterAFailedPass(t *testing.T) {
	t.Parallel()
	r := newRig(t, box(0))
	r.kernel.breaks("ndh-00000")
	r.records.remove(box(0).ID)
	if err := r.SyncHost(t.Context(), box(0).ID); !errors.Is(err, errBroken) {
		t.Fatalf("error %v, want %v", err, errBroken)
	}
	r.kernel.breaks("")
	r.kernel.taken()
	if err := r.Sync(t.Context(), box(0).ID); err != nil {
		t.Fatal(err)
	}
	if r.kernel.holds("ndh-00000") {
		t.Error("the link is still there")
	}
}

func TestSyncObeysItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.records.put(box(0))
		stop := r.run(t)
		ended, cancel := withEnded(t)
		defer cancel()
		if err := r.Sync(ended, box(0).ID); !errors.Is(err, ended.Err()) {
			t.Errorf("error %v, want %v", err, ended.Err())
		}
		if r.kernel.holds("ndh-00000") {
			t.Error("the kernel was changed for a caller who is gone")
		}
		time.Sleep(time.Second)
		stop()
		if !r.kernel.holds("ndh-00000") {
			t.Error("nobody did what the record says")
		}
	})
}

func TestRunPasses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		cause func(rig)
		after time.Duration
	}{
		{name: "periodically", cause: func(rig) {}, after: reconcile.Period},
		{name: "when a look finds a difference", cause: func(r rig) { r.kernel.changes() }, after: 500 * time.Millisecond},
		{name: "at an event, after more of them", cause: func(r rig) { r.kernel.event() }, after: 100 * time.Millisecond},
		{name: "when kicked", cause: func(r rig) { r.Kick(); r.Kick() }, after: 100 * time.Millisecond},
		{name: "when events were lost", cause: func(r rig) { r.kernel.fail(errBroken) }, after: 100 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, box(0))
				stop := r.run(t)
				defer stop()
				r.kernel.drift(box(0).ID)
				tt.cause(r)
				time.Sleep(tt.after - time.Millisecond)
				synctest.Wait()
				if r.kernel.holds("ndh-00000") {
					t.Error("repaired too early")
				}
				time.Sleep(2 * time.Millisecond)
				synctest.Wait()
				if !r.kernel.holds("ndh-00000") {
					t.Error("not repaired")
				}
			})
		})
	}
}

func TestRunRetriesWithGrowingDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, box(0))
		r.kernel.breaks("ndh-00000")
		r.kernel.drift(box(0).ID)
		stop := r.run(t)
		defer stop()
		start := time.Now()
		r.Kick()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		s, ms := time.Second, time.Millisecond
		want := []time.Duration{100 * ms, 1100 * ms, 3100 * ms, 7100 * ms, 15100 * ms, 31100 * ms, 63100 * ms, 123100 * ms, 183100 * ms, 243100 * ms}
		if diff := cmp.Diff(want, r.kernel.looked(start)); diff != "" {
			t.Errorf("passes (-want +got):\n%s", diff)
		}
		r.kernel.breaks("")
		time.Sleep(time.Minute)
		synctest.Wait()
		if !r.kernel.holds("ndh-00000") {
			t.Error("not repaired when it could be")
		}
		repaired := time.Now()
		time.Sleep(2*reconcile.Period + s)
		synctest.Wait()
		if got := r.kernel.looked(repaired); len(got) != 2 {
			t.Errorf("passes on a host as planned: %v, want one each minute", got)
		}
	})
}

func TestRulesBlockTheirNetworkOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.kernel.rules = errBroken
	if err := r.SyncHost(t.Context(), web.ID); err == nil || err.Error() != "set rules: no room" {
		t.Errorf("error %v", err)
	}
	r.records.put(box(0))
	if err := r.Sync(t.Context(), box(0).ID); err != nil {
		t.Errorf("an endpoint needs no new rules: %v", err)
	}
}

func BenchmarkSync(b *testing.B) {
	for _, size := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("endpoints=%d", size), func(b *testing.B) {
			var present []plan.Endpoint
			for i := range size {
				present = append(present, box(i))
			}
			r := newRig(b, present...)
			r.kernel.quiet = true
			joining := box(size)
			left := joining
			left.Joined = false
			for b.Loop() {
				for _, e := range []plan.Endpoint{joining, left} {
					r.records.put(e)
					if err := r.Sync(b.Context(), e.ID); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
