package reconcile_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// BenchmarkRepair is how long the host is other than planned: from the last
// command of a harm to the last change that repairs it. Where nothing has to be
// repaired, because nothing is taken, it is 0. Each round is a host of its own.
func BenchmarkRepair(b *testing.B) {
	for _, h := range harms() {
		b.Run(h.name, func(b *testing.B) {
			measureRepairs(b, func() time.Duration { return repair(b, h) })
		})
	}
	for _, m := range moves() {
		b.Run("announced after "+m.name, func(b *testing.B) {
			measureRepairs(b, func() time.Duration { return announce(b, m) })
		})
	}
}

// phase is how long the loop rests between two looks, which come at any moment
// of it.
const phase = 500 * time.Millisecond

func measureRepairs(b *testing.B, once func() time.Duration) {
	b.Helper()
	var took []time.Duration
	for b.Loop() {
		took = append(took, once())
	}
	b.ReportMetric(milliseconds(percentile(took, 50)), "p50-ms")
	b.ReportMetric(milliseconds(slices.Max(took)), "max-ms")
	b.ReportMetric(0, "ns/op")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// repair makes a host, does it harm, and returns how long the repair took.
func repair(b *testing.B, h harm) time.Duration {
	b.Helper()
	enter(b)
	n := newNode(b, memory{})
	n.serve(b)
	defer n.run(b)()
	before := observe(b)
	<-time.After(rand.N(phase))
	last := len(h.damage) - 1
	n.damage(b, h.damage[:last]...)
	begin := time.Since(n.made)
	n.damage(b, h.damage[last])
	for time.Since(n.made)-begin < patience {
		missing := h.missing(b, before)
		if missing != "" {
			continue
		}
		n.rest(b)
		if missing = h.missing(b, before); missing == "" {
			return max(0, time.Duration(n.changed.Load())-begin)
		}
	}
	b.Fatalf("not repaired within %v:\n%s", patience, h.missing(b, before))
	return 0
}

// announce does the same for what neighbors are told.
func announce(b *testing.B, m move) time.Duration {
	b.Helper()
	enter(b)
	nettest.Run(b, "ip link set eth0 address 02:42:00:00:00:05")
	n := newNode(b, memory{})
	n.serve(b)
	n.speaker.Silence(box(0).Addrs[0])
	defer n.run(b)()
	conn := listen(b, "lan0")
	mac, err := net.ParseMAC(m.mac)
	if err != nil {
		b.Fatal(err)
	}
	last := len(m.damage) - 1
	n.damage(b, m.damage[:last]...)
	begin := time.Now()
	n.damage(b, m.damage[last])
	for announced(b, conn, box(0).Addrs[0], mac) != "" {
	}
	return time.Since(begin)
}

// BenchmarkRepairMany is how long it takes until all proxy entries of many
// endpoints are back after all were taken.
func BenchmarkRepairMany(b *testing.B) {
	const size = 10_000
	flush := func(b *testing.B, n *node) {
		b.Helper()
		entries, err := n.conn.Proxies(nil)
		for _, e := range entries {
			err = errors.Join(err, n.conn.DeleteNeighbor(e))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	fall := func(b *testing.B, n *node) {
		b.Helper()
		n.damage(b, append([]string{"ip link set eth0 down", "ip link set eth0 up"}, advertised...)...)
	}
	for _, a := range []addressing{packed, random} {
		for name, harm := range map[string]func(*testing.B, *node){"proxy entries deleted": flush, "uplink down and up": fall} {
			b.Run(fmt.Sprintf("%s/%s/endpoints=%d", name, a.name, size), func(b *testing.B) {
				enter(b)
				n := newNode(b, memory{})
				crowd(b, n, a, size)
				defer n.run(b)()
				measureRepairs(b, func() time.Duration { return n.repairMany(b, harm) })
			})
		}
	}
}

// repairMany does harm to all proxy entries and returns how long the repair took.
func (n *node) repairMany(b *testing.B, harm func(*testing.B, *node)) time.Duration {
	b.Helper()
	size := len(n.endpoints)
	before, changed := time.Since(n.made), n.changed.Load()
	harm(b, n)
	begin := time.Since(n.made)
	for n.changed.Load() == changed || n.proxies(b) != size {
		if time.Since(n.made)-begin > patience {
			b.Fatalf("%d entries after %v, want %d", n.proxies(b), patience, size)
		}
		<-time.After(time.Millisecond)
	}
	n.rest(b)
	if got := n.proxies(b); got != size {
		b.Fatalf("%d entries, want %d", got, size)
	}
	took := max(0, time.Duration(n.changed.Load())-begin)
	b.Logf("taken within %v, back within %v", begin-before, took)
	for _, e := range n.endpoints {
		n.speaker.Silence(e.Addrs[0]) // else it speaks during the next round
	}
	return took
}

// proxies counts the entries of ours on the host.
func (n *node) proxies(tb testing.TB) (count int) {
	tb.Helper()
	entries, err := n.conn.Proxies(nil)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if e.Protocol == plan.Protocol {
			count++
		}
	}
	return count
}
