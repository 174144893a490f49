package nettest

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
)

// An RA is a router advertisement (RFC 4861 4.2). A sender that leaves Router
// zero is no default router.
type RA struct {
	Router   time.Duration
	Prefixes []RAPrefix
}

// An RAPrefix is an on-link prefix that hosts make addresses in, if it is a
// /64, with the lifetimes that those have then.
type RAPrefix struct {
	Prefix           netip.Prefix
	Preferred, Valid time.Duration
}

// Advertise sends m to all nodes on a link of the test's namespace, which must
// have a link-local address that is not tentative.
func Advertise(tb testing.TB, link string, m RA) {
	tb.Helper()
	ifi, err := net.InterfaceByName(link)
	if err != nil {
		tb.Fatal(err)
	}
	conn, _, err := ndp.Listen(ifi, ndp.LinkLocal)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	if err := conn.WriteTo(m.message(), nil, netip.IPv6LinkLocalAllNodes()); err != nil {
		tb.Fatal(err)
	}
}

// message is m as it is sent.
func (m RA) message() *ndp.RouterAdvertisement {
	ra := &ndp.RouterAdvertisement{RouterLifetime: m.Router}
	for _, p := range m.Prefixes {
		ra.Options = append(ra.Options, &ndp.PrefixInformation{
			Prefix: p.Prefix.Addr(), PrefixLength: uint8(p.Prefix.Bits()),
			OnLink: true, AutonomousAddressConfiguration: true,
			PreferredLifetime: p.Preferred, ValidLifetime: p.Valid,
		})
	}
	return ra
}

// LAN makes eth0 in the test's namespace, with the MAC 02:42:00:00:00:05, and
// waits until it hears what Advertise sends on lan0, whose address is fe80::9.
func LAN(tb testing.TB) {
	tb.Helper()
	Run(tb,
		"ip link add eth0 address 02:42:00:00:00:05 type veth peer name lan0",
		"sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.lan0.accept_dad=0 net.ipv6.conf.lan0.accept_ra=0",
		"ip link set lan0 addrgenmode none", "ip link set lan0 up", "ip link set eth0 up",
		"ip addr add fe80::9/64 dev lan0 nodad",
	)
	// The kernel gives the link its address when it begins to listen.
	for end := time.Now().Add(10 * time.Second); !strings.Contains(Run(tb, "ip -6 addr show dev eth0"), "fe80::42:ff:fe00:5/64"); {
		if time.Now().After(end) {
			tb.Fatal("eth0 does not come up")
		}
	}
}
