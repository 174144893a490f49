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
				nettest.Run(t, "ip addr add "+host+" dev lo")
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
	sender := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))
	// A socket for it to come to: a refused datagram has no flow.
	receiver, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(to), 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	conn, err := net.DialUDP("udp", sender, receiver.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}
