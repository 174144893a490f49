package reconcile_test

import (
	"maps"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// Shows RFC 4541 3 (bridge).
// Shows RFC 4861 7.2.8 (delay).
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
		{"ip -6 route show proto kernel", "2001:db8:0:0:a::/80 dev nd-web metric 1024"},
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
		{"bridge has another MTU", []string{"ip link set nd-web mtu 1400"}},
		{"bridge has another MTU and MAC", []string{"ip link set nd-web mtu 1400 address 02:42:00:00:00:99"}},
		{"addresses flushed", []string{"ip -6 addr flush dev nd-web"}},
		{"routes flushed", []string{"ip -6 route flush dev nd-web metric 1024"}},
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

// uplinks are records of uplinks that outlive the Hosts that use them.
type uplinks map[string]uplink.Uplink

func (u uplinks) All() (map[string]uplink.Uplink, error) { return maps.Clone(u), nil }

func (u uplinks) Put(spec string, now uplink.Uplink) error {
	u[spec] = now
	return nil
}

// A process that starts while the host has no default route knows what the
// last one knew, and what the link was called then.
func TestHostRemembersItsUplink(t *testing.T) {
	recorded, ledger := uplinks{}, memory{}
	remember := func(c *reconcile.HostConfig) { c.Uplinks = recorded }
	restart := func(t *testing.T) *node {
		t.Helper()
		n := newNode(t, ledger, remember)
		n.networks = []plan.Network{web}
		e := box(0)
		e.Joining = false
		n.endpoints[e.ID] = e
		return n
	}
	enter(t)
	before := observe(t)
	newNode(t, ledger, remember).serve(t)

	t.Log("the default route and the prefix go with the plugin")
	nettest.Run(t, "ip -6 route flush dev eth0 proto ra", "ip -6 route flush dev eth0 proto kernel")
	serving := observe(t)
	restart(t).pass(t)
	expectHost(t, serving)

	t.Log("the link is renamed meanwhile")
	nettest.Run(t, "ip link set eth0 down", "ip link set eth0 name wan0", "ip link set wan0 up")
	restart(t).pass(t)
	if missing := shows(t, map[string]string{"ip -6 neigh show proxy": "2001:db8::a:0:0:2 dev wan0 proxy proto 166"}); missing != "" {
		t.Error(missing)
	}

	t.Log("and is what it was after the last network")
	newNode(t, ledger, remember).pass(t)
	nettest.Run(t, "ip link set wan0 down", "ip link set wan0 name eth0", "ip link set eth0 up")
	nettest.Run(t, advertised...)
	expectHost(t, before)
	if len(ledger) > 0 {
		t.Errorf("ledger still has %v", ledger)
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
