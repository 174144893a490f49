package reconcile_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// stranger is an address of nobody, in a group of nobody.
var stranger = netip.MustParseAddr("2001:db8::a:0:0:99")

// floods reports whether the switch sends to the host what is for a group that
// nobody on its port asked for. It asks for target, too, whose group somebody did.
func (l *linked) floods(t *testing.T, target netip.Addr) bool {
	t.Helper()
	port := openTap(t, "", "eth0", syscall.ETH_P_ALL)
	defer port.conn.Close()
	l.ask(multicast(routerLLA, stranger, sourceOption()))
	l.ask(multicast(routerLLA, target, sourceOption()))
	if err := port.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	flooded := false
	buf := make([]byte, 2048)
	for {
		n, _, err := port.conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return true // Not even the second came: the switch is not ready.
		}
		if err != nil {
			t.Fatal(err)
		}
		const message = ethernetLen + ipv6Len
		if n < message+24 || binary.BigEndian.Uint16(buf[12:]) != syscall.ETH_P_IPV6 || buf[ethernetLen+6] != syscall.IPPROTO_ICMPV6 || buf[message] != 135 {
			continue
		}
		switch netip.AddrFrom16([16]byte(buf[message+8:])) {
		case stranger:
			flooded = true
		case target:
			return flooded
		}
	}
}

// TestSnoopingSwitch: a switch that sends multicast only to those who asked for
// it has every solicitation answered.
//
// Shows RFC 3810 6.1 (report).
// Shows RFC 4541 3 (switch).
// Shows RFC 4861 7.2.8 (groups).
func TestSnoopingSwitch(t *testing.T) {
	const n = 20
	for _, s := range segments() {
		if !s.switched {
			continue
		}
		for _, r := range responders() {
			t.Run(s.name+"/"+r.name, func(t *testing.T) {
				l := link(t, s, r)
				for i := range n {
					l.sync(t, box(i))
				}
				awaitAll(t, map[string]string{"nsenter --net=" + l.lan + " bridge mdb show": inet.SolicitedNode(box(n - 1).Addrs[0]).String()})
				l.settled(t)
				answered := 0
				for i := range n {
					l.ask(multicast(routerLLA, box(i).Addrs[0], sourceOption()))
					if a, ok := l.hear(time.Second); ok && a.Target == box(i).Addrs[0] {
						answered++
					}
				}
				if answered != n {
					t.Errorf("%d of %d solicitations answered\n%s", answered, n, nettest.RunIn(t, l.lan, "bridge mdb show"))
				}
			})
		}
	}
}

// TestGroups: the uplink is in the group of each container's address, for as
// long as the container is there.
//
// Shows RFC 3810 6.1 (leave).
// Shows RFC 4861 7.2.8 (groups).
func TestGroups(t *testing.T) {
	everyLink(t, func(l *linked) {
		t := l.t
		group := inet.SolicitedNode(box(0).Addrs[0]).String()
		groups := func() string { return nettest.Run(t, "ip -6 maddr show dev "+l.uplink) }
		if !strings.Contains(groups(), group) {
			t.Errorf("no group %s:\n%s", group, groups())
		}
		if l.switched {
			awaitAll(t, map[string]string{"nsenter --net=" + l.lan + " bridge mdb show": group})
		}
		left := box(0)
		left.Joined = false
		l.sync(t, left)
		if strings.Contains(groups(), group) {
			t.Errorf("still in group %s:\n%s", group, groups())
		}
		l.ask(multicast(routerLLA, box(0).Addrs[0], sourceOption()))
		if a, ok := l.hear(100 * time.Millisecond); ok {
			t.Errorf("answered after the container left: %+v", a)
		}
	})
}

// TestProbingRouter: the kernel of a router that doubts a neighbor asks it by
// unicast, and finds it each time.
//
// Shows RFC 4861 7.3.3 (probe).
func TestProbingRouter(t *testing.T) {
	everyLink(t, func(l *linked) {
		t := l.t
		target := box(0).Addrs[0].String()
		nettest.RunIn(t, l.router, "sysctl -qw net.ipv6.neigh.lan0.retrans_time_ms=200")
		for range 3 {
			nettest.RunIn(t, l.router, "ip -6 neigh replace "+target+" lladdr "+l.uplinkMAC(t).String()+" dev lan0 nud probe")
			state := ""
			for end := time.Now().Add(patience); !strings.Contains(state, "REACHABLE"); {
				state = nettest.RunIn(t, l.router, "ip -6 neigh show to "+target+" dev lan0")
				if strings.Contains(state, "FAILED") || time.Now().After(end) {
					t.Fatalf("the router's neighbor: %s", state)
				}
			}
		}
	})
}

// TestDefends: another host of the link that would take a container's address
// hears that it is in use.
//
// Shows RFC 4862 5.4 (defense).
func TestDefends(t *testing.T) {
	everyLink(t, func(l *linked) {
		t := l.t
		target := box(0).Addrs[0].String()
		nettest.RunIn(t, l.router, "sysctl -qw net.ipv6.conf.lan0.accept_dad=1 net.ipv6.conf.lan0.dad_transmits=1", "ip addr add "+target+"/64 dev lan0")
		awaitAll(t, map[string]string{"nsenter --net=" + l.router + " ip -6 addr show dev lan0 dadfailed": target})
	})
}

// TestLearnsUnasked: a router that creates entries for whoever announces itself
// (RFC 9131) knows a container that it never asked for.
//
// Shows RFC 9131 6.1.2 (announcement).
func TestLearnsUnasked(t *testing.T) {
	everyLink(t, func(l *linked) {
		t := l.t
		nettest.RunIn(t, l.router, "sysctl -qw net.ipv6.conf.lan0.accept_untracked_na=1")
		l.sync(t, box(1))
		want := box(1).Addrs[0].String() + " lladdr " + l.uplinkMAC(t).String()
		awaitAll(t, map[string]string{"nsenter --net=" + l.router + " ip -6 neigh show dev lan0": want})
	})
}

// TestOtherMAC: when the uplink has another MAC, the router is told, and who
// asks hears the new one.
//
// Shows RFC 4861 7.2.6 (changed).
func TestOtherMAC(t *testing.T) {
	everyLink(t, func(l *linked) {
		t := l.t
		target, other := box(0).Addrs[0], inet.MAC{2, 0x42, 0, 0, 0, 0x77}
		nettest.RunIn(t, l.router, "ip -6 neigh replace "+target.String()+" lladdr "+l.uplinkMAC(t).String()+" dev lan0 nud reachable")
		t.Cleanup(l.run(t))
		nettest.Run(t, "ip link set "+l.uplink+" address "+other.String())
		awaitAll(t, map[string]string{"nsenter --net=" + l.router + " ip -6 neigh show to " + target.String() + " dev lan0": other.String()})
		l.settled(t)
		for _, q := range []question{multicast(routerLLA, target, sourceOption()), unicast(routerLLA, target, other)} {
			l.ask(q)
			a, ok := l.hear(patience)
			if !ok || a.From != other || a.Owner != other && a.Owner != (inet.MAC{}) {
				t.Errorf("%+v, %t, want an answer from %s", a, ok, other)
			}
		}
	})
}

// TestProviderFilter: a provider that drops advertisements from link-local
// sources lets through what is answered to a router that asks from a global one.
func TestProviderFilter(t *testing.T) {
	for _, r := range responders() {
		t.Run(r.name, func(t *testing.T) {
			l := link(t, segments()[1], r)
			l.settled(t)
			nettest.RunIn(t, l.lan, "nft add table bridge provider",
				"nft add chain bridge provider forward { type filter hook forward priority 0 ; }",
				"nft add rule bridge provider forward icmpv6 type nd-neighbor-advert ip6 saddr fe80::/10 drop")
			for name, q := range map[string]question{
				"multicast": multicast(routerGUA, box(0).Addrs[0], sourceOption()),
				"unicast":   unicast(routerGUA, box(0).Addrs[0], l.uplinkMAC(t)),
			} {
				l.ask(q)
				if a, ok := l.hear(patience); !ok || a.Source.IsLinkLocalUnicast() {
					t.Errorf("%s: %+v, %t, want an answer from a global address", name, a, ok)
				}
			}
		})
	}
}
