package kernel_test

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/ndp6/ndp6/netutil/nettest"
)

func TestForgetFlows(t *testing.T) {
	for family, hosts := range map[string][3]string{
		"IPv6": {"2001:db8::1", "2001:db8::2", "2001:db8::3"},
		"IPv4": {"192.0.2.1", "192.0.2.2", "192.0.2.3"},
	} {
		t.Run(family, func(t *testing.T) {
			nettest.Enter(t)
			// A rule that asks for the state of flows makes the kernel track them.
			nettest.Run(t, "nft add table inet t", "nft add chain inet t c { type filter hook output priority 0 ; }",
				"nft add rule inet t c ct state established accept")
			conn := open(t)
			forget := func() {
				t.Helper()
				if err := conn.ForgetFlows(netip.MustParseAddr(hosts[0])); err != nil {
					t.Fatal(err)
				}
			}
			check := func(host string, want int) {
				t.Helper()
				got, err := conn.Flows(netip.MustParseAddr(host))
				if err != nil || got != want {
					t.Errorf("%s has %d flows, want %d (%v)", host, got, want, err)
				}
			}
			forget() // when there are none
			for _, host := range hosts {
				nettest.Run(t, "ip addr add "+host+" dev lo nodad")
				if family == "IPv6" {
					nettest.Local(t, host)
				}
			}
			talk(t, hosts[0], hosts[1])
			talk(t, hosts[2], hosts[0])
			talk(t, hosts[2], hosts[1])
			check(hosts[0], 2)
			check(hosts[1], 2)
			forget()
			check(hosts[0], 0)
			check(hosts[1], 1)
			check(hosts[2], 1)
		})
	}
}

// Flows to a prefix are those that NAT gave an address there, too.
func TestForgetFlowsTo(t *testing.T) {
	const client, server, other, outside = "2001:db8:1::1", "2001:db8:2::1", "2001:db8:3::1", "2001:db8:f::1"
	for name, tt := range map[string]struct {
		prefix string
		left   int // of a flow to other, one to server, and one to outside, which is server's
	}{
		"nobody's":              {"2001:db8:e::/64", 3},
		"destination":           {"2001:db8:3::/64", 2},
		"original destination":  {"2001:db8:f::5/64", 2},
		"destination of answer": {"2001:db8:1::/64", 0},
		"source of answer":      {"2001:db8:2::/64", 2},
		"one address":           {"2001:db8:3::1/128", 2},
		"IPv4":                  {"0.0.0.0/0", 3},
	} {
		t.Run(name, func(t *testing.T) {
			nettest.Enter(t)
			nettest.Run(t, "nft add table ip6 t", "nft add chain ip6 t c { type nat hook output priority -100 ; }",
				"nft add rule ip6 t c ip6 daddr "+outside+" dnat to "+server)
			for _, host := range []string{client, server, other, outside} {
				nettest.Run(t, "ip addr add "+host+" dev lo nodad")
				nettest.Local(t, host)
			}
			conn := open(t)
			for _, host := range []string{other, server} {
				talk(t, client, host)
			}
			talkVia(t, client, outside, server)
			if err := conn.ForgetFlowsTo(netip.MustParsePrefix(tt.prefix)); err != nil {
				t.Fatal(err)
			}
			if got, err := conn.Flows(netip.MustParseAddr(client)); err != nil || got != tt.left {
				t.Errorf("%d flows are left, want %d (%v)", got, tt.left, err)
			}
		})
	}
}

// Callers that come while entries are read share the next reading.
func TestForgetFlowsTogether(t *testing.T) {
	nettest.Enter(t)
	conn := open(t)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if err := conn.ForgetFlows(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// talk sends a datagram from one address to another.
func talk(t *testing.T, from, to string) {
	t.Helper()
	talkVia(t, from, to, to)
}

// talkVia sends a datagram to an address that NAT leads to another.
func talkVia(t *testing.T, from, via, to string) {
	t.Helper()
	sender := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))
	// A socket for it to come to: a refused datagram has no flow.
	receiver, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(to), 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	port := receiver.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	conn, err := net.DialUDP("udp", sender, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(via), port)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}
