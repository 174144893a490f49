package ndp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/inet"
)

const (
	ethernetLen = 14
	headerLen   = ethernetLen + ipv6.HeaderLen
	// minMessage is the length of a solicitation or advertisement without options.
	minMessage = 24
	// maxFrame is more than any solicitation or advertisement needs.
	maxFrame = 2048
	// hopLimit proves that a packet did not pass a router (RFC 4861 11.2).
	hopLimit = 255

	// RFC 4861 4.4 and 4.6, RFC 3971 5.3.2.
	flagSolicited = 0x40
	optSourceMAC  = 1
	optTargetMAC  = 2
	optNonce      = 14
)

// errFrame is returned for all frames that say nothing about a neighbor.
var errFrame = errors.New("not a valid neighbor solicitation or advertisement")

// A neighborMessage is what a solicitation or an advertisement says.
type neighborMessage struct {
	// from is the Ethernet source; owner is who has the target, or wants it.
	from, owner inet.MAC
	source      netip.Addr
	target      netip.Addr
	// advertisement tells the two kinds of messages apart.
	advertisement bool
	nonce         []byte // nil if there is none; shares the frame's memory
}

// claims reports whether the sender of m has target or is about to take it,
// given the nonce of our own solicitations (RFC 4862 5.4.3 and 5.4.4, RFC 7527 4.2).
func (m neighborMessage) claims(target netip.Addr, own []byte) bool {
	switch {
	case m.target != target:
		return false
	case m.advertisement:
		return true
	case !m.source.IsUnspecified():
		return false // The sender looks for the target and so does not have it.
	default:
		return !bytes.Equal(m.nonce, own)
	}
}

// marshalFrame returns m in an IPv6 packet in an Ethernet frame to a multicast group.
func marshalFrame(m ndp.Message, from inet.MAC, source, group netip.Addr) ([]byte, error) {
	body, err := ndp.MarshalMessageChecksum(m, source, group)
	if err != nil {
		return nil, err
	}
	to := inet.MulticastMAC(group)
	b := make([]byte, 0, headerLen+len(body))
	b = append(b, to[:]...)
	b = append(b, from[:]...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IPV6)
	b = append(b, 6<<4, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	b = append(b, unix.IPPROTO_ICMPV6, hopLimit)
	b = append(b, source.AsSlice()...)
	b = append(b, group.AsSlice()...)
	return append(b, body...), nil
}

// parseFrame reads an untagged Ethernet frame and checks it as RFC 4861 7.1
// demands. Frames with extension headers are not read.
func parseFrame(b []byte) (neighborMessage, error) {
	if len(b) < headerLen+minMessage || binary.BigEndian.Uint16(b[12:]) != unix.ETH_P_IPV6 {
		return neighborMessage{}, errFrame
	}
	header, rest := b[ethernetLen:headerLen], b[headerLen:]
	size := int(binary.BigEndian.Uint16(header[4:]))
	if header[0]>>4 != 6 || header[6] != unix.IPPROTO_ICMPV6 || header[7] != hopLimit || size < minMessage || size > len(rest) {
		return neighborMessage{}, errFrame
	}
	// Ethernet pads short frames, so the packet may end before the frame.
	body := rest[:size]
	if body[1] != 0 || checksum(header, body) != 0 {
		return neighborMessage{}, errFrame
	}
	m := neighborMessage{
		from:   inet.MAC(b[6:12]),
		source: netip.AddrFrom16([16]byte(header[8:24])),
		target: netip.AddrFrom16([16]byte(body[8:24])),
	}
	m.owner = m.from
	options, err := parseOptions(body[minMessage:])
	if err != nil || m.target.IsMulticast() {
		return neighborMessage{}, errFrame
	}
	m.nonce = options[optNonce]
	destination := netip.AddrFrom16([16]byte(header[24:40]))
	switch ipv6.ICMPType(body[0]) {
	case ipv6.ICMPTypeNeighborSolicitation:
		if m.source.IsUnspecified() && (destination != inet.SolicitedNode(destination) || options[optSourceMAC] != nil) {
			return neighborMessage{}, errFrame
		}
	case ipv6.ICMPTypeNeighborAdvertisement:
		if destination.IsMulticast() && body[4]&flagSolicited != 0 {
			return neighborMessage{}, errFrame
		}
		m.advertisement = true
		if mac := options[optTargetMAC]; len(mac) == len(m.owner) {
			m.owner = inet.MAC(mac)
		}
	default:
		return neighborMessage{}, errFrame
	}
	return m, nil
}

// parseOptions returns the values of the options that we know, by type.
// RFC 4861 4.6: unknown ones are skipped, one without a length voids the message.
func parseOptions(b []byte) (options [optNonce + 1][]byte, err error) {
	for len(b) > 0 {
		if len(b) < 2 || b[1] == 0 || int(b[1])*8 > len(b) {
			return options, errFrame
		}
		size := int(b[1]) * 8
		if typ := b[0]; typ <= optNonce && options[typ] == nil {
			options[typ] = b[2:size]
		}
		b = b[size:]
	}
	return options, nil
}

// checksum is 0 for an ICMPv6 message that arrived as it was sent (RFC 4443 2.3).
func checksum(header, body []byte) uint16 {
	var sum uint32
	add := func(b []byte) {
		for ; len(b) >= 2; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	add(header[8:40]) // The pseudo-header: both addresses, the length, the protocol.
	sum += uint32(len(body)) + unix.IPPROTO_ICMPV6
	add(body)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
