package reconcile_test

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
)

const (
	ethernetLen = 14
	ipv6Len     = 40
	ndHopLimit  = 255
)

// Addresses of the router of a link.
var (
	routerMAC = inet.MAC{2, 0x42, 0, 0, 0, 9}
	routerLLA = netip.MustParseAddr("fe80::9")
	routerGUA = netip.MustParseAddr("2001:db8::9")
	nobody    = netip.IPv6Unspecified()
)

// A wire is a socket on the router's end of a link, which speaks for itself
// beside the router's kernel.
type wire struct {
	tb   testing.TB
	conn *packet.Conn
}

// openWire opens a socket on a link of the namespace at path.
func openWire(tb testing.TB, path, link string) *wire {
	tb.Helper()
	return openTap(tb, path, link, syscall.ETH_P_IPV6)
}

// openTap opens a socket for a protocol on a link of the namespace at path, or
// of the test's own where path is empty. With ETH_P_ALL it hears what comes in
// before a program at the ingress does, and what goes out.
func openTap(tb testing.TB, path, link string, protocol int) *wire {
	tb.Helper()
	w := &wire{tb: tb}
	open := func() error {
		ifi, err := net.InterfaceByName(link)
		if err == nil {
			w.conn, err = packet.Listen(ifi, packet.Raw, protocol, nil)
		}
		return err
	}
	here := func(fn func() error) error { return fn() }
	if path != "" {
		here = func(fn func() error) error { return netns.Do(path, fn) }
	}
	if err := here(open); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { w.conn.Close() })
	return w
}

// A question is a neighbor solicitation as it is sent: to a MAC, for an
// address, with its options.
type question struct {
	source, destination, target netip.Addr
	to                          inet.MAC
	options                     []ndp.Option
	// spoil changes the frame, if it is set.
	spoil func(frame []byte) []byte
}

// multicast is how an address is looked for.
func multicast(source, target netip.Addr, options ...ndp.Option) question {
	group := inet.SolicitedNode(target)
	return question{source: source, destination: group, to: inet.MulticastMAC(group), target: target, options: options}
}

// unicast is how a neighbor is asked whether it is still there.
func unicast(source, target netip.Addr, to inet.MAC, options ...ndp.Option) question {
	return question{source: source, destination: target, to: to, target: target, options: options}
}

func sourceOption() ndp.Option {
	return &ndp.LinkLayerAddress{Direction: ndp.Source, Addr: routerMAC.HardwareAddr()}
}

func unknownOption() ndp.Option {
	return &ndp.RawOption{Type: 200, Length: 1, Value: make([]byte, 6)}
}

// frame is the question as the router sends it.
func (q question) frame(tb testing.TB) []byte {
	tb.Helper()
	body, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{TargetAddress: q.target, Options: q.options}, q.source, q.destination)
	if err != nil {
		tb.Fatal(err)
	}
	b := slices.Concat(q.to[:], routerMAC[:], []byte{0x86, 0xdd, 6 << 4, 0, 0, 0, 0, byte(len(body)), syscall.IPPROTO_ICMPV6, ndHopLimit},
		q.source.AsSlice(), q.destination.AsSlice(), body)
	if q.spoil != nil {
		b = q.spoil(b)
	}
	return b
}

func (w *wire) ask(q question) {
	w.tb.Helper()
	if _, err := w.conn.WriteTo(q.frame(w.tb), &packet.Addr{HardwareAddr: q.to.HardwareAddr()}); err != nil {
		w.tb.Fatal(err)
	}
}

// An answer is a neighbor advertisement as it came.
type answer struct {
	From, To                    inet.MAC
	Source, Destination, Target netip.Addr
	Router, Solicited, Override bool
	// Owner is the MAC in the target link-layer option, zero if there is none.
	Owner inet.MAC
}

// hear returns the next solicited advertisement, or one to all nodes that has
// Override clear, as the answer to a probe has: announcements have it set. It
// reports false if none comes within the wait.
func (w *wire) hear(wait time.Duration) (answer, bool) {
	w.tb.Helper()
	if err := w.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		w.tb.Fatal(err)
	}
	buf := make([]byte, 2048)
	for {
		n, _, err := w.conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return answer{}, false
		}
		if errors.Is(err, syscall.ENETDOWN) {
			continue
		}
		if err != nil {
			w.tb.Fatal(err)
		}
		if a, ok := w.parse(buf[:n]); ok && (a.Solicited || !a.Override) {
			return a, true
		}
	}
}

// parse reads an advertisement. One that receivers would discard (RFC 4861
// 7.1.2) is an error of the test.
func (w *wire) parse(b []byte) (answer, bool) {
	w.tb.Helper()
	const message = ethernetLen + ipv6Len
	if len(b) < message+24 || b[ethernetLen+6] != syscall.IPPROTO_ICMPV6 || b[message] != 136 {
		return answer{}, false
	}
	header := b[ethernetLen:message]
	body := b[message:][:binary.BigEndian.Uint16(header[4:])]
	a := answer{
		To: inet.MAC(b[:6]), From: inet.MAC(b[6:12]),
		Source: netip.AddrFrom16([16]byte(header[8:])), Destination: netip.AddrFrom16([16]byte(header[24:])),
	}
	m, err := ndp.ParseMessage(body)
	if err != nil {
		w.tb.Fatal(err)
	}
	na := m.(*ndp.NeighborAdvertisement)
	a.Target, a.Router, a.Solicited, a.Override = na.TargetAddress, na.Router, na.Solicited, na.Override
	for _, o := range na.Options {
		if lla, ok := o.(*ndp.LinkLayerAddress); ok && lla.Direction == ndp.Target {
			a.Owner = inet.MAC(lla.Addr)
		}
	}
	// With the checksum that came, all of it adds up as when it is made anew.
	again, err := ndp.MarshalMessageChecksum(m, a.Source, a.Destination)
	if err != nil {
		w.tb.Fatal(err)
	}
	if header[7] != ndHopLimit || body[1] != 0 || !slices.Equal(again, body) || a.Solicited && a.Destination.IsMulticast() {
		w.tb.Errorf("an advertisement that nobody takes: %x", b)
	}
	return a, true
}
