package reconcile_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/driver/request"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// texts are problems with the text of their error, without its moments.
func texts(problems []reconcile.Problem) map[string]string {
	all := make(map[string]string)
	for _, p := range problems {
		all[p.Owner] = p.Err.Error()
	}
	return all
}

func TestProblems(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, box(0), box(1))
		stop := r.run(t)
		defer stop()
		if got := r.Problems(); len(got) > 0 {
			t.Errorf("problems of a host as planned: %v", got)
		}

		t.Log("one endpoint breaks")
		r.kernel.breaks("ndh-00000")
		r.kernel.drift(box(0).ID)
		start := time.Now()
		r.Kick()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		want := []reconcile.Problem{{
			Owner: box(0).ID, Err: errBroken, Attempts: 2,
			Since: start.Add(100 * time.Millisecond),
			Retry: start.Add(3100 * time.Millisecond),
		}}
		if diff := cmp.Diff(want, r.Problems(), cmpopts.EquateErrors()); diff != "" {
			t.Errorf("problems (-want +got):\n%s", diff)
		}

		t.Log("much later, another one that Docker is told of")
		time.Sleep(10 * time.Minute)
		r.kernel.breaks("ndh-")
		r.records.put(box(2))
		if err := r.Sync(request.With(t.Context(), 17), box(2).ID); !errors.Is(err, errBroken) {
			t.Errorf("error %v, want %v", err, errBroken)
		}
		broken := time.Now()
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		for _, p := range r.Problems() {
			if want := map[string]uint64{box(2).ID: 17}[p.Owner]; p.Request != want {
				t.Errorf("problem of %s met by request %d, want %d", p.Owner, p.Request, want)
			}
			if p.Owner == box(2).ID && (p.Since != broken || p.Retry.Sub(broken) > 3*time.Second) {
				t.Errorf("the new problem waits for as long as the old one: %+v", p)
			}
		}

		t.Log("what works again is none any more")
		r.kernel.breaks("")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := r.Problems(); len(got) > 0 {
			t.Errorf("problems: %v", got)
		}
	})
}

func TestProblemsOfAHostThatCannotBeSeen(t *testing.T) {
	t.Parallel()
	r := newRig(t, box(0))
	r.kernel.blind = errBroken
	if err := r.SyncHost(t.Context(), web.ID); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want %v", err, errBroken)
	}
	if diff := cmp.Diff(map[string]string{"": "no room"}, texts(r.Problems())); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	r.records.put(box(1))
	if err := r.Sync(t.Context(), box(1).ID); err != nil {
		t.Errorf("an endpoint needs no look at the host: %v", err)
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, box(0), box(1))
		expect := func(want string) {
			t.Helper()
			ops, err := r.Drift(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, op := range ops {
				got.WriteString(op.Owner + ": " + op.String() + "\n")
			}
			if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got.String()); diff != "" {
				t.Errorf("drift (-want +got):\n%s", diff)
			}
		}
		expect("")
		r.kernel.drift(box(0).ID)
		r.records.remove(box(1).ID)
		expect(`
00000: add neigh 2001:db8::a:0:0:2 lladdr 02:42:00:00:00:00 dev nd-web
00000: add rules ndh-00000 bridge nd-web mac 02:42:00:00:00:00 addr 2001:db8::a:0:0:2
00000: add veth ndh-00000 master nd-web mtu 1500 up
00000: add neigh proxy 2001:db8::a:0:0:2 dev eth0
00001: del neigh proxy 2001:db8::a:0:0:3 dev eth0
00001: del veth ndh-00001 master nd-web mtu 1500 up
00001: del rules ndh-00001 bridge nd-web mac 02:42:00:00:00:01 addr 2001:db8::a:0:0:3
00001: del neigh 2001:db8::a:0:0:3 lladdr 02:42:00:00:00:01 dev nd-web
`)
		r.expect(t, "")

		t.Log("whoever runs the loop is told")
		stop := r.run(t)
		time.Sleep(200 * time.Millisecond)
		stop()
		expect("")
	})
}

// Somebody may make a link of our bridge's name while ours is gone.
func TestForeignLinkHasTheBridgesName(t *testing.T) {
	enter(t)
	n := newNode(t, memory{})
	n.serve(t)
	nettest.Run(t, "ip link del nd-web", "ip link add nd-web type bridge", "ip link set nd-web addrgenmode none")
	foreign := nettest.Run(t, "ip -d link show nd-web", "ip addr show nd-web")

	const cause = `add bridge nd-web: another link has this name (kind "bridge", alias ""): rename or delete it`
	if err := n.SyncHost(t.Context(), web.ID); err == nil || !strings.Contains(err.Error(), cause) {
		t.Errorf("error %v, want %s", err, cause)
	}
	if got := nettest.Run(t, "ip -d link show nd-web", "ip addr show nd-web"); got != foreign {
		t.Errorf("the foreign link was changed from\n%s\nto\n%s", foreign, got)
	}
	if got := nettest.Run(t, "ip -6 route show dev nd-web metric 1024", "ip -6 neigh show dev nd-web nud permanent"); got != "" {
		t.Errorf("on the foreign link there is\n%s", got)
	}
	late := box(1)
	n.endpoints[late.ID] = late
	if err := n.Sync(t.Context(), late.ID); err == nil || !strings.Contains(err.Error(), cause) {
		t.Errorf("join: error %v, want %s", err, cause)
	}
	late.Joined = false
	n.sync(t, late)
	if problems := texts(n.Problems()); len(problems) != 2 || !strings.Contains(problems[web.ID], cause) || !strings.Contains(problems[box(0).ID], cause) {
		t.Errorf("problems %v", problems)
	}

	t.Log("another network works")
	other := plan.Network{ID: "api", Bridge: "nd-api", Uplink: "auto", Pools: []plan.Pool{{Prefix: netip.MustParsePrefix("2001:db8:0:0:b::/80")}}}
	n.networks = append(n.networks, other)
	if err := n.SyncHost(t.Context(), other.ID); err != nil {
		t.Error(err)
	}
	n.sync(t, plan.Endpoint{
		ID: "other", Network: other.ID, MAC: inet.MAC{2, 0x42, 0, 0, 0, 9}, Joined: true, Joining: true,
		Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::b:0:0:9")},
	})

	t.Log("and ours is back when the name is free")
	nettest.Run(t, "ip link del nd-web")
	n.pass(t)
	if missing := shows(t, map[string]string{
		"ip -d link show nd-web": "alias ndp6:network:web", "ip link show ndh-00000": "master nd-web", "ip -6 route show dev nd-web metric 1024": "2001:db8:0:0:a::/80",
	}); missing != "" {
		t.Error(missing)
	}
	if got := n.Problems(); len(got) > 0 {
		t.Errorf("problems: %v", got)
	}
}
