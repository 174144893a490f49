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

// An addressing says which address the endpoint of a number has.
type addressing struct {
	name string
	mac  func(i int) inet.MAC
}

var (
	// random is that of --iid mac with Docker's random MACs: hardly two
	// addresses share a solicited-node group, and Linux walks all groups of the
	// uplink for each change.
	random = addressing{"iid=mac", func(i int) inet.MAC {
		low := uint32(i) * 2654435761
		return inet.MAC{2, 0x42, byte(low >> 24), byte(low >> 16), byte(low >> 8), byte(low)}
	}}
	// packed is that of --iid packed: all addresses share 32 groups.
	packed = addressing{"iid=packed", func(i int) inet.MAC {
		return inet.MAC{byte(i >> 16), byte(i >> 8), byte(i), 0, 0, byte(i % 32)}
	}}
)

func (a addressing) endpoint(i int) plan.Endpoint {
	addr, err := inet.EmbedMAC(web.Pools[0].Prefix, a.mac(i))
	if err != nil {
		panic(err)
	}
	return plan.Endpoint{ID: fmt.Sprintf("%08d", i), Network: web.ID, MAC: random.mac(i), Joined: true, Addrs: []netip.Addr{addr}}
}

// crowd makes the network with that many endpoints as an earlier process left
// them. They have neighbors and proxy entries, but no veth pairs: those cost
// the fixture most and a Sync nothing.
func crowd(tb testing.TB, n *node, a addressing, size int) {
	tb.Helper()
	crowdOn(tb, n, web, a, size)
}

// crowdOn is crowd with another network, whose id and pools are those of web.
func crowdOn(tb testing.TB, n *node, network plan.Network, a addressing, size int) {
	tb.Helper()
	n.networks = []plan.Network{network}
	for i := range size {
		e := a.endpoint(i + 1)
		n.endpoints[e.ID] = e
	}
	n.pass(tb)
	for _, e := range n.endpoints {
		n.speaker.Silence(e.Addrs[0]) // else it speaks while others are measured
	}
}

// BenchmarkDrifted is what a look costs, which Run takes twice a second.
func BenchmarkDrifted(b *testing.B) {
	everyCrowd(b, func(b *testing.B, n *node) {
		b.Helper()
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

// BenchmarkPass is how long a pass over a correct host keeps calls waiting.
func BenchmarkPass(b *testing.B) {
	everyCrowd(b, func(b *testing.B, n *node) {
		b.Helper()
		before := cpu(b)
		for b.Loop() {
			n.pass(b)
		}
		b.ReportMetric(float64((cpu(b)-before)/time.Duration(b.N))/1e6, "cpu-ms/op")
	})
}

// everyCrowd measures hosts with few and with many endpoints, with each
// responder. They have many addresses in few groups, which are made faster.
func everyCrowd(b *testing.B, measure func(*testing.B, *node)) {
	b.Helper()
	for _, r := range responders() {
		for _, size := range []int{10, 10_000} {
			b.Run(fmt.Sprintf("responder=%s/endpoints=%d", r.name, size), func(b *testing.B) {
				enter(b)
				n := newNode(b, memory{}, r.choose)
				crowd(b, n, packed, size)
				measure(b, n)
			})
		}
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
	for _, a := range []addressing{packed, random} {
		b.Run(a.name, func(b *testing.B) { benchmarkSyncLatency(b, a) })
	}
}

func benchmarkSyncLatency(b *testing.B, a addressing) {
	b.Helper()
	const few, many = 10, 10_000
	sizes := []int{few, many}
	join, leave := make(map[int][]time.Duration), make(map[int][]time.Duration)
	nodes := make(map[int]*node)
	for _, size := range sizes {
		enter(b)
		n := newNode(b, memory{})
		crowd(b, n, a, size)
		n.attach(b, a.endpoint(size+1)) // opens its sockets in its namespace
		n.detach(b, a.endpoint(size+1))
		nodes[size] = n
	}
	for i := 0; b.Loop(); i++ {
		for _, size := range sizes {
			e := a.endpoint(size + 1 + i%1000)
			begin := time.Now()
			nodes[size].attach(b, e)
			joined := time.Now()
			nodes[size].detach(b, e)
			join[size] = append(join[size], joined.Sub(begin))
			leave[size] = append(leave[size], time.Since(joined))
		}
	}
	all := make(map[int][]time.Duration)
	for _, size := range sizes {
		all[size] = slices.Concat(join[size], leave[size])
	}
	for _, m := range []struct {
		name string
		took map[int][]time.Duration
	}{{"sync", all}, {"join", join}, {"leave", leave}} {
		for name, percent := range map[string]int{"p50": 50, "p99": 99} {
			at10, at10000 := percentile(m.took[few], percent), percentile(m.took[many], percent)
			b.ReportMetric(float64(at10.Microseconds()), m.name+"-"+name+"-us-at-10")
			b.ReportMetric(float64(at10000.Microseconds()), m.name+"-"+name+"-us-at-10000")
			b.ReportMetric(float64(at10000)/float64(at10), m.name+"-"+name+"-ratio")
		}
	}
	b.ReportMetric(0, "ns/op")
}

func percentile(of []time.Duration, percent int) time.Duration {
	slices.Sort(of)
	return of[len(of)*percent/100]
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
			e := random.endpoint(i)
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
