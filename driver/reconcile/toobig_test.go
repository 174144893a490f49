package reconcile_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// TestPacketTooBig: who sends more than the next link takes is told so by the
// host, from an address that the other's kernel believes, whichever side sends.
//
// Shows RFC 4443 2.2 (source).
// Shows RFC 8201 4 (too big).
func TestPacketTooBig(t *testing.T) {
	l := link(t, segments()[0], responders()[0])
	l.settled(t)
	sandbox, own := nettest.Another(t), box(0).Addrs[0]
	nettest.Run(t, "ip link set ndc-00000 netns "+sandbox)
	nettest.RunIn(t, sandbox, "ip link set ndc-00000 name eth0 up", "ip addr add "+own.String()+"/80 dev eth0 nodad", "ip -6 route add default via fe80::1 dev eth0")
	e := box(0)
	e.Joining, e.Placed, e.Sandbox = false, true, sandbox
	l.sync(t, e)
	for _, tt := range []struct {
		name, from string
		to         netip.Addr
		narrow     []string
	}{
		{"from a container", sandbox, routerGUA, []string{"ip link set eth0 mtu 1400"}},
		{"to a container", l.router, own, []string{"ip link set eth0 mtu 1500", "ip link set ndh-00000 mtu 1400", "ip link set nd-web mtu 1400"}},
	} {
		nettest.Run(t, tt.narrow...)
		route := ""
		for end := time.Now().Add(patience); !strings.Contains(route, " mtu 1400 "); {
			if time.Now().After(end) {
				t.Fatalf("%s: the sender's route: %s", tt.name, route)
			}
			send(t, tt.from, tt.to, 1450)
			route = nettest.RunIn(t, tt.from, "ip -6 route get "+tt.to.String())
		}
	}
}

// send sends a datagram of some length from a namespace.
func send(t *testing.T, path string, to netip.Addr, length int) {
	t.Helper()
	var conn *net.UDPConn
	err := netns.Do(path, func() (err error) {
		conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write(make([]byte, length)) // Whoever was told already sends fragments.
}
