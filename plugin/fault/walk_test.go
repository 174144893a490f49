package fault_test

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// TestWalk breaks and kills the process at every operation on the kernel and
// on the store of a container's life: network created, container run and
// stopped, network removed. After each fault Docker undoes what it would undo
// and its user tries again.
func TestWalk(t *testing.T) {
	points := 0
	everyWalk(t, func(t *testing.T, b *bed, f fault, stride int) {
		t.Helper()
		for at := 1; ; at += stride {
			hit := b.live(t, f, at)
			if t.Failed() {
				t.Fatalf("operation %d: %s", at, hit)
			}
			if hit == "" {
				break
			}
			points++
		}
	})
	t.Logf("%d fault points walked", points)
}

// everyWalk walks with every fault, and with both ways to answer and to forward:
// every point where the kernel does both, and some where programs do, as most
// operations are the same there.
func everyWalk(t *testing.T, walk func(t *testing.T, b *bed, f fault, stride int)) {
	t.Helper()
	for _, w := range []struct {
		answering plan.Answering
		options   map[string]string
		stride    int
	}{
		{plan.AnswerKernel, nil, 1},
		{plan.AnswerBPF, map[string]string{"ndp6.datapath": "bpf", "ndp6.host_publish": "off"}, 5},
	} {
		faults := everyFault
		if testing.Short() && w.answering != plan.AnswerKernel {
			faults = everyFault[3:]
		}
		for _, f := range faults {
			t.Run(string(w.answering)+"/"+f.name, func(t *testing.T) {
				b := newBed(t)
				b.answering, b.options = w.answering, w.options
				walk(t, b, f, w.stride*stride())
			})
		}
	}
}

// stride is how far apart the walked points are: 1, more with -short.
func stride() int {
	if testing.Short() {
		return 9
	}
	return 1
}

// A bed is a host with an uplink, a sandbox for containers, and a store.
type bed struct {
	dir, host, sandbox string
	answering          plan.Answering
	options            map[string]string // of networks
	before             []string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	nettest.Enter(t)
	nettest.Run(t,
		"ip link add eth0 type veth peer name lan0",
		"ip link set eth0 addrgenmode none", "ip link set lan0 addrgenmode none",
		"ip link set lan0 up", "ip link set eth0 up",
		"ip addr add fe80::5/64 dev eth0 nodad", "ip addr add 2001:db8::5/64 dev eth0 nodad",
		"ip -6 route add default via fe80::9 dev eth0 proto ra",
	)
	// The kernel notices some time later that a link's other end is up.
	for _, route := range []string{"2001:db8::5 dev eth0", "fe80::5 dev eth0", "ff00::/8 dev eth0", "ff00::/8 dev lan0"} {
		for !strings.Contains(nettest.Run(t, "ip -6 route show table local"), route) {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return &bed{
		dir: t.TempDir(), sandbox: nettest.Another(t), before: settled(t),
		host: fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid()),
	}
}

// live lives through one container's life with one fault, and returns the
// operation that was broken, if it came to that.
func (b *bed) live(t *testing.T, f fault, at int) (hit string) {
	t.Helper()
	p := b.start(t)
	defer func() { p.end() }()
	d := &docker{tb: t, host: b.host, sandbox: b.sandbox, options: b.options}
	d.post = func(method, body string) (int, string) {
		status, answer := p.post(method, body)
		if p.faults.killed() {
			p.end()
			p = b.start(t)
			return 0, ""
		}
		return status, answer
	}
	first := p.faults
	check := func(when string) {
		t.Helper()
		hit = first.struck()
		if hit != "" {
			p.sweep(t, d)
		}
		p.check(t, d, when)
	}
	again := func(what string, do func() error) {
		t.Helper()
		err := do()
		check("after " + what)
		if err != nil {
			if err := do(); err != nil {
				t.Errorf("second %s: %v", what, err)
			}
			check("after the second " + what)
		}
	}

	first.arm(f, at)
	again("network create", d.createNetwork)
	again("run", d.run)
	d.stop()
	check("after stop")
	d.removeNetwork()
	check("after network rm")
	if hit != "" {
		p.end()
		p = b.start(t)
		check("after one more restart")
	}
	if diff := differs(t, b.before); diff != "" {
		t.Errorf("host (-before +after):\n%s", diff)
	}
	if left := p.records(t); len(left) > 0 {
		t.Errorf("records left: %v", left)
	}
	if t.Failed() {
		t.Log("calls that failed:\n" + strings.Join(d.crossed, "\n"))
	}
	return hit
}

// sweep does what the process does by itself after something went wrong: a
// pass over the host, and forgetting what Docker does not know.
func (p *process) sweep(t *testing.T, d *docker) {
	t.Helper()
	if err := p.driver.Restore(t.Context()); err != nil {
		t.Errorf("restore: %v", err)
	}
	// Whatever Docker was asked about last is long ago.
	since := time.Now().Add(time.Hour)
	if _, err := p.driver.Sweep(t.Context(), driver.Known{
		Since: since, Networks: map[string]bool{d.network: true}, Endpoints: map[string]bool{d.endpoint: true},
	}); err != nil {
		t.Errorf("sweep networks and endpoints: %v", err)
	}
	used := ipam.Known{Since: since, Pools: map[netip.Prefix]bool{}, Addrs: map[netip.Addr]bool{}}
	for _, lent := range d.pools {
		used.Pools[netip.MustParsePrefix(lent.prefix)] = true
	}
	for _, addr := range p.driver.Addrs() {
		used.Addrs[addr] = true
	}
	if _, err := p.ipam.Sweep(used); err != nil {
		t.Errorf("sweep pools and leases: %v", err)
	}
}

// check compares the kernel with the plan, and the records with what Docker knows.
func (p *process) check(t *testing.T, d *docker, when string) {
	t.Helper()
	if diff := cmp.Diff(d.knows(), p.records(t)); diff != "" {
		t.Errorf("%s: records (-known to docker +kept):\n%s", when, diff)
	}
	p.checkHost(t, when)
}

// checkHost compares the kernel with the plan.
func (p *process) checkHost(t *testing.T, when string) {
	t.Helper()
	if err := p.host.Refresh(); err != nil {
		t.Fatal(err)
	}
	want := p.driver.Plan()
	have, err := p.host.Observe(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range plan.Diff(have, want) {
		t.Errorf("%s: kernel is not as planned: %s", when, op)
	}
	if changed, err := p.host.SetRules(want); err != nil || changed {
		t.Errorf("%s: rules were not as planned (changed %t, error %v)", when, changed, err)
	}
}

// records lists the ids of networks, endpoints, pools and leases, and of the
// sysctls that are changed for no network.
func (p *process) records(t *testing.T) []string {
	t.Helper()
	var ids []string
	ids = append(ids, keys(t, p.networks.All)...)
	if len(ids) == 0 {
		ids = keys(t, p.sysctls.All)
	}
	ids = append(ids, keys(t, p.endpoints.All)...)
	ids = append(ids, keys(t, p.pools.All)...)
	ids = append(ids, keys(t, p.leases.All)...)
	slices.Sort(ids)
	return ids
}

func keys[T any](t *testing.T, all func() (map[string]T, error)) []string {
	t.Helper()
	m, err := all()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(maps.Keys(m))
}

// carrier matches what follows from whether a link's other end is up, which the
// kernel notices some time later.
var carrier = regexp.MustCompile(`NO-CARRIER,|,LOWER_UP|,M-DOWN|state \w+ |(linkdown|dead) |(?m)^multicast ff00::/8 .*\n`)

// observe tells what a host has, for comparison: in no order, because the
// kernel has none for what is added again.
func observe(t *testing.T) []string {
	t.Helper()
	text := nettest.Run(t,
		"ip -o link show", "ip -o addr show", "ip -4 route show table all", "ip -6 route show table all",
		"ip neigh show nud permanent", "ip -6 neigh show proxy", "nft list ruleset", "tc qdisc show dev eth0",
	)
	lines := strings.Split(carrier.ReplaceAllString(text, ""), "\n")
	for _, name := range sysctls {
		value, err := os.ReadFile("/proc/sys/" + name)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, name+" = "+strings.TrimSpace(string(value)))
	}
	slices.Sort(lines)
	return lines
}

// settled observes a host until two looks agree: the kernel adds the local
// route of an address some time after the address.
func settled(t *testing.T) []string {
	t.Helper()
	for last := observe(t); ; {
		time.Sleep(20 * time.Millisecond) // The kernel's work queue has no event.
		now := observe(t)
		if slices.Equal(last, now) {
			return now
		}
		last = now
	}
}

// differs compares a host with what it should be, for as long as it may take
// to settle.
func differs(t *testing.T, want []string) string {
	t.Helper()
	deadline := time.Now().Add(2 * time.Second)
	for {
		diff := cmp.Diff(want, observe(t))
		if diff == "" || time.Now().After(deadline) {
			return diff
		}
	}
}

var sysctls = func() []string {
	names := []string{"net/ipv4/ip_forward", "net/ipv6/neigh/eth0/proxy_delay"}
	for _, link := range []string{"all", "default", "lo", "eth0", "lan0"} {
		for _, key := range []string{"forwarding", "accept_ra", "proxy_ndp"} {
			names = append(names, "net/ipv6/conf/"+link+"/"+key)
		}
	}
	return names
}()
