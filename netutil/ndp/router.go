package ndp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"golang.org/x/net/ipv6"

	"github.com/ndp6/ndp6/netutil/inet"
)

// A Router is one that answered a router solicitation.
type Router struct {
	// Addr is its link-local address.
	Addr netip.Addr
	MAC  inet.MAC
	// Lifetime is how long it wants to be a default router; 0 says that it is none.
	Lifetime time.Duration
}

// allRouters is the link-local scope all-routers multicast address (RFC 4291 2.7.1).
var allRouters = netip.MustParseAddr("ff02::2")

// Solicit asks the routers of a link for an advertisement (RFC 4861 6.3.7) and
// returns the first that is heard within wait; it reports false if none is.
func Solicit(ctx context.Context, l Link, wait time.Duration) (Router, bool, error) {
	fail := func(err error) (Router, bool, error) {
		return Router{}, false, fmt.Errorf("solicit routers dev %s: %w", l.Name, err)
	}
	socket, err := listenICMPv6(l)
	if err != nil {
		return fail(err)
	}
	defer socket.Close()
	if err := socket.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return fail(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Now()) })
	defer stop()
	frame, err := marshalFrame(&ndp.RouterSolicitation{}, l.MAC, l.Source.WithZone(""), allRouters)
	if err != nil {
		return fail(err)
	}
	if _, err := socket.WriteTo(frame, &packet.Addr{HardwareAddr: inet.MulticastMAC(allRouters).HardwareAddr()}); err != nil {
		return fail(err)
	}
	buf := make([]byte, maxFrame)
	for {
		n, _, err := socket.ReadFrom(buf)
		switch {
		case ctx.Err() != nil:
			return fail(ctx.Err())
		case errors.Is(err, os.ErrDeadlineExceeded):
			return Router{}, false, nil
		case err != nil:
			return fail(err)
		}
		if r, ok := parseRouter(buf[:n]); ok && r.MAC != l.MAC {
			return r, true, nil
		}
	}
}

// parseRouter reads a router advertisement, as RFC 4861 6.1.2 demands.
func parseRouter(b []byte) (Router, bool) {
	const minAdvertisement = 16
	if len(b) < headerLen+minAdvertisement {
		return Router{}, false
	}
	header, rest := b[ethernetLen:headerLen], b[headerLen:]
	size := int(binary.BigEndian.Uint16(header[4:]))
	r := Router{
		Addr:     netip.AddrFrom16([16]byte(header[8:24])),
		MAC:      inet.MAC(b[6:12]),
		Lifetime: time.Duration(binary.BigEndian.Uint16(rest[6:])) * time.Second,
	}
	ok := rest[0] == byte(ipv6.ICMPTypeRouterAdvertisement) && rest[1] == 0 && header[7] == hopLimit &&
		size >= minAdvertisement && size <= len(rest) && r.Addr.IsLinkLocalUnicast()
	return r, ok && checksum(header, rest[:size]) == 0
}
