package reconcile_test

import (
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/ndisc"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/nft"
)

// memory is a ledger that outlives the Hosts that use it.
type memory map[string]reconcile.Change

func (m memory) All() (map[string]reconcile.Change, error) { return maps.Clone(m), nil }

func (m memory) Put(name string, c reconcile.Change) error {
	m[name] = c
	return nil
}

func (m memory) Delete(name string) error {
	delete(m, name)
	return nil
}

// node is a host in the test's namespace, with the records that it follows.
type node struct {
	*reconcile.Loop
	host    *reconcile.Host
	conn    *kernel.Conn
	speaker *ndisc.Speaker
	// looked counts how often the whole host was observed.
	looked *atomic.Int64
	// changed is when the host was changed last, as a duration since made.
	made      time.Time
	changed   *atomic.Int64
	networks  []plan.Network
	endpoints map[string]plan.Endpoint
	peers     []plan.Peer
	up        plan.Uplinks
}

func (n *node) Plan() plan.Host {
	n.up = n.host.Uplinks([]string{"auto"})
	host := plan.Build(n.networks, slices.Collect(maps.Values(n.endpoints)), n.up)
	for _, p := range n.peers {
		maps.Copy(host.Objects, plan.ForPeer(p, "auto", n.up).Objects)
	}
	return host
}

func (n *node) PlanOf(endpoint string) plan.Host {
	if host, ok := plan.PeerOf(endpoint); ok {
		i := slices.IndexFunc(n.peers, func(p plan.Peer) bool { return p.Host == host })
		if i < 0 {
			return plan.NewHost()
		}
		return plan.ForPeer(n.peers[i], "auto", n.up)
	}
	e := n.endpoints[endpoint]
	i := slices.IndexFunc(n.networks, func(network plan.Network) bool { return network.ID == e.Network })
	if i < 0 {
		return plan.NewHost()
	}
	return plan.ForEndpoint(n.networks[i], e, n.up)
}

// alive is the node that holds the tables, and the test that opened it.
var alive struct {
	test  testing.TB
	rules *nft.Conn
}

// newNode opens a Host, as a process does when it starts. The test's last node
// in this namespace is dead by then: only one process can own the tables.
func newNode(tb testing.TB, ledger memory, change ...func(*reconcile.HostConfig)) *node {
	tb.Helper()
	conn, err := kernel.Open()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	if alive.test == tb {
		alive.rules.Close()
	}
	rules, err := nft.Open()
	if err != nil {
		tb.Fatal(err)
	}
	alive.test, alive.rules = tb, rules
	tb.Cleanup(func() { rules.Close() })
	log := slog.New(slog.DiscardHandler)
	speaker := ndisc.New(log)
	tb.Cleanup(func() { speaker.Close() })
	config := reconcile.HostConfig{Log: log, Conn: conn, Rules: rules, Speaker: speaker, Ledger: ledger}
	for _, f := range change {
		f(&config)
	}
	n := &node{conn: conn, speaker: speaker, looked: new(atomic.Int64), made: time.Now(), changed: new(atomic.Int64), endpoints: make(map[string]plan.Endpoint)}
	if n.host, err = reconcile.NewHost(config); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { n.host.Close() })
	n.Loop = reconcile.New(counted{n.host, n}, n, reconcile.Period, log)
	return n
}

// counted is a Host that counts passes and notes changes.
type counted struct {
	*reconcile.Host
	node *node
}

func (c counted) Observe(want plan.Host) (plan.Host, error) {
	c.node.looked.Add(1)
	return c.Host.Observe(want)
}

func (c counted) Apply(op plan.Op) error {
	defer func() { c.node.changed.Store(int64(time.Since(c.node.made))) }()
	return c.Host.Apply(op)
}

func (c counted) SetRules(want plan.Host) (bool, error) {
	changed, err := c.Host.SetRules(want)
	if changed {
		c.node.changed.Store(int64(time.Since(c.node.made)))
	}
	return changed, err
}

func checkOnly(c *reconcile.HostConfig) { c.CheckSysctls = true }

// pass makes the whole host match.
func (n *node) pass(tb testing.TB) {
	tb.Helper()
	if err := n.SyncHost(tb.Context(), web.ID); err != nil {
		tb.Fatal(err)
	}
}

// serve makes a network with an endpoint that joined.
func (n *node) serve(tb testing.TB) {
	tb.Helper()
	n.networks = []plan.Network{web}
	n.pass(tb)
	n.sync(tb, box(0))
	e := box(0)
	e.Joining = false
	n.endpoints[e.ID] = e
}

func (n *node) sync(tb testing.TB, e plan.Endpoint) {
	tb.Helper()
	n.endpoints[e.ID] = e
	if err := n.Sync(tb.Context(), e.ID); err != nil {
		tb.Fatal(err)
	}
}

// stop removes all that serve made.
func (n *node) stop(t *testing.T) {
	t.Helper()
	left := box(0)
	left.Joined = false
	n.sync(t, left)
	n.networks, n.endpoints = nil, nil
	n.pass(t)
}

// enter makes a host with two uplinks, of which eth0 has the default route.
func enter(tb testing.TB) {
	tb.Helper()
	nettest.Enter(tb)
	alive.test = nil // the tables of another namespace are others
	nettest.Run(tb,
		"ip link add eth0 type veth peer name lan0",
		"ip link add eth1 type veth peer name lan1",
		"ip link set eth0 addrgenmode none", "ip link set lan0 addrgenmode none",
		"ip link set eth1 addrgenmode none", "ip link set lan1 addrgenmode none",
		"ip link set lan0 up", "ip link set lan1 up", "ip link set eth0 up", "ip link set eth1 up",
		"ip addr add fe80::5/64 dev eth0 nodad",
		"ip addr add 2001:db8::5/64 dev eth0 nodad",
		"ip -6 route add default via fe80::9 dev eth0 proto ra",
	)
}

// carrier matches what says whether a link's other end is up, which the kernel
// notices some time later.
var carrier = regexp.MustCompile(`NO-CARRIER,|,LOWER_UP|,M-DOWN|state \w+ |(linkdown|dead) `)

// observe tells what a host has, for comparison: in no order, because the
// kernel has none for what is added again.
func observe(tb testing.TB) []string {
	tb.Helper()
	text := nettest.Run(tb,
		"ip -o link show", "ip -o addr show", "ip -4 route show table all", "ip -6 route show table all",
		"ip neigh show nud permanent", "ip -6 neigh show proxy", "nft list ruleset",
	) + settings(tb)
	lines := strings.Split(carrier.ReplaceAllString(text, ""), "\n")
	// The kernel derives these from addresses, some time later.
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, "table local") })
	slices.Sort(lines)
	return lines
}

func settings(tb testing.TB) string {
	tb.Helper()
	var lines []string
	for _, link := range []string{"all", "default", "lo", "eth0", "eth1"} {
		for _, key := range []string{"forwarding", "accept_ra", "proxy_ndp"} {
			lines = append(lines, "sysctl net.ipv6.conf."+link+"."+key)
		}
	}
	return nettest.Run(tb, append(lines, "sysctl net.ipv4.ip_forward", "sysctl net.ipv6.neigh.eth0.proxy_delay")...)
}

func expectHost(t *testing.T, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, observe(t)); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}
}
