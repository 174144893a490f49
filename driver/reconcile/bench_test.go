package reconcile_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
)

// crowd makes the network with that many endpoints as an earlier process left
// them. They have neighbors and proxy entries, but no veth pairs: those cost
// the fixture most and a Sync nothing.
func crowd(tb testing.TB, n *node, size int) {
	tb.Helper()
	n.networks = []plan.Network{web}
	for i := range size {
		e := resident(i)
		n.endpoints[e.ID] = e
	}
	n.pass(tb)
	for _, e := range n.endpoints {
		n.speaker.Silence(e.Addrs[0]) // else it speaks while others are measured
	}
}

// resident is an endpoint whose address is that of its MAC, as random as
// Docker's: no two share a solicited-node group, which is the worst case.
func resident(i int) plan.Endpoint {
	low := uint32(i) * 2654435761 //nolint:gosec // a spread, not a number.
	mac := inet.MAC{2, 0x42, byte(low >> 24), byte(low >> 16), byte(low >> 8), byte(low)}
	addr, err := inet.EmbedMAC(web.Pools[0].Prefix, mac)
	if err != nil {
		panic(err)
	}
	return plan.Endpoint{ID: fmt.Sprintf("%08d", i), Network: web.ID, MAC: mac, Joined: true, Addrs: []netip.Addr{addr}}
}

// BenchmarkDrifted is what a look costs, which Run takes twice a second.
func BenchmarkDrifted(b *testing.B) {
	for _, size := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("endpoints=%d", size), func(b *testing.B) {
			enter(b)
			n := newNode(b, memory{})
			crowd(b, n, size)
			before := cpu(b)
			for b.Loop() {
				if drifted, err := n.host.Drifted(); drifted || err != nil {
					b.Fatalf("drifted %v, error %v", drifted, err)
				}
			}
			const period = 500 * time.Millisecond
			used := (cpu(b) - before) / time.Duration(b.N)
			b.ReportMetric(float64(used.Nanoseconds()), "cpu-ns/op")
			b.ReportMetric(100*float64(used)/float64(period), "%CPU")
		})
	}
}

// cpu returns the CPU time of the process, which a busy machine does not lengthen.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkSyncLatency is what docker run and docker stop wait for, at the
// real kernel: of two hosts in turn, so that whatever else the machine does
// disturbs both alike.
func BenchmarkSyncLatency(b *testing.B) {
	const small, large = 10, 10_000
	join, leave := make(map[int][]time.Duration), make(map[int][]time.Duration)
	nodes := make(map[int]*node)
	for _, size := range []int{small, large} {
		enter(b)
		n := newNode(b, memory{})
		crowd(b, n, size)
		n.attach(b, resident(size)) // opens its sockets in its namespace
		n.detach(b, resident(size))
		nodes[size] = n
	}
	for i := 0; b.Loop(); i++ {
		for size, n := range nodes {
			e := resident(size + i%1000)
			begin := time.Now()
			n.attach(b, e)
			joined := time.Now()
			n.detach(b, e)
			join[size] = append(join[size], joined.Sub(begin))
			leave[size] = append(leave[size], time.Since(joined))
		}
	}
	for _, m := range []struct {
		name string
		took map[int][]time.Duration
	}{{"join", join}, {"leave", leave}} {
		few, many := p99(m.took[small]), p99(m.took[large])
		b.ReportMetric(float64(few.Microseconds()), m.name+"-p99-us-at-10")
		b.ReportMetric(float64(many.Microseconds()), m.name+"-p99-us-at-10000")
		b.ReportMetric(float64(many)/float64(few), m.name+"-ratio")
	}
	b.ReportMetric(0, "ns/op")
}

func (n *node) attach(tb testing.TB, e plan.Endpoint) {
	tb.Helper()
	e.Joining = true
	n.sync(tb, e)
}

func (n *node) detach(tb testing.TB, e plan.Endpoint) {
	tb.Helper()
	e.Joined = false
	n.sync(tb, e)
}

func p99(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)*99/100]
}

// BenchmarkLeaves is a host's end: 100 containers that stop at once.
func BenchmarkLeaves(b *testing.B) {
	const containers = 100
	enter(b)
	n := newNode(b, memory{})
	n.networks = []plan.Network{web}
	n.pass(b)
	for b.Loop() {
		b.StopTimer()
		for i := range containers {
			e := resident(i)
			e.Joining = true
			n.sync(b, e)
		}
		for id, e := range n.endpoints {
			e.Joined = false
			n.endpoints[id] = e
		}
		b.StartTimer()
		var wg sync.WaitGroup
		for id := range n.endpoints {
			wg.Go(func() {
				if err := n.Sync(b.Context(), id); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
}
