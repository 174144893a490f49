package reconcile_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// Flows to an outside prefix last as long as the prefix, also when another one
// becomes current.
func TestOutsidePrefixGoes(t *testing.T) {
	enter(t)
	// A chain for NAT sees the first packet of each flow.
	nettest.Run(t, "nft add table inet probe", "nft add chain inet probe out { type nat hook output priority -110 ; }",
		"nft add rule inet probe out udp dport 9 counter")
	n := newNode(t, memory{})
	inside := web
	inside.Mode = plan.NPTv6
	inside.Pools = []plan.Pool{{Prefix: netip.MustParsePrefix("fd00:0:0:1:a::/80"), Gateway: web.Pools[0].Gateway}}
	n.networks = []plan.Network{inside}
	n.pass(t)
	conn, err := net.Dial("udp6", "[2001:db8::a:242:0:2]:9")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := func(what, flows string) {
		t.Helper()
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if got := nettest.Run(t, "nft list chain inet probe out"); !strings.Contains(got, "packets "+flows+" ") {
			t.Errorf("%s: not %s flows began:\n%s", what, flows, got)
		}
	}
	send("first", "1")
	send("again", "1")
	nettest.Run(t, "ip addr add 2001:db8:0:7::5/64 dev eth0 nodad")
	n.pass(t)
	send("beside another prefix", "1")
	nettest.Run(t, "ip addr del 2001:db8::5/64 dev eth0")
	n.pass(t)
	send("prefix gone", "2")
	gone := func(when string, want bool) {
		t.Helper()
		if got := nettest.Run(t, "nft list set inet ndp6 gone6"); strings.Contains(got, "2001:db8:0:0:a::/80") != want {
			t.Errorf("%s: callers are told that they were cut off is not %t:\n%s", when, want, got)
		}
	}
	gone("prefix gone", true)
	nettest.Run(t, "ip addr add 2001:db8::5/64 dev eth0 nodad")
	n.pass(t)
	gone("prefix back", false)
}
