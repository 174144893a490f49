package responder_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// lan is an uplink whose other end, lan0 with routerMAC, is in a namespace of its own.
func lan(tb testing.TB) (host *net.Interface, peer string) {
	tb.Helper()
	host = uplink(tb)
	peer = nettest.Another(tb)
	nettest.Run(tb, "ip link set lan0 address 02:42:00:00:00:01 netns "+peer)
	nettest.RunIn(tb, peer, "sysctl -qw net.ipv6.conf.lan0.accept_dad=0", "ip link set lan0 up",
		"ip addr add 2001:db8::1/64 dev lan0 nodad", "ip addr add fe80::1/64 dev lan0 nodad")
	eventually(tb, "the link of the peer", func() bool {
		return !strings.Contains(nettest.RunIn(tb, peer, "ip -6 addr show dev lan0"), "tentative") &&
			strings.Contains(nettest.RunIn(tb, peer, "ip -6 route show table local"), "2001:db8::1 ")
	})
	return host, peer
}

// eventually waits until something holds.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within 20 seconds", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// A wire is a socket of the peer's link.
type wire struct {
	tb testing.TB
	c  *packet.Conn
}

func listen(tb testing.TB, peer string) *wire {
	tb.Helper()
	w := &wire{tb: tb}
	err := netns.Do(peer, func() error {
		ifi, err := net.InterfaceByName("lan0")
		if err == nil {
			w.c, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_IPV6, nil)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { w.c.Close() })
	return w
}

// ask sends a solicitation and reports whether an advertisement of its target comes within the time.
func (w *wire) ask(s solicitation, within time.Duration) bool {
	w.tb.Helper()
	if _, err := w.c.WriteTo(s.frame(), &packet.Addr{HardwareAddr: s.to.HardwareAddr()}); err != nil {
		w.tb.Fatal(err)
	}
	if err := w.c.SetReadDeadline(time.Now().Add(within)); err != nil {
		w.tb.Fatal(err)
	}
	b := make([]byte, 1500)
	for {
		n, _, err := w.c.ReadFrom(b)
		if err != nil {
			return false
		}
		if n >= 78 && b[20] == 58 && b[54] == 136 && netip.AddrFrom16([16]byte(b[62:78])) == s.target {
			return true
		}
	}
}

// patience is how long an answer may take that comes in microseconds.
const patience = 10 * time.Second

// silence is how long none comes where there should be none.
const silence = 50 * time.Millisecond
