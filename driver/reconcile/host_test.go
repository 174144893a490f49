package reconcile_test

import (
	"log/slog"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

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
	host      *reconcile.Host
	networks  []plan.Network
	endpoints map[string]plan.Endpoint
	up        plan.Uplinks
}

func (n *node) Plan() plan.Host {
	n.up = n.host.Uplinks([]string{"auto"})
	return plan.Build(n.networks, slices.Collect(maps.Values(n.endpoints)), n.up)
}

func (n *node) PlanOf(endpoint string) plan.Host {
	return plan.ForEndpoint(n.networks[0], n.endpoints[endpoint], n.up)
}

// newNode opens a Host, as a process does when it starts.
func newNode(t *testing.T, ledger memory, change ...func(*reconcile.HostConfig)) *node {
	t.Helper()
	conn, err := kernel.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	rules, err := nft.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rules.Close() })
	log := slog.New(slog.DiscardHandler)
	speaker := ndisc.New(log)
	t.Cleanup(func() { speaker.Close() })
	config := reconcile.HostConfig{Log: log, Conn: conn, Rules: rules, Speaker: speaker, Ledger: ledger}
	for _, f := range change {
		f(&config)
	}
	n := &node{endpoints: make(map[string]plan.Endpoint)}
	if n.host, err = reconcile.NewHost(config); err != nil {
		t.Fatal(err)
	}
	n.Loop = reconcile.New(n.host, n, log)
	return n
}

func checkOnly(c *reconcile.HostConfig) { c.CheckSysctls = true }

// pass makes the whole host match.
func (n *node) pass(t *testing.T) {
	t.Helper()
	if err := n.SyncHost(t.Context(), web.ID); err != nil {
		t.Fatal(err)
	}
}

// serve makes a network with an endpoint that joined.
func (n *node) serve(t *testing.T) {
	t.Helper()
	n.networks = []plan.Network{web}
	n.pass(t)
	n.sync(t, box(0))
	e := box(0)
	e.Joining = false
	n.endpoints[e.ID] = e
}

func (n *node) sync(t *testing.T, e plan.Endpoint) {
	t.Helper()
	n.endpoints[e.ID] = e
	if err := n.Sync(t.Context(), e.ID); err != nil {
		t.Fatal(err)
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
func enter(t *testing.T) {
	t.Helper()
	nettest.Enter(t)
	nettest.Run(t,
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
func observe(t *testing.T) []string {
	t.Helper()
	text := nettest.Run(t,
		"ip -o link show", "ip -o addr show", "ip -4 route show table all", "ip -6 route show table all",
		"ip neigh show nud permanent", "ip -6 neigh show proxy", "nft list ruleset",
	) + settings(t)
	lines := strings.Split(carrier.ReplaceAllString(text, ""), "\n")
	slices.Sort(lines)
	return lines
}

func settings(t *testing.T) string {
	t.Helper()
	var lines []string
	for _, link := range []string{"all", "default", "lo", "eth0", "eth1"} {
		for _, key := range []string{"forwarding", "accept_ra", "proxy_ndp"} {
			lines = append(lines, "sysctl net.ipv6.conf."+link+"."+key)
		}
	}
	return nettest.Run(t, append(lines, "sysctl net.ipv4.ip_forward", "sysctl net.ipv6.neigh.eth0.proxy_delay")...)
}

func expectHost(t *testing.T, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, observe(t)); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}
}

func TestHostServesAndForgets(t *testing.T) {
	enter(t)
	nettest.Run(t, "sysctl -w net.ipv6.conf.eth1.forwarding=1")
	before := observe(t)
	ledger := memory{}
	n := newNode(t, ledger)
	n.serve(t)

	for _, tt := range []struct{ show, want string }{
		{"ip -6 neigh show proxy", "2001:db8::a:0:0:2 dev eth0 proxy proto 166"},
		{"ip -6 neigh show dev nd-web nud permanent", "2001:db8::a:0:0:2 lladdr 02:42:00:00:00:00 PERMANENT proto 166"},
		{"ip -6 route show proto 166", "2001:db8:0:0:a::/80 dev nd-web metric 1024"},
		{"ip -o -6 addr show dev nd-web", "inet6 fe80::1/64 scope link"},
		{"ip link show ndh-00000", "master nd-web"},
		{"ip link show ndc-00000", "02:42:00:00:00:00"},
		{"ip -d link show nd-web", "mcast_snooping 0"},
		{"sysctl net.ipv6.conf.eth0.accept_ra", "= 2"},
		{"sysctl net.ipv6.conf.all.forwarding", "= 1"},
		{"sysctl net.ipv6.conf.all.proxy_ndp", "= 1"},
		{"sysctl net.ipv6.conf.eth0.proxy_ndp", "= 1"},
		{"sysctl net.ipv6.neigh.eth0.proxy_delay", "= 0"},
		{"sysctl net.ipv6.conf.nd-web.accept_ra", "= 0"},
		{"nft list ruleset", "nd-web"},
	} {
		if got := nettest.Run(t, tt.show); !strings.Contains(got, tt.want) {
			t.Errorf("%s: want %q in:\n%s", tt.show, tt.want, got)
		}
	}
	if c := ledger["net/ipv6/conf/all/forwarding"]; !cmp.Equal(c, reconcile.Change{Old: "0", Wrote: "1", Forwarding: []string{"eth1"}}) {
		t.Errorf("ledger entry of all.forwarding: %+v", c)
	}

	n.stop(t)
	expectHost(t, before)
	if len(ledger) > 0 {
		t.Errorf("ledger still has %v", ledger)
	}
}

// A process that was killed has told nobody what it did.
func TestHostAfterKill(t *testing.T) {
	enter(t)
	before := observe(t)
	ledger := memory{}
	newNode(t, ledger).serve(t)
	serving := observe(t)

	same := newNode(t, ledger)
	same.networks = []plan.Network{web}
	joined := box(0)
	joined.Joining = false
	same.endpoints[joined.ID] = joined
	same.pass(t)
	expectHost(t, serving)

	newNode(t, ledger).pass(t)
	expectHost(t, before)
	if len(ledger) > 0 {
		t.Errorf("ledger still has %v", ledger)
	}
}

func TestHostRepairsDrift(t *testing.T) {
	tests := []struct {
		name   string
		damage []string
	}{
		{"nothing", nil},
		{"bridge went down and up", []string{"ip link set nd-web down", "ip link set nd-web up"}},
		{"bridge is down", []string{"ip link set nd-web down"}},
		{"bridge has another MTU and MAC", []string{"ip link set nd-web mtu 1400 address 02:42:00:00:00:99"}},
		{"addresses flushed", []string{"ip -6 addr flush dev nd-web"}},
		{"routes flushed", []string{"ip -6 route flush dev nd-web proto 166"}},
		{"neighbors deleted", []string{"ip -6 neigh del 2001:db8::a:0:0:2 dev nd-web"}},
		{"neighbor has another MAC", []string{"ip -6 neigh replace 2001:db8::a:0:0:2 lladdr 02:42:00:00:00:99 dev nd-web nud permanent proto 166"}},
		{"proxy entries flushed", []string{"ip -6 neigh flush proxy"}},
		{"port left the bridge", []string{"ip link set ndh-00000 nomaster"}},
		{"port is down", []string{"ip link set ndh-00000 down"}},
		{"sysctls set back", []string{
			"sysctl -w net.ipv6.conf.all.proxy_ndp=0", "sysctl -w net.ipv6.conf.eth0.proxy_ndp=0", "sysctl -w net.ipv6.neigh.eth0.proxy_delay=80",
		}},
		{"forwarding switched off", []string{"sysctl -w net.ipv6.conf.all.forwarding=0"}},
		{"rules flushed", []string{"nft flush ruleset"}},
		{"something of ours too many", []string{
			"ip -6 neigh add proxy 2001:db8::a:0:0:9 dev eth0 proto 166", "ip -6 route add 2001:db8:7::/80 dev nd-web proto 166",
			"ip link add nd-old type bridge", "ip link set nd-old alias ndp6:network:old",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			enter(t)
			n := newNode(t, memory{})
			n.serve(t)
			serving := observe(t)
			nettest.Run(t, tt.damage...)
			n.pass(t)
			expectHost(t, serving)
		})
	}
}

// An uplink that restarts loses its proxy entries without a word.
func TestHostFollowsItsUplink(t *testing.T) {
	enter(t)
	n := newNode(t, memory{})
	n.serve(t)

	t.Log("no default route for a while")
	nettest.Run(t, "ip -6 route del default via fe80::9 dev eth0")
	serving := observe(t)
	n.pass(t)
	expectHost(t, serving)

	t.Log("another link has it")
	nettest.Run(t, "ip addr add fe80::6/64 dev eth1 nodad", "ip addr add 2001:db8::6/64 dev eth1 nodad", "ip -6 route add default via fe80::9 dev eth1 proto ra")
	n.pass(t)
	if got := nettest.Run(t, "ip -6 neigh show proxy"); strings.TrimSpace(got) != "2001:db8::a:0:0:2 dev eth1 proxy proto 166" {
		t.Errorf("proxy entries:\n%s", got)
	}
	want := "net.ipv6.conf.eth0.accept_ra = 2\nnet.ipv6.conf.eth0.proxy_ndp = 0\nnet.ipv6.conf.eth1.accept_ra = 2\nnet.ipv6.conf.eth1.proxy_ndp = 1\n"
	got := nettest.Run(t, "sysctl net.ipv6.conf.eth0.accept_ra net.ipv6.conf.eth0.proxy_ndp net.ipv6.conf.eth1.accept_ra net.ipv6.conf.eth1.proxy_ndp")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sysctls (-want +got):\n%s", diff)
	}

	t.Log("and goes down and up")
	nettest.Run(t, "ip link set eth1 down")
	n.pass(t)
	nettest.Run(t, "ip link set eth1 up", "ip addr replace 2001:db8::6/64 dev eth1 nodad", "ip addr replace fe80::6/64 dev eth1 nodad", "ip -6 route replace default via fe80::9 dev eth1 proto ra")
	n.pass(t)
	if got := nettest.Run(t, "ip -6 neigh show proxy"); strings.TrimSpace(got) != "2001:db8::a:0:0:2 dev eth1 proxy proto 166" {
		t.Errorf("proxy entries:\n%s", got)
	}
}

func TestHostLeavesOthersAlone(t *testing.T) {
	enter(t)
	n := newNode(t, memory{})
	n.serve(t)
	nettest.Run(t,
		"ip -6 neigh add proxy 2001:db8::77 dev eth0",
		"ip -6 neigh add 2001:db8::a:0:0:77 lladdr 02:42:00:00:00:77 dev nd-web nud permanent",
		"ip addr add 2001:db8:0:0:a::99/80 dev nd-web nodad noprefixroute",
		"ip -6 route add 2001:db8:5::/64 via 2001:db8::9 dev eth0",
		"ip link add br-other type bridge",
		"ip link set lan1 master nd-web",
		"nft add table inet other",
	)
	serving := observe(t)
	n.pass(t)
	expectHost(t, serving)
}

func TestHostKeepsForwardingForOthers(t *testing.T) {
	enter(t)
	nettest.Run(t, "sysctl -w net.ipv4.ip_forward=0")
	n := newNode(t, memory{})
	dual := web
	dual.Pools = append(dual.Pools[:1:1], plan.Pool{Prefix: netip.MustParsePrefix("10.6.0.0/24"), Gateway: netip.MustParseAddr("10.6.0.1")})
	n.networks = []plan.Network{dual}
	n.pass(t)
	nettest.Run(t, "ip link add docker0 type bridge", "ip addr add 10.7.0.1/16 dev docker0", "ip link set docker0 up")
	n.networks = nil
	n.pass(t)
	if got := nettest.Run(t, "sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding"); got != "1\n0\n" {
		t.Errorf("ip_forward and all.forwarding:\n%s", got)
	}
}

func TestCheckSysctlsWritesNone(t *testing.T) {
	enter(t)
	n := newNode(t, memory{}, checkOnly)
	if err := n.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := settings(t)
	want := []string{
		"sysctl -w net/ipv6/conf/eth0/accept_ra=2",
		"sysctl -w net/ipv6/conf/all/forwarding=1",
		"sysctl -w net/ipv6/conf/eth0/forwarding=1",
		"sysctl -w net/ipv6/conf/all/proxy_ndp=1",
		"sysctl -w net/ipv6/conf/eth0/proxy_ndp=1",
		"sysctl -w net/ipv6/neigh/eth0/proxy_delay=0",
	}
	shared := plan.Shared([]plan.Network{web}, n.host.Uplinks([]string{"auto"}))
	got, err := n.host.Missing(shared)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}

	n.networks = []plan.Network{web}
	err = n.SyncHost(t.Context(), web.ID)
	if err == nil || !strings.Contains(err.Error(), "--sysctls check: run sysctl -w net/ipv6/conf/all/forwarding=1") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(before, settings(t)); diff != "" {
		t.Errorf("sysctls (-want +got):\n%s", diff)
	}

	t.Log("with the commands run, all is well")
	nettest.Run(t, got...)
	n.pass(t)
	if got, err = n.host.Missing(shared); err != nil || len(got) > 0 {
		t.Errorf("commands %v, error %v", got, err)
	}
}

func TestCheckSysctlsKeepsWhatAnEarlierProcessWrote(t *testing.T) {
	enter(t)
	ledger := memory{}
	newNode(t, ledger).serve(t)
	before := settings(t)
	newNode(t, ledger, checkOnly).pass(t)
	if diff := cmp.Diff(before, settings(t)); diff != "" {
		t.Errorf("sysctls (-want +got):\n%s", diff)
	}
	newNode(t, ledger).pass(t)
	if len(ledger) > 0 {
		t.Errorf("ledger still has %v", ledger)
	}
}
