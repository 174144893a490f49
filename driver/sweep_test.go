package driver_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
)

// box is a request for an endpoint of network web with its own address.
func box(id string, number int) *network.CreateEndpointRequest {
	r := createBox(id)
	r.Interface.AddressIPv6 = fmt.Sprintf("2001:db8::a:242:0:%x/80", number)
	r.Interface.MacAddress = fmt.Sprintf("02:42:00:00:00:%02x", number)
	return r
}

// createDB is a request for a second network.
func createDB() *network.CreateNetworkRequest {
	r := createWeb()
	r.NetworkID = "db"
	r.IPv6Data = []*network.IPAMData{pool("2001:db8:0:0:b::/80", "fe80::1/64")}
	return r
}

// known is Docker's answer with these ids, separated by spaces.
func known(networks, endpoints string) driver.Known {
	set := func(words string) map[string]bool {
		ids := make(map[string]bool)
		for id := range strings.FieldsSeq(words) {
			ids[id] = true
		}
		return ids
	}
	return driver.Known{Networks: set(networks), Endpoints: set(endpoints)}
}

func TestSweep(t *testing.T) {
	tests := []struct {
		name  string
		known driver.Known
		want  driver.Swept
		// left are the ids of what stays on record.
		networks, endpoints []string
	}{
		{
			name:     "all known",
			known:    known("web db", "a b"),
			networks: []string{"db", "web"}, endpoints: []string{"a", "b"},
		},
		{
			name:     "endpoint forgotten",
			known:    known("web db", "b"),
			want:     driver.Swept{Endpoints: []string{"a"}},
			networks: []string{"db", "web"}, endpoints: []string{"b"},
		},
		{
			name:     "network forgotten with its endpoints",
			known:    known("db bridge", "x"),
			want:     driver.Swept{Networks: []string{"web"}},
			networks: []string{"db"},
		},
		{
			name: "everything forgotten",
			want: driver.Swept{Networks: []string{"db", "web"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			clean := r.host.holds()
			r.serve(t, createWeb(), createDB())
			r.attach(t, box("a", 2))
			r.attach(t, box("b", 3))
			tt.known.Since = time.Now().Add(time.Nanosecond)
			if diff := cmp.Diff(tt.want, r.Unknown(tt.known)); diff != "" {
				t.Errorf("Unknown (-want +got):\n%s", diff)
			}
			got, err := r.Sweep(t.Context(), tt.known)
			must(t)(err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Sweep (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([][]string{tt.networks, tt.endpoints}, [][]string{r.networks.ids(), r.endpoints.ids()}); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if len(tt.networks) == 0 && r.host.holds() != clean {
				t.Errorf("the host holds\n%s", r.host.holds())
			}
			if again, err := r.Sweep(t.Context(), tt.known); err != nil || len(again.Networks)+len(again.Endpoints) > 0 {
				t.Errorf("Sweep again: %v, %v", again, err)
			}
			// What is gone can be made again.
			if len(tt.networks) < 2 {
				r.serve(t)
				r.attach(t, box("c", 2))
			}
		})
	}
}

// TestSweepAfterRestart forgets what an earlier process recorded: no call has
// been about it in this one.
func TestSweepAfterRestart(t *testing.T) {
	before := newRig(t).serve(t)
	before.attach(t, box("a", 2))
	r := before.restart(t)
	if got, want := r.Addrs(), []netip.Addr{netip.MustParseAddr("2001:db8::a:242:0:2")}; !cmp.Equal(got, want, cmp.Comparer(sameAddr)) {
		t.Errorf("Addrs: %s, want %s", got, want)
	}
	got, err := r.Sweep(t.Context(), driver.Known{Since: time.Now()})
	must(t)(err)
	if diff := cmp.Diff(driver.Swept{Networks: []string{"web"}}, got); diff != "" {
		t.Error(diff)
	}
	if len(r.Addrs()) > 0 {
		t.Errorf("Addrs: %s, want none", r.Addrs())
	}
	if held := r.host.holds(plan.KindBridge, plan.KindVeth, plan.KindProxy, plan.KindRoute); held != "" {
		t.Errorf("the host holds\n%s", held)
	}
}

func sameAddr(a, b netip.Addr) bool { return a == b }

// TestSweepLeavesCallsAlone: Docker has a network or an endpoint only after
// the call that makes it was answered, so an older answer does not count.
func TestSweepLeavesCallsAlone(t *testing.T) {
	t.Run("made since", func(t *testing.T) {
		r := newRig(t)
		asked := driver.Known{Since: time.Now()}
		r.serve(t)
		r.attach(t, box("a", 2))
		r.wantKept(t, asked)
	})
	t.Run("joined since", func(t *testing.T) {
		r := newRig(t).serve(t)
		_, err := r.CreateEndpoint(t.Context(), box("a", 2))
		must(t)(err)
		asked := driver.Known{Since: time.Now(), Networks: map[string]bool{"web": true}}
		_, err = r.Join(t.Context(), joinBox("a"))
		must(t)(err)
		r.wantKept(t, asked)
	})
	t.Run("network being made", func(t *testing.T) {
		r := newRig(t)
		gate := newGate(r.networks)
		r = r.restart(t, func(c *driver.Config) { c.Networks = gate })
		done := make(chan error, 1)
		go func() { done <- r.CreateNetwork(t.Context(), createWeb()) }()
		<-gate.entered
		asked := driver.Known{Since: time.Now()}
		r.wantKept(t, asked)
		close(gate.open)
		must(t)(<-done)
		r.wantKept(t, asked)
	})
	t.Run("endpoint being made", func(t *testing.T) {
		r := newRig(t).serve(t)
		gate := newGate(r.endpoints)
		r = r.restart(t, func(c *driver.Config) { c.Endpoints = gate })
		done := make(chan error, 1)
		go func() {
			_, err := r.CreateEndpoint(t.Context(), box("a", 2))
			done <- err
		}()
		<-gate.entered
		// The call began before Docker was asked, and is not answered yet.
		asked := driver.Known{Since: time.Now(), Networks: map[string]bool{"web": true}}
		r.wantKept(t, asked)
		close(gate.open)
		must(t)(<-done)
		r.wantKept(t, asked)
		later := driver.Known{Since: time.Now().Add(time.Nanosecond), Networks: asked.Networks}
		if diff := cmp.Diff(driver.Swept{Endpoints: []string{"a"}}, r.Unknown(later)); diff != "" {
			t.Error(diff)
		}
	})
}

func (r rig) wantKept(t *testing.T, asked driver.Known) {
	t.Helper()
	got, err := r.Sweep(t.Context(), asked)
	if err != nil || len(got.Networks)+len(got.Endpoints) > 0 {
		t.Errorf("swept %v, %v; want nothing", got, err)
	}
}

// TestSweepErrors: what is forgotten stays forgotten, whatever the kernel says.
func TestSweepErrors(t *testing.T) {
	r := newRig(t).serve(t)
	r.attach(t, box("a", 2))
	r.host.breaks("del veth")
	known := driver.Known{Since: time.Now().Add(time.Nanosecond), Networks: map[string]bool{"web": true}}
	got, err := r.Sweep(t.Context(), known)
	if err == nil || len(got.Endpoints) != 1 || len(r.endpoints.ids()) > 0 {
		t.Errorf("Sweep: %v, %v; records %v", got, err, r.endpoints.ids())
	}
	s, err := r.Status(t.Context())
	must(t)(err)
	if len(s.Problems) != 1 || s.Problems[0].Owner != "a" || len(s.Drift) == 0 {
		t.Errorf("status after it: %+v", s)
	}
}

// TestSweepAmongCalls sweeps without end while containers come and go: none of
// what Docker was told to exist may be lost.
func TestSweepAmongCalls(t *testing.T) {
	r := newRig(t).serve(t)
	stop, swept := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			select {
			case <-stop:
				swept <- nil
				return
			default:
				_, err = r.Sweep(t.Context(), driver.Known{Since: time.Now().Add(-time.Hour), Networks: map[string]bool{"web": true}})
			}
		}
		swept <- err
	}()
	for i := range 100 {
		id := fmt.Sprint("e", i)
		r.attach(t, box(id, 2+i))
		if i%2 == 0 {
			must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "web", EndpointID: id}))
			must(t)(r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "web", EndpointID: id}))
		}
	}
	close(stop)
	must(t)(<-swept)
	if got := len(r.endpoints.ids()); got != 50 {
		t.Errorf("%d endpoints on record, want 50", got)
	}
}

// gate is a bucket whose Put waits.
type gate[T any] struct {
	*bucket[T]
	entered, open chan struct{}
}

func newGate[T any](b *bucket[T]) *gate[T] {
	return &gate[T]{bucket: b, entered: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate[T]) Put(id string, v T) error {
	close(g.entered)
	<-g.open
	return g.bucket.Put(id, v)
}
