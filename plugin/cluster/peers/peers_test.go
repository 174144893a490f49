package peers_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/cluster/claim"
	"github.com/ndp6/ndp6/plugin/cluster/peers"
)

const hold = time.Minute

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

var base = netip.MustParsePrefix("2001:db8::/64")

func hello(host string, blocks ...uint64) claim.Hello {
	h := claim.Hello{Host: host, BootID: "b", NextHop: netip.MustParseAddr("fe80::5")}
	for _, i := range blocks {
		h.Prefixes = append(h.Prefixes, inet.Subnet(base, 80, i))
	}
	return h
}

// text is the routes, one a line.
func text(ps *peers.Peers) (s string) {
	routes, _ := ps.Routes(nil)
	for _, r := range routes {
		s += fmt.Sprintf("%s %s via %s\n", r.Host, r.Prefix, r.Via)
	}
	return s
}

func TestStory(t *testing.T) {
	t.Parallel()
	ps := peers.New("self", hold, nil)
	now := start
	check := func(step, want string) {
		t.Helper()
		if diff := cmp.Diff(want, text(ps)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
	}
	both := "a 2001:db8:0:0:1::/80 via fe80::5\nb 2001:db8:0:0:2::/80 via fe80::5\n"
	onlyB := "b 2001:db8:0:0:2::/80 via fe80::5\n"

	ps.Reset(now, []claim.Hello{hello("a", 1), hello("b", 2), hello("self", 3)})
	check("two peers, not ourselves", both)

	ps.Lost("a", now)
	check("a killed plugin", both)
	if due, ok := ps.Due(); !ok || !due.Equal(start.Add(hold)) {
		t.Errorf("due at %s, %t", due, ok)
	}
	now = now.Add(hold - 1)
	if due := ps.Overdue(now); len(due) > 0 {
		t.Errorf("asked too early: %v", due)
	}
	now = now.Add(1)
	if due := ps.Overdue(now); len(due) != 1 || due[0].Host != "a" {
		t.Errorf("to ask: %v", due)
	}
	ps.Asked("a", true, now)
	check("the host answers", both)
	if due := ps.Overdue(now.Add(hold - 1)); len(due) > 0 {
		t.Errorf("asked again too early: %v", due)
	}
	now = now.Add(hold)
	if !ps.Asked("a", false, now) {
		t.Error("a host that does not answer is kept")
	}
	check("the host is dead", onlyB)

	ps.Heard(hello("a", 1))
	check("back", both)
	if ps.Asked("a", false, now) {
		t.Error("an answer that came too late counts")
	}
	check("back before the answer", both)

	leaving := hello("a", 1)
	leaving.Leaving = true
	ps.Heard(leaving)
	check("left", onlyB)
	ps.Lost("a", now)
	check("left, and its lease ends", onlyB)
	ps.Reset(now, nil)
	check("nobody has a lease", onlyB)
	if _, ok := ps.Due(); !ok {
		t.Error("a peer that was lost while nobody looked is kept for ever")
	}
}

// The process may be killed while a hold is under way.
func TestRecordedPeersStay(t *testing.T) {
	t.Parallel()
	ps := peers.New("self", hold, nil)
	ps.Heard(hello("a", 1))
	ps.Heard(hello("b", 2))
	ps.Lost("a", start)
	next := peers.New("self", hold, ps.All())
	if diff := cmp.Diff(text(ps), text(next)); diff != "" {
		t.Errorf("routes of the next process (-want +got):\n%s", diff)
	}
	next.Reset(start.Add(hold/2), []claim.Hello{hello("b", 2)})
	if due, _ := next.Due(); !due.Equal(start.Add(hold)) {
		t.Errorf("the hold begins again: due at %s", due)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	ps := peers.New("self", hold, nil)
	ps.Heard(hello("a", 1, 2))
	ps.Heard(hello("b", 2, 3))
	ps.Heard(hello("c", 4))
	ps.Lost("a", start)
	routes, refused := ps.Routes([]netip.Prefix{inet.Subnet(base, 78, 1)})
	var got []string
	for _, r := range routes {
		got = append(got, "route "+r.Host+" "+r.Prefix.String())
	}
	for _, r := range refused {
		got = append(got, "refused "+r.Host+" "+r.Prefix.String())
	}
	want := []string{
		"route a 2001:db8:0:0:1::/80", "route b 2001:db8:0:0:2::/79",
		"refused c 2001:db8:0:0:4::/80", // in our own 4 to 7
		"refused a 2001:db8:0:0:2::/80", // b has a lease
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

// Whatever happens: no two routes overlap, none overlaps our own, and a host's
// routes go only after it left, or did not answer a hold after its lease ended.
func TestRoutesGoForAReason(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ps := peers.New("self", hold, nil)
		own := []netip.Prefix{inet.Subnet(base, 79, 0)}
		now := start
		hosts := rapid.SampledFrom([]string{"a", "b", "c"})
		lost := make(map[string]time.Time) // by the model
		there := make(map[string]bool)
		t.Repeat(map[string]func(*rapid.T){
			"hello": func(t *rapid.T) {
				h := hello(hosts.Draw(t, "host"), rapid.SliceOfN(rapid.Uint64Range(0, 6), 0, 3).Draw(t, "blocks")...)
				h.Leaving = rapid.IntRange(0, 4).Draw(t, "leaving") == 0
				ps.Heard(h)
				there[h.Host] = !h.Leaving
				delete(lost, h.Host)
			},
			"lost": func(t *rapid.T) {
				host := hosts.Draw(t, "host")
				ps.Lost(host, now)
				if _, already := lost[host]; !already {
					lost[host] = now
				}
			},
			"time": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "s")) * time.Second) },
			"ask": func(t *rapid.T) {
				for _, p := range ps.Overdue(now) {
					if now.Sub(lost[p.Host]) < hold {
						t.Errorf("%s is asked %s after its lease", p.Host, now.Sub(lost[p.Host]))
					}
					if answered := rapid.Bool().Draw(t, "answers"); ps.Asked(p.Host, answered, now) {
						there[p.Host] = false
					}
				}
			},
			"": func(t *rapid.T) {
				all := ps.All()
				for host, want := range there {
					if _, got := all[host]; got != want {
						t.Errorf("peer %s: %t, want %t", host, got, want)
					}
				}
				routes, refused := ps.Routes(own)
				taken := slices.Clone(own)
				for _, r := range routes {
					if inet.CheckOverlap(r.Prefix, taken) != nil {
						t.Errorf("route to %s overlaps one of %v", r.Prefix, taken)
					}
					taken = append(taken, r.Prefix)
				}
				for _, r := range refused {
					if inet.CheckOverlap(r.Prefix, taken) == nil {
						t.Errorf("%s of %s is refused, and free", r.Prefix, r.Host)
					}
				}
			},
		})
	})
}

func BenchmarkRoutes(b *testing.B) {
	ps := peers.New("self", hold, nil)
	wide := netip.MustParsePrefix("2001:db8::/56")
	for i := range uint64(1000) {
		h := claim.Hello{Host: fmt.Sprint(i), NextHop: netip.MustParseAddr("fe80::5")}
		for j := range uint64(100) {
			h.Prefixes = append(h.Prefixes, inet.Subnet(wide, 80, i*10_000+j))
		}
		ps.Heard(h)
	}
	for b.Loop() {
		routes, _ := ps.Routes(nil)
		b.ReportMetric(float64(len(routes)), "routes")
	}
}
