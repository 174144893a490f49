package nettest

import (
	"net"
	"net/netip"
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
	ra := &ndp.RouterAdvertisement{RouterLifetime: m.Router}
	for _, p := range m.Prefixes {
		ra.Options = append(ra.Options, &ndp.PrefixInformation{
			Prefix: p.Prefix.Addr(), PrefixLength: uint8(p.Prefix.Bits()),
			OnLink: true, AutonomousAddressConfiguration: true,
			PreferredLifetime: p.Preferred, ValidLifetime: p.Valid,
		})
	}
	if err := conn.WriteTo(ra, nil, netip.IPv6LinkLocalAllNodes()); err != nil {
		tb.Fatal(err)
	}
}
