package ndp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/inet"
)

// An Echo is what Ask saw on the link.
type Echo struct {
	// Replied is set when the other node answered the address.
	Replied bool
	// Solicited is set when it asked on the link who has the address, Answered
	// when this host said that it does.
	Solicited, Answered bool
}

// hearICMPv6 is for a socket that hears what this host sends as well.
var hearICMPv6 = assemble(
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_IPV6, SkipTrue: 3},
	bpf.LoadAbsolute{Off: ethernetLen + 6, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_ICMPV6, SkipTrue: 1},
	bpf.RetConstant{Val: maxFrame},
	bpf.RetConstant{Val: 0},
)

func listenICMPv6(l Link) (*packet.Conn, error) {
	ifi := &net.Interface{Index: l.Index, Name: l.Name, HardwareAddr: l.MAC.HardwareAddr()}
	return packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, &packet.Config{Filter: hearICMPv6})
}

// Ask sends an echo request from addr to another node of the link, best the
// router, and returns what came of it: to answer, that node has to find addr on
// the link, as it does for every packet to addr. It sends twice within wait and
// returns as soon as there is a reply.
func Ask(ctx context.Context, l Link, addr, node netip.Addr, mac inet.MAC, wait time.Duration) (Echo, error) {
	fail := func(err error) (Echo, error) {
		return Echo{}, fmt.Errorf("ask %s for %s dev %s: %w", node, addr, l.Name, err)
	}
	if !addr.Is6() || !node.Is6() {
		return fail(errors.New("not an IPv6 address"))
	}
	node = node.WithZone("")
	socket, err := listenICMPv6(l)
	if err != nil {
		return fail(err)
	}
	defer socket.Close()
	stop := context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Now()) })
	defer stop()

	request := echoRequest(l.MAC, mac, addr, node)
	var e Echo
	for range 2 {
		if err := socket.SetReadDeadline(time.Now().Add(wait / 2)); err != nil {
			return fail(err)
		}
		if _, err := socket.WriteTo(request, &packet.Addr{HardwareAddr: mac.HardwareAddr()}); err != nil {
			return fail(err)
		}
		err := e.hear(socket, l.MAC, addr, node)
		switch {
		case ctx.Err() != nil:
			return fail(ctx.Err())
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return fail(err)
		case e.Replied:
			return e, nil
		}
	}
	return e, nil
}

// hear notes what concerns addr until there is a reply or the socket's deadline.
func (e *Echo) hear(socket *packet.Conn, own inet.MAC, addr, node netip.Addr) error {
	buf := make([]byte, maxFrame)
	for !e.Replied {
		n, _, err := socket.ReadFrom(buf)
		if err != nil {
			return err
		}
		frame := buf[:n]
		if isReply(frame, own, node, addr) {
			e.Replied = true
			continue
		}
		m, err := parseFrame(frame)
		if err != nil || m.target != addr {
			continue
		}
		e.Solicited = e.Solicited || !m.advertisement && m.from != own
		e.Answered = e.Answered || m.advertisement && m.from == own
	}
	return nil
}

// isReply reports whether a frame to this host holds an echo reply between two
// addresses. The socket hears also what a link lets by for other hosts.
func isReply(b []byte, own inet.MAC, from, to netip.Addr) bool {
	const minEcho = 8
	if len(b) < headerLen+minEcho || inet.MAC(b[:6]) != own {
		return false
	}
	header := b[ethernetLen:headerLen]
	return b[headerLen] == byte(ipv6.ICMPTypeEchoReply) &&
		netip.AddrFrom16([16]byte(header[8:24])) == from && netip.AddrFrom16([16]byte(header[24:40])) == to
}

// echoRequest returns the frame of an echo request.
func echoRequest(from, to inet.MAC, source, destination netip.Addr) []byte {
	b := append(append([]byte{}, to[:]...), from[:]...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IPV6)
	body := append([]byte{byte(ipv6.ICMPTypeEchoRequest), 0, 0, 0}, newNonce()...)
	const hops = 64
	header := []byte{6 << 4, 0, 0, 0, 0, byte(len(body)), unix.IPPROTO_ICMPV6, hops}
	header = append(append(header, source.AsSlice()...), destination.AsSlice()...)
	binary.BigEndian.PutUint16(body[2:], checksum(header, body))
	return append(append(b, header...), body...)
}
