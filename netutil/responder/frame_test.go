package responder_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/netutil/inet"
)

// A solicitation is a frame with one, by its fields.
type solicitation struct {
	from, to         inet.MAC
	src, dst, target netip.Addr
	hopLimit, code   byte
	options          []byte
}

// frame is s on the wire, with the right checksum.
func (s solicitation) frame() []byte {
	target := s.target.As16()
	body := slices.Concat([]byte{135, s.code, 0, 0, 0, 0, 0, 0}, target[:], s.options)
	return message(s.from, s.to, s.src, s.dst, s.hopLimit, body)
}

// message is an ICMPv6 message on the wire. It sets the checksum.
func message(from, to inet.MAC, src, dst netip.Addr, hopLimit byte, body []byte) []byte {
	binary.BigEndian.PutUint16(body[2:], 0)
	binary.BigEndian.PutUint16(body[2:], ^sum(src, dst, body))
	head := []byte{0x60, 0, 0, 0, byte(len(body) >> 8), byte(len(body)), 58, hopLimit}
	return slices.Concat(to[:], from[:], []byte{0x86, 0xdd}, head, src.AsSlice(), dst.AsSlice(), body)
}

// sum is the sum of a message and its pseudo-header, 0xffff where the checksum is right (RFC 8200 8.1).
func sum(src, dst netip.Addr, body []byte) uint16 {
	all := slices.Concat(src.AsSlice(), dst.AsSlice(), []byte{0, 0, byte(len(body) >> 8), byte(len(body)), 0, 0, 0, 58}, body)
	if len(all)%2 == 1 {
		all = append(all, 0)
	}
	var n uint32
	for i := 0; i < len(all); i += 2 {
		n += uint32(binary.BigEndian.Uint16(all[i:]))
	}
	for n > 0xffff {
		n = n&0xffff + n>>16
	}
	return uint16(n)
}

// advertisement is a frame with one as text, or says why it is none.
func advertisement(frame []byte) string {
	if len(frame) < 14+40+24 {
		return fmt.Sprintf("%d octets", len(frame))
	}
	ip, body := frame[14:], frame[54:]
	src, dst := netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
	b := new(strings.Builder)
	fmt.Fprintf(b, "%s > %s %s > %s", inet.MAC(frame[6:12]), inet.MAC(frame[:6]), src, dst)
	if frame[12] != 0x86 || frame[13] != 0xdd || ip[0] != 0x60 || ip[1]|ip[2]|ip[3] != 0 || ip[6] != 58 || body[0] != 136 || body[1] != 0 {
		fmt.Fprintf(b, " no advertisement: % x", frame)
	}
	if n := int(binary.BigEndian.Uint16(ip[4:])); n != len(body) {
		fmt.Fprintf(b, " length %d of %d", n, len(body))
	}
	if sum(src, dst, body) != 0xffff {
		b.WriteString(" checksum wrong")
	}
	fmt.Fprintf(b, " hop limit %d target %s flags %#02x", ip[7], netip.AddrFrom16([16]byte(body[8:])), body[4])
	if body[5]|body[6]|body[7] != 0 {
		b.WriteString(" reserved set")
	}
	for at := 24; at < len(body); at += 8 {
		if option := body[at:]; option[0] == 2 && option[1] == 1 {
			fmt.Fprintf(b, " at %s", inet.MAC(option[2:8]))
		} else {
			fmt.Fprintf(b, " option %d", option[0])
		}
	}
	return b.String()
}
