package reconcile_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// A sandboxed is a node whose network follows its uplink, with an endpoint
// whose link Docker moved into a sandbox.
type sandboxed struct {
	*node
	ledger  memory
	sandbox string
}

// enterSandboxed joins the endpoint and does to its link what Docker does.
func enterSandboxed(t *testing.T) *sandboxed {
	t.Helper()
	enter(t)
	s := &sandboxed{ledger: memory{}, sandbox: nettest.Another(t)}
	s.node = newNode(t, s.ledger)
	follow := web
	follow.Follow = true
	s.networks = []plan.Network{follow}
	s.pass(t)
	joined := box(0)
	joined.Sandbox = s.sandbox
	s.sync(t, joined)
	s.expectPlaced(t, false)
	nettest.Run(t, "ip link set ndc-00000 netns "+s.sandbox)
	nettest.RunIn(t, s.sandbox, "ip link set ndc-00000 name eth0", "ip addr add 2001:db8::a:0:0:2/80 dev eth0 nodad")
	s.expectPlaced(t, false)
	nettest.RunIn(t, s.sandbox, "ip link set eth0 up")
	s.expectPlaced(t, true)
	s.change(t, func(e *plan.Endpoint) { e.Joining, e.Placed = false, true })
	return s
}

func (s *sandboxed) expectPlaced(t *testing.T, want bool) {
	t.Helper()
	if got, err := s.host.Placed(s.sandbox, box(0).MAC); err != nil || got != want {
		t.Errorf("Placed: got %t, %v, want %t", got, err, want)
	}
}

// change changes the endpoint's record and makes the kernel follow.
func (s *sandboxed) change(t *testing.T, f func(*plan.Endpoint)) {
	t.Helper()
	e := s.endpoints[box(0).ID]
	f(&e)
	s.sync(t, e)
}

// inside returns the addresses of the container.
func (s *sandboxed) inside(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(nettest.RunIn(t, s.sandbox, "ip -o -6 addr show dev eth0 scope global")) {
		words := strings.Fields(line)
		b.WriteString(words[3])
		if strings.Contains(line, " deprecated ") {
			b.WriteString(" deprecated")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (s *sandboxed) expectInside(t *testing.T, when, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), s.inside(t)); diff != "" {
		t.Errorf("%s: addresses inside (-want +got):\n%s", when, diff)
	}
}

func stable(e *plan.Endpoint) { e.Stable = netip.MustParseAddr("2001:db8::a:5:5:5") }

// Shows RFC 4862 5.5.4 (deprecated).
func TestInside(t *testing.T) {
	s := enterSandboxed(t)
	s.change(t, stable)
	s.expectInside(t, "stable", `
2001:db8::a:5:5:5/80
2001:db8::a:0:0:2/80
`)

	nettest.Run(t, "ip addr add 2001:db8:1::5/64 dev eth0 nodad", "ip addr change 2001:db8::5/64 dev eth0 preferred_lft 0")
	s.pass(t)
	s.expectInside(t, "renumbered", `
2001:db8:1:0:a::2/80
2001:db8:1:0:a:5:5:5/80
2001:db8::a:5:5:5/80 deprecated
2001:db8::a:0:0:2/80 deprecated
`)
	entries := nettest.Run(t, "ip -6 neigh show proxy")
	for _, addr := range []string{"2001:db8::a:0:0:2", "2001:db8::a:5:5:5", "2001:db8:1:0:a::2", "2001:db8:1:0:a:5:5:5"} {
		if !strings.Contains(entries, addr+" dev eth0") {
			t.Errorf("no proxy entry for %s in:\n%s", addr, entries)
		}
	}
	changed := s.changed.Load()
	s.pass(t)
	if s.changed.Load() != changed {
		t.Error("a second pass changed the host")
	}

	nettest.Run(t, "ip addr change 2001:db8::5/64 dev eth0 preferred_lft forever", "ip addr del 2001:db8:1::5/64 dev eth0")
	s.pass(t)
	s.expectInside(t, "back", `
2001:db8::a:5:5:5/80
2001:db8::a:0:0:2/80
`)
}

// A killed process tells nobody what it set inside.
func TestInsideAfterKill(t *testing.T) {
	s := enterSandboxed(t)
	s.change(t, stable)
	nettest.RunIn(t, s.sandbox, "ip addr del 2001:db8::a:5:5:5/80 dev eth0", "ip addr change 2001:db8::a:0:0:2/80 dev eth0 preferred_lft 0")
	next := newNode(t, s.ledger)
	next.networks, next.endpoints = s.networks, s.endpoints
	next.pass(t)
	s.expectInside(t, "after a restart", `
2001:db8::a:5:5:5/80
2001:db8::a:0:0:2/80
`)
	// What a pass would cost in ten thousand sandboxes is done once.
	nettest.RunIn(t, s.sandbox, "ip addr del 2001:db8::a:5:5:5/80 dev eth0")
	next.pass(t)
	s.expectInside(t, "after the next pass", `
2001:db8::a:0:0:2/80
`)
}

func TestInsideOfEndingContainer(t *testing.T) {
	s := enterSandboxed(t)
	nettest.RunIn(t, s.sandbox, "ip link del eth0")
	s.change(t, stable) // on a link that is gone
	s.change(t, func(e *plan.Endpoint) { e.Stable = netip.Addr{} })
	s.change(t, func(e *plan.Endpoint) { e.Sandbox = "/run/docker/netns/gone" })
	s.change(t, stable)
	s.change(t, func(e *plan.Endpoint) { e.Joined = false })
}

// A second address that goes does not take the flows of the first along, as a
// port does that is not published any more.
func TestFlowsOfOtherAddressesStay(t *testing.T) {
	s := enterSandboxed(t)
	s.change(t, func(e *plan.Endpoint) {
		stable(e)
		e.Published = []firewall.Published{{Proto: 6, Port: 80, Direct: true, HostAddr: netip.IPv6Unspecified()}}
	})
	nettest.RunIn(t, s.sandbox, "ip -6 route add default via fe80::1 dev eth0")
	s.connect(t)
	flows := func() string { return nettest.Run(t, "sysctl -n net.netfilter.nf_conntrack_count") }
	before := flows()
	s.change(t, func(e *plan.Endpoint) { e.Stable = netip.Addr{} })
	if got := flows(); got != before || got == "0\n" {
		t.Errorf("%s flows are left of %s", strings.TrimSpace(got), before)
	}
	s.change(t, func(e *plan.Endpoint) { e.Published = nil })
	if got := flows(); got != "0\n" {
		t.Errorf("%s flows are left with no port published", strings.TrimSpace(got))
	}
}

// connect makes a flow from the container's first address to the host.
func (s *sandboxed) connect(t *testing.T) {
	t.Helper()
	l, err := net.ListenTCP("tcp6", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[2001:db8::5]:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = netns.Do(s.sandbox, func() error {
		from := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[2001:db8::a:0:0:2]:0"))
		conn, err := net.DialTCP("tcp6", from, l.Addr().(*net.TCPAddr))
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkInside is what one address in one sandbox costs.
func BenchmarkInside(b *testing.B) {
	enter(b)
	n := newNode(b, memory{})
	sandbox := nettest.Another(b)
	nettest.RunIn(b, sandbox, "ip link add eth0 type veth peer name lan0", "ip link set eth0 address "+box(0).MAC.String())
	op := plan.Op{Verb: plan.Set, Owned: plan.Owned{Object: plan.Inside{
		Sandbox: sandbox, MAC: box(0).MAC, Prefix: netip.MustParsePrefix("2001:db8::a:5:5:5/80"),
	}}}
	for b.Loop() {
		if err := n.host.Apply(op); err != nil {
			b.Fatal(err)
		}
	}
}
