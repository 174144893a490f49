package cluster_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/cluster"
	"github.com/ndp6/ndp6/plugin/cluster/peers"
	"github.com/ndp6/ndp6/plugin/etcd"
	"github.com/ndp6/ndp6/plugin/etcd/etcdtest"
)

func TestMain(m *testing.M) { os.Exit(etcdtest.Main(m)) }

var (
	space64 = netip.MustParsePrefix("2001:db8::/74") // of 64 blocks
	link64  = netip.MustParsePrefix("2001:db8:0:1::/64")
)

// A node is a host of a test.
type node struct {
	*cluster.Member
	records *records
	news    chan struct{} // something of peers changed
	stop    func()
}

type options struct {
	boot        string
	nextHop     string
	lease, hold time.Duration
	held        []netip.Prefix
	answers     func() bool
	busy        bool
	records     *records
	// patience is a minute where it is 0: tests run side by side.
	patience time.Duration
}

// join starts a member, which stops at the test's end at the latest.
func join(tb testing.TB, server *etcdtest.Server, host string, o options) *node {
	tb.Helper()
	client, err := etcd.New(etcd.Config{Endpoints: []string{server.URL}})
	if err != nil {
		tb.Fatal(err)
	}
	if o.boot == "" {
		o.boot = "boot of " + host
	}
	if o.nextHop == "" {
		o.nextHop = "fe80::5"
	}
	if o.lease == 0 {
		o.lease, o.hold = time.Minute, time.Minute
	}
	if o.records == nil {
		o.records = &records{all: make(map[string]peers.Peer)}
	}
	n := &node{news: make(chan struct{}, 1), records: o.records}
	n.Member, err = cluster.New(cluster.Config{
		Log: slog.New(slog.DiscardHandler), Etcd: client,
		Host: host, Name: "name of " + host, BootID: o.boot, Lease: o.lease, Hold: o.hold,
		Patience: cmp.Or(o.patience, time.Minute),
		NextHop:  func() (netip.Addr, error) { return netip.MustParseAddr(o.nextHop), nil },
		Answers:  func(context.Context, netip.Addr) bool { return o.answers != nil && o.answers() },
		Changed: func(context.Context, []string) {
			select {
			case n.news <- struct{}{}:
			default:
			}
		},
		Busy:  func() bool { return o.busy },
		Peers: o.records,
	})
	if err != nil {
		tb.Fatal(err)
	}
	n.Hold(o.held)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("Run = %v", err)
		}
		client.Close()
	})
	tb.Cleanup(n.stop)
	return n
}

// records are Records in memory.
type records struct {
	mu  sync.Mutex
	all map[string]peers.Peer
}

func (r *records) All() (map[string]peers.Peer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.all), nil
}

func (r *records) Put(host string, p peers.Peer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[host] = p
	return nil
}

func (r *records) Delete(host string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, host)
	return nil
}

// routes are the node's routes, one a line.
func (n *node) routes() string {
	var b strings.Builder
	for _, r := range n.Routes(nil) {
		fmt.Fprintf(&b, "%s %s via %s\n", r.Host, r.Prefix, r.Via)
	}
	return b.String()
}

// await waits until the node has these routes.
func (n *node) await(t *testing.T, step, want string) {
	t.Helper()
	for end := time.After(time.Minute); n.routes() != want; {
		select {
		case <-n.news:
		case <-end:
			t.Fatalf("%s: routes are\n%swant\n%s", step, n.routes(), want)
		}
	}
}

func claim(t *testing.T, n *node, base netip.Prefix) netip.Prefix {
	t.Helper()
	p, err := n.Claim(t.Context(), base, 80, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lines are the routes to one block of each host, in order.
func lines(hops map[string]netip.Prefix) string {
	var all []string
	for host, p := range hops {
		all = append(all, p.String()+"|"+fmt.Sprintf("%s %s via fe80::5\n", host, p))
	}
	slices.SortFunc(all, func(a, b string) int {
		p, _, _ := strings.Cut(a, "|")
		q, _, _ := strings.Cut(b, "|")
		return netip.MustParsePrefix(p).Compare(netip.MustParsePrefix(q))
	})
	var b strings.Builder
	for _, l := range all {
		_, line, _ := strings.Cut(l, "|")
		b.WriteString(line)
	}
	return b.String()
}

// T6 and T15 of the design: 50 hosts claim at once from 64 blocks, and then all
// that is left, until nothing is.
func TestClaimAtOnce(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	const hosts = 50
	nodes := make([]*node, hosts)
	for i := range nodes {
		nodes[i] = join(t, server, fmt.Sprintf("host%02d", i), options{})
	}
	var mu sync.Mutex
	holders := make(map[netip.Prefix]int)
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			p, err := n.Claim(t.Context(), space64, 80, nil)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("host %d: %v", i, err)
				return
			}
			if other, taken := holders[p]; taken {
				t.Errorf("hosts %d and %d have %s", i, other, p)
			}
			holders[p] = i
		})
	}
	wg.Wait()
	all, err := nodes[0].Claims(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != hosts || len(holders) != hosts {
		t.Fatalf("%d claims in etcd, %d given", len(all), len(holders))
	}
	for _, c := range all {
		if i, ok := holders[c.Prefix]; !ok || c.Host != fmt.Sprintf("host%02d", i) || c.Base != space64 || !c.Alive || c.Unused {
			t.Errorf("claim %+v is host %d's", c, i)
		}
	}

	// The first and the last block are not given.
	for range 62 - hosts {
		p := claim(t, nodes[7], space64)
		if _, taken := holders[p]; taken {
			t.Errorf("%s is given twice", p)
		}
		holders[p] = 7
	}
	_, err = nodes[8].Claim(t.Context(), space64, 80, nil)
	if !errors.Is(err, inet.ErrConflict) || !strings.Contains(err.Error(), "base 2001:db8::/74") || !strings.Contains(err.Error(), "name of host07 (13), name of host00 (1)") {
		t.Errorf("base exhausted: %v", err)
	}
	nodes[7].Release(all[0].Prefix) // not its own: nothing happens
	own := slices.Sorted(func(yield func(string) bool) {
		for p, i := range holders {
			if i == 7 && !yield(p.String()) {
				return
			}
		}
	})
	freed := netip.MustParsePrefix(own[0])
	nodes[7].Release(freed)
	for {
		all, err := nodes[8].Claims(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 61 {
			break
		}
	}
	if p := claim(t, nodes[8], space64); p != freed {
		t.Errorf("claimed %s, want %s, which was given back", p, freed)
	}
}

// A base of 4,096 blocks of which one is free, behind all others.
func TestClaimTheLastBlock(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	client, err := etcd.New(etcd.Config{Endpoints: []string{server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	base := netip.MustParsePrefix("2001:db8::/68")
	const free = 1<<12 - 2 // the last but one
	if err := etcdtest.Fill(t.Context(), client, base, 1, free-1, netip.MustParseAddr("fe80::7")); err != nil {
		t.Fatal(err)
	}
	n := join(t, server, "a", options{})
	want := inet.Subnet(base, 80, free)
	if got := claim(t, n, base); got != want {
		t.Errorf("claimed %s, want %s", got, want)
	}
	if _, err := n.Claim(t.Context(), base, 80, nil); !errors.Is(err, inet.ErrConflict) || !strings.Contains(err.Error(), "peer0000 (4093), name of a (1)") {
		t.Errorf("base exhausted: %v", err)
	}
}

// Blocks of several lengths share a base.
func TestClaimLengths(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	a, b := join(t, server, "a", options{}), join(t, server, "b", options{})
	var taken []netip.Prefix
	for i := range 24 {
		n := []*node{a, b}[i%2]
		p, err := n.Claim(t.Context(), netip.MustParsePrefix("2001:db8::/70"), 76+2*(i%3), []netip.Prefix{netip.MustParsePrefix("2001:db8:0:0:80::/74")})
		if err != nil {
			t.Fatal(err)
		}
		if err := inet.CheckOverlap(p, taken); err != nil {
			t.Errorf("claim %d: %v", i, err)
		}
		if netip.MustParsePrefix("2001:db8:0:0:80::/74").Overlaps(p) {
			t.Errorf("claim %d, %s, overlaps what the host uses", i, p)
		}
		taken = append(taken, p)
	}
	// A base inside a block that somebody has.
	inside := netip.PrefixFrom(taken[0].Addr(), 84)
	if _, err := b.Claim(t.Context(), inside, 84, nil); !errors.Is(err, inet.ErrConflict) {
		t.Errorf("claimed inside %s: %v", taken[0], err)
	}
}

// The process may die between claiming and recording.
func TestClaimIsFoundAgain(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	first := join(t, server, "a", options{busy: true})
	p, q := claim(t, first, link64), claim(t, first, link64)
	first.stop()

	second := join(t, server, "a", options{held: []netip.Prefix{q}})
	all, err := second.Claims(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Unused != (c.Prefix == p) {
			t.Errorf("%s is unused: %t", c.Prefix, c.Unused)
		}
	}
	if got := claim(t, second, link64); got != p {
		t.Errorf("claimed %s, want %s of before", got, p)
	}
	if got := claim(t, second, link64); got == p || got == q {
		t.Errorf("claimed %s twice", got)
	}
	if err := second.ClaimThis(t.Context(), link64, p); err == nil {
		t.Error("a block that a network has is given again")
	}
	other := join(t, server, "b", options{})
	if err := other.ClaimThis(t.Context(), link64, q); !errors.Is(err, inet.ErrConflict) || !strings.Contains(err.Error(), "host a has "+q.String()) {
		t.Errorf("another's block: %v", err)
	}
	third := join(t, server, "c", options{})
	if err := third.ClaimThis(t.Context(), link64, netip.MustParsePrefix("2001:db8:0:1:4444::/80")); err != nil {
		t.Error(err)
	}
}

// Running networks go on while etcd is away; new claims say why they cannot.
func TestEtcdAway(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	const patience = time.Second
	a, b := join(t, server, "a", options{}), join(t, server, "b", options{patience: patience})
	p := claim(t, a, link64)
	want := lines(map[string]netip.Prefix{"a": p})
	b.await(t, "claimed", want)

	server.Kill()
	for a.Status().Connected || b.Status().Connected {
		time.Sleep(time.Millisecond)
	}
	begin := time.Now()
	_, err := b.Claim(t.Context(), link64, 80, nil)
	if d := time.Since(begin); err == nil || d > 10*patience {
		t.Errorf("claim without etcd took %s: %v", d, err)
	} else if text := err.Error(); !strings.Contains(text, server.URL) || !strings.Contains(text, "new ones need etcd") {
		t.Errorf("claim without etcd: %v", err)
	}
	if got := b.routes(); got != want {
		t.Errorf("routes without etcd:\n%s", got)
	}
	a.Release(p) // as soon as etcd is back
	// A process that starts now knows what the last one did.
	next := join(t, server, "c", options{records: b.records})
	if got := next.routes(); got != want {
		t.Errorf("routes of a new process:\n%s", got)
	}

	server.Restart(t)
	b.await(t, "given back", "")
	b.stop()
	b = join(t, server, "b", options{})
	claim(t, b, link64)
	if all, err := b.Claims(t.Context()); err != nil || len(all) != 1 || all[0].Host != "b" {
		t.Errorf("claims: %+v, %v", all, err)
	}
}

// A process that is told to stop does not wait for an etcd that keeps silent.
func TestStopWithoutAnswer(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	n := join(t, server, "a", options{})
	claim(t, n, link64)
	server.Signal(t, syscall.SIGSTOP)
	defer server.Signal(t, syscall.SIGCONT)
	begin := time.Now()
	n.stop()
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("stopped after %s", d)
	}
}
