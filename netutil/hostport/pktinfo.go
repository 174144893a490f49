package hostport

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// whoWasAsked returns the host's address that a datagram came to, and the
// index of its link. The zero address means that any may answer.
func whoWasAsked(oob []byte) (asked netip.Addr, link int) {
	for len(oob) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		oob = rest
		switch {
		case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// ipi_spec_dst, which is the host's own address even where ipi_addr is a broadcast one.
			asked = netip.AddrFrom4([4]byte(data[4:8]))
			link = int(binary.NativeEndian.Uint32(data[0:4]))
		case header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			asked = netip.AddrFrom16([16]byte(data[0:16]))
			link = int(binary.NativeEndian.Uint32(data[16:20]))
		}
	}
	if asked.IsMulticast() || asked.IsUnspecified() {
		return netip.Addr{}, link
	}
	return asked, link
}

// answerAs returns the control message that sends a datagram from asked.
func answerAs(asked netip.Addr, link int) []byte {
	switch {
	case asked.Is4():
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: asked.As4()})
	case asked.IsLinkLocalUnicast():
		return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: asked.As16(), Ifindex: uint32(link)})
	case asked.Is6():
		return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: asked.As16()})
	}
	return nil
}
