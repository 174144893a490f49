package lab

import (
	"encoding/binary"
	"net/netip"
)

// Numbers of protocols and TCP flags.
const (
	protoTCP = 6

	tcpSYN = 0x02
	tcpRST = 0x04
	tcpACK = 0x10
)

// tcpSize is that of a TCP header without options.
const tcpSize = 20

// syn is a TCP header that asks for a connection, with its checksum.
func syn(src, dst netip.AddrPort, sequence uint32) []byte {
	h := make([]byte, tcpSize)
	binary.BigEndian.PutUint16(h[0:], src.Port())
	binary.BigEndian.PutUint16(h[2:], dst.Port())
	binary.BigEndian.PutUint32(h[4:], sequence)
	h[12] = tcpSize / 4 << 4
	h[13] = tcpSYN
	binary.BigEndian.PutUint16(h[14:], 0xffff)
	// RFC 9293 3.1: the checksum covers the addresses, the protocol and the length.
	pseudo := append(src.Addr().AsSlice(), dst.Addr().AsSlice()...)
	pseudo = append(pseudo, 0, protoTCP, 0, tcpSize)
	binary.BigEndian.PutUint16(h[16:], checksum(append(pseudo, h...)))
	return h
}

// SYNFrame is an Ethernet frame with a TCP SYN, whatever its addresses are.
func SYNFrame(from, to [6]byte, src, dst netip.AddrPort) []byte {
	f := append(to[:], from[:]...)
	if src.Addr().Is6() {
		f = append(f, 0x86, 0xdd, 0x60, 0, 0, 0, 0, tcpSize, protoTCP, 64)
	} else {
		h := []byte{0x45, 0, 0, 20 + tcpSize, 0, 0, 0, 0, 64, protoTCP, 0, 0}
		sum := checksum(append(append(h[:12:12], src.Addr().AsSlice()...), dst.Addr().AsSlice()...))
		binary.BigEndian.PutUint16(h[10:], sum)
		f = append(append(f, 0x08, 0), h...)
	}
	f = append(f, src.Addr().AsSlice()...)
	f = append(f, dst.Addr().AsSlice()...)
	return append(f, syn(src, dst, 1)...)
}

// IsTCPTo tells Ethernet frames that hold a TCP segment to a port, of IPv4 or
// IPv6 without extension headers.
func IsTCPTo(port uint16) func(frame []byte) bool { return isTCPTo(port, 0) }

// IsSYNTo tells those of them that ask for a connection.
func IsSYNTo(port uint16) func(frame []byte) bool {
	const syn = 0x02
	return isTCPTo(port, syn)
}

// isTCPTo tells segments that have these flags, whatever others they have.
func isTCPTo(port uint16, flags byte) func(frame []byte) bool {
	return func(f []byte) bool {
		if len(f) < 14 {
			return false
		}
		var proto byte
		segment := 0
		switch binary.BigEndian.Uint16(f[12:]) {
		case 0x86dd:
			if segment = 14 + 40; len(f) >= segment {
				proto = f[14+6]
			}
		case 0x0800:
			if segment = 14 + int(f[14]&0xf)*4; len(f) >= segment {
				proto = f[14+9]
			}
		}
		return proto == protoTCP && len(f) >= segment+tcpSize && binary.BigEndian.Uint16(f[segment+2:]) == port && f[segment+13]&flags == flags
	}
}
