package frames

import (
	"encoding/binary"
	"net/netip"

	"github.com/ndp6/ndp6/netutil/inet"
)

// EtherTypes and protocol numbers (IANA).
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeVLAN = 0x8100
	typeIPv6 = 0x86dd
	typeLLDP = 0x88cc

	protoHopByHop    = 0
	protoICMPv4      = 1
	protoUDP         = 17
	protoFragment    = 44
	protoICMPv6      = 58
	protoDestOptions = 60

	// ndHopLimit proves that a packet passed no router (RFC 4861 11.2).
	ndHopLimit = 255
)

func ethernet(to, from inet.MAC, typ uint16, payload []byte) []byte {
	b := make([]byte, 0, 14+len(payload))
	b = append(b, to[:]...)
	b = append(b, from[:]...)
	b = binary.BigEndian.AppendUint16(b, typ)
	return append(b, payload...)
}

// tag puts a frame into a VLAN (IEEE 802.1Q).
func tag(frame []byte, vlan uint16) []byte {
	b := append([]byte(nil), frame[:12]...)
	b = binary.BigEndian.AppendUint16(b, typeVLAN)
	b = binary.BigEndian.AppendUint16(b, vlan)
	return append(b, frame[12:]...)
}

func ipv6(from, to netip.Addr, next, hopLimit byte, payload []byte) []byte {
	b := []byte{6 << 4, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	b = append(b, next, hopLimit)
	b = append(b, from.AsSlice()...)
	b = append(b, to.AsSlice()...)
	return append(b, payload...)
}

func ipv4(from, to netip.Addr, proto byte, payload []byte) []byte {
	b := []byte{4<<4 | 5, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(20+len(payload)))
	b = append(b, 0, 0, 0, 0, 64, proto, 0, 0)
	b = append(b, from.AsSlice()...)
	b = append(b, to.AsSlice()...)
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return append(b, payload...)
}

// icmpv6 returns a message whose first four bytes are type, code and checksum.
func icmpv6(from, to netip.Addr, typ byte, body []byte) []byte {
	b := append([]byte{typ, 0, 0, 0}, body...)
	binary.BigEndian.PutUint16(b[2:], checksum(pseudo(from, to, protoICMPv6, len(b)), b))
	return b
}

// echo4 is an ICMP echo request.
func echo4(id byte) []byte {
	b := []byte{8, 0, 0, 0, 0, id, 0, 1}
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return b
}

func udp(from, to netip.AddrPort, payload []byte) []byte {
	var b []byte
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	b = append(b, 0, 0)
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[6:], checksum(pseudo(from.Addr(), to.Addr(), protoUDP, len(b)), b))
	return b
}

// options returns a hop-by-hop or destination options header of eight bytes
// that says nothing (RFC 8200 4.2: PadN).
func options(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }

// routerAlert returns the hop-by-hop header of MLD (RFC 2711).
func routerAlert(next byte) []byte { return []byte{next, 0, 5, 2, 0, 0, 1, 0} }

// fragment returns the header of a packet that is its own only fragment (RFC 6946).
func fragment(next byte) []byte { return []byte{next, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef} }

// neighborOption returns an option with a link-layer address (RFC 4861 4.6.1).
func neighborOption(typ byte, mac inet.MAC) []byte {
	return append([]byte{typ, 1}, mac[:]...)
}

func arp(op uint16, mac inet.MAC, from, to netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4}
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(b, mac[:]...)
	b = append(b, from.AsSlice()...)
	b = append(b, 0, 0, 0, 0, 0, 0)
	return append(b, to.AsSlice()...)
}

func pseudo(from, to netip.Addr, proto byte, size int) []byte {
	b := append(from.AsSlice(), to.AsSlice()...)
	return append(b, 0, 0, byte(size>>8), byte(size), 0, 0, 0, proto)
}

// checksum is the Internet checksum (RFC 1071) of parts, of which all but the
// last have an even length.
func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, p := range parts {
		for ; len(p) >= 2; p = p[2:] {
			sum += uint32(binary.BigEndian.Uint16(p))
		}
		if len(p) == 1 {
			sum += uint32(p[0]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
