package reconcile_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// asks returns why the host does not answer a unicast solicitation for target
// on a link whose other end is lan0, empty if it does: with all.proxy_ndp=0,
// only a program does.
func asks(t *testing.T, w *wire, link string, target netip.Addr) string {
	t.Helper()
	ifi, err := net.InterfaceByName(link)
	if err != nil {
		return err.Error()
	}
	if _, err := w.conn.WriteTo(unicast(routerLLA, target, inet.MAC(ifi.HardwareAddr), sourceOption()).frame(t), &packet.Addr{HardwareAddr: ifi.HardwareAddr}); err != nil {
		return err.Error()
	}
	a, ok := w.hear(50 * time.Millisecond)
	switch {
	case !ok || a.Target != target:
		return "no answer"
	case a.Owner != (inet.MAC{}) && a.Owner != inet.MAC(ifi.HardwareAddr):
		return "the answer tells another MAC"
	}
	return ""
}

// ingress is what is at that of the uplink.
func ingress(t *testing.T) string {
	t.Helper()
	return nettest.Run(t, "tc filter show dev eth0 ingress", "tc qdisc show dev eth0")
}

// A mishap takes what is at the ingress of the uplink, or the uplink itself,
// which has the name of link in the end.
type mishap struct {
	name, link string
	damage     []string
}

func mishaps() []mishap {
	remake := append([]string{
		"ip link del eth0", "ip link add eth0 type veth peer name lan0",
		"ip link set eth0 addrgenmode none", "ip link set lan0 addrgenmode none", "ip link set lan0 up", "ip link set eth0 up",
	}, advertised...)
	return []mishap{
		{"filter removed", "eth0", []string{"tc filter del dev eth0 ingress"}},
		{"qdisc removed", "eth0", []string{"tc qdisc del dev eth0 clsact"}},
		{"uplink down and up", "eth0", append([]string{"ip link set eth0 down", "ip link set eth0 up"}, advertised...)},
		{"uplink has another name", "wan0", []string{
			"ip link set eth0 down", "ip link set eth0 name wan0", "ip link set wan0 up",
			"ip addr replace fe80::5/64 dev wan0 nodad", "ip addr replace 2001:db8::5/64 dev wan0 nodad",
			"ip -6 route replace default via fe80::9 dev wan0 proto ra",
		}},
		{"uplink has another MAC", "eth0", []string{"ip link set eth0 address 02:42:00:00:00:99"}},
		{"uplink deleted and made again", "eth0", remake},
	}
}

// TestResponderRepaired: whatever takes the program from the uplink, or the
// uplink from the host, it answers again.
func TestResponderRepaired(t *testing.T) {
	for _, h := range mishaps() {
		t.Run(h.name, func(t *testing.T) {
			enter(t)
			n := newNode(t, memory{}, withProgram)
			n.serve(t)
			t.Cleanup(n.run(t))
			n.damage(t, h.damage...)
			w := openTap(t, "", "lan0", unix.ETH_P_IPV6)
			repaired(t, time.Now(), func() string { return asks(t, w, h.link, box(0).Addrs[0]) })
			if got := nettest.Run(t, "sysctl net.ipv6.conf.all.proxy_ndp"); !strings.Contains(got, "= 0") {
				t.Error(got)
			}
			n.rest(t)
			if problems := n.Problems(); len(problems) > 0 {
				t.Errorf("problems: %v", problems)
			}
		})
	}
}

// TestResponderForgotten: nothing of it is left with the last network, nor what
// it takes a qdisc for.
func TestResponderForgotten(t *testing.T) {
	enter(t)
	before := append(observe(t), ingress(t))
	n := newNode(t, memory{}, withProgram)
	n.serve(t)
	if got := ingress(t); !strings.Contains(got, "ndp6") {
		t.Errorf("nothing at the ingress:\n%s", got)
	}
	n.stop(t)
	if diff := cmp.Diff(before, append(observe(t), ingress(t))); diff != "" {
		t.Errorf("host (-before +after):\n%s", diff)
	}
}

// TestResponderOutlives: it answers while no process is there, and the next one
// takes its place, or takes it away.
func TestResponderOutlives(t *testing.T) {
	enter(t)
	ledger := memory{}
	dead := newNode(t, ledger, withProgram)
	dead.serve(t)
	dead.sync(t, box(1))
	if err := dead.host.Close(); err != nil {
		t.Fatal(err)
	}
	w := openTap(t, "", "lan0", unix.ETH_P_IPV6)
	answered := func(who string, want bool) {
		t.Helper()
		for i := range 2 {
			if why := asks(t, w, "eth0", box(i).Addrs[0]); (why == "") != want {
				t.Errorf("%s: answered is not %t for %s", who, want, box(i).Addrs[0])
			}
		}
	}
	answered("nobody", true)
	next := func(change ...func(*reconcile.HostConfig)) *node {
		t.Helper()
		n := newNode(t, ledger, change...)
		n.networks = []plan.Network{web}
		for _, e := range dead.endpoints {
			e.Joining = false
			n.endpoints[e.ID] = e
		}
		n.pass(t)
		return n
	}
	second := next(withProgram)
	answered("the next process", true)
	left := box(1)
	left.Joined = false
	second.sync(t, left)
	if why := asks(t, w, "eth0", box(1).Addrs[0]); why == "" {
		t.Error("answered after the container left")
	}
	if ops, err := second.Drift(t.Context()); err != nil || len(ops) > 0 {
		t.Errorf("drift %v, %v", ops, err)
	}
	next()
	if got := ingress(t); strings.Contains(got, "ndp6") || strings.Contains(got, "clsact") {
		t.Errorf("left with the kernel's own answers:\n%s", got)
	}
	answered("the kernel", true)
}

// TestResponderSources: answers come from where they are to, and follow the
// uplink's addresses.
func TestResponderSources(t *testing.T) {
	target := box(0).Addrs[0]
	lla, gua := netip.MustParseAddr("fe80::5"), netip.MustParseAddr("2001:db8::5")
	for _, tt := range []struct {
		source       plan.NASource
		near, global netip.Addr
	}{
		{plan.SourceAuto, lla, gua},
		{plan.SourceTarget, target, target},
		{plan.SourceLinkLocal, lla, lla},
	} {
		t.Run(string(tt.source), func(t *testing.T) {
			enter(t)
			n := newNode(t, memory{}, withProgram, func(c *reconcile.HostConfig) { c.NASource = tt.source })
			n.serve(t)
			w := openTap(t, "", "lan0", unix.ETH_P_IPV6)
			from := func(q question, want netip.Addr) {
				t.Helper()
				w.ask(q)
				if a, ok := w.hear(patience); !ok || a.Source != want {
					t.Errorf("asked by %s: answer %+v, %t, want it from %s", q.source, a, ok, want)
				}
			}
			from(multicast(routerLLA, target, sourceOption()), tt.near)
			from(multicast(routerGUA, target, sourceOption()), tt.global)
			from(multicast(nobody, target), tt.near)
			if tt.near != lla {
				return
			}
			nettest.Run(t, "ip addr del fe80::5/64 dev eth0", "ip addr add fe80::55/64 dev eth0 nodad")
			n.pass(t)
			from(multicast(routerLLA, target, sourceOption()), netip.MustParseAddr("fe80::55"))
		})
	}
}

// TestResponderLeavesTheHost: the host's own address in a pool is the kernel's to
// answer for, and one of nobody there is dropped and counted.
//
// Shows RFC 6583 6.1 (unused).
func TestResponderLeavesTheHost(t *testing.T) {
	enter(t)
	n := newNode(t, memory{}, withProgram)
	own := netip.MustParseAddr("2001:db8::a:0:0:77")
	nettest.Run(t, "ip addr add "+own.String()+"/64 dev eth0 nodad")
	n.serve(t)
	w := openTap(t, "", "lan0", unix.ETH_P_IPV6)
	w.ask(multicast(routerLLA, stranger, sourceOption()))
	w.ask(multicast(routerLLA, own, sourceOption()))
	if a, ok := w.hear(patience); !ok || a.Target != own || !a.Override {
		t.Errorf("%+v, %t, want the kernel's answer for %s", a, ok, own)
	}
	w.ask(multicast(routerLLA, box(0).Addrs[0], sourceOption()))
	if a, ok := w.hear(patience); !ok || a.Target != box(0).Addrs[0] {
		t.Errorf("%+v, %t, want the answer for the container", a, ok)
	}
	c, err := n.host.Counts()
	if err != nil {
		t.Fatal(err)
	}
	did := c.Uplinks[0].Responder
	if did == nil || did.Answers["multicast"] != 1 || did.Drops["unassigned"] != 1 {
		t.Errorf("counts %+v", did)
	}
}

// withoutProgram keeps the test's thread from loading programs until it ends.
func withoutProgram(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before [2]unix.CapUserData
	if err := unix.Capget(&header, &before[0]); err != nil {
		t.Fatal(err)
	}
	after := before
	for _, c := range []uint{unix.CAP_BPF, unix.CAP_SYS_ADMIN} {
		after[c/32].Effective &^= 1 << (c % 32)
	}
	if err := unix.Capset(&header, &after[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Capset(&header, &before[0]); err != nil {
			t.Error(err)
		}
	})
}

// TestResponderNotAllowed: where the kernel lets no program run, it answers by
// itself, and says why; who wanted nothing else is told before anything is done.
func TestResponderNotAllowed(t *testing.T) {
	auto := func(c *reconcile.HostConfig) { c.Answering = plan.AnswerAuto }
	for _, tt := range []struct {
		name string
		when func(*testing.T) *node
	}{
		{"from the start", func(t *testing.T) *node {
			t.Helper()
			withoutProgram(t)
			return newNode(t, memory{}, auto)
		}},
		{"later", func(t *testing.T) *node {
			t.Helper()
			n := newNode(t, memory{}, auto)
			withoutProgram(t)
			return n
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			enter(t)
			n := tt.when(t)
			n.serve(t)
			if drifted, err := n.host.Drifted(); err != nil {
				t.Fatal(err)
			} else if drifted {
				n.pass(t) // as Run would
			}
			w := openTap(t, "", "lan0", unix.ETH_P_IPV6)
			if why := asks(t, w, "eth0", box(0).Addrs[0]); why != "" {
				t.Error(why)
			}
			for _, a := range n.host.Answers() {
				if a.By != plan.AnswerKernel || !strings.Contains(a.Reason, "CAP_BPF") {
					t.Errorf("answers %+v", a)
				}
			}
			if got := nettest.Run(t, "sysctl net.ipv6.conf.all.proxy_ndp"); !strings.Contains(got, "= 1") {
				t.Error(got)
			}
			if drifted, err := n.host.Drifted(); err != nil || drifted {
				t.Errorf("drifted %t, %v", drifted, err)
			}
		})
	}
	t.Run("nothing else wanted", func(t *testing.T) {
		enter(t)
		withoutProgram(t)
		_, err := reconcile.NewHost(reconcile.HostConfig{Ledger: memory{}, Answering: plan.AnswerBPF})
		if err == nil || !strings.Contains(err.Error(), `--responder (NDP6_RESPONDER) "bpf"`) || !strings.Contains(err.Error(), "CAP_BPF") {
			t.Errorf("error %v", err)
		}
	})
}
