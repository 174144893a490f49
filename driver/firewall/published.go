package firewall

import (
	"fmt"
	"net/netip"

	"github.com/ndp6/ndp6/netutil/nft"
)

// Port is a container's port.
type Port struct {
	Proto  uint8 // IANA's number: 6 TCP, 17 UDP, 132 SCTP
	Number uint16
}

// String returns the port as docker writes it.
func (p Port) String() string { return fmt.Sprintf("%d/%s", p.Number, nft.Proto(p.Proto)) }

// Published is a container's port that can be reached from outside, at an
// address of the host, at the container's own, or at both. It belongs to the
// family of HostAddr.
type Published struct {
	Proto    uint8      // IANA's number: 6 TCP, 17 UDP, 132 SCTP
	Port     uint16     // in the container
	HostAddr netip.Addr // unspecified: any address of the host in that family; loopback: relayed only, nothing for the firewall
	HostPort uint16     // 0: no host port, only the container's own
	Direct   bool       // the port is open at the container's own address; false where HostAddr is one address
}
