package ask

import (
	"encoding/binary"
	"net/netip"

	"github.com/ndp6/ndp6/netutil/inet"
)

// Sizes and numbers of the frames.
const (
	etherSize    = 14
	ipv6Size     = 40
	solicitSize  = 24 + 8 // with the source link-layer option
	frameSize    = etherSize + ipv6Size + solicitSize
	protoICMPv6  = 58
	typeSolicit  = 135
	typeAdvert   = 136
	targetOffset = etherSize + ipv6Size + 8
	typeOffset   = etherSize + ipv6Size
)

// Question says who asks whom.
type Question struct {
	Source netip.Addr
	MAC    inet.MAC // of the source
	Target netip.Addr
	// To is where the target's router is, for the unicast question by which a
	// neighbor is checked (RFC 4861 7.3.3). Zero asks the solicited-node group.
	To inet.MAC
}

// Frame is the solicitation (RFC 4861 4.3).
func (q Question) Frame() [frameSize]byte {
	destination, mac := inet.SolicitedNode(q.Target), q.To
	if mac.IsZero() {
		mac = inet.MulticastMAC(destination)
	} else {
		destination = q.Target
	}
	var f [frameSize]byte
	copy(f[0:], mac[:])
	copy(f[6:], q.MAC[:])
	binary.BigEndian.PutUint16(f[12:], 0x86dd)
	ip := f[etherSize:]
	ip[0] = 0x60
	binary.BigEndian.PutUint16(ip[4:], solicitSize)
	ip[6], ip[7] = protoICMPv6, 255
	copy(ip[8:], q.Source.AsSlice())
	copy(ip[24:], destination.AsSlice())
	m := ip[ipv6Size:]
	m[0] = typeSolicit
	copy(m[8:], q.Target.AsSlice())
	m[24], m[25] = 1, 1 // source link-layer address, 8 bytes
	copy(m[26:], q.MAC[:])
	binary.BigEndian.PutUint16(m[2:], checksum(ip))
	return f
}

// checksum is that of the ICMPv6 message in a packet, whose own field is zero
// (RFC 8200 8.1).
func checksum(ip []byte) uint16 {
	sum := uint32(solicitSize + protoICMPv6)
	for i := 8; i < ipv6Size+solicitSize; i += 2 { // the addresses and the message
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// advertised is the target of the advertisement in a frame.
func advertised(f []byte) (netip.Addr, bool) {
	if len(f) < targetOffset+16 || f[typeOffset] != typeAdvert {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(f[targetOffset : targetOffset+16])
}
