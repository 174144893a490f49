package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/ndp6/ndp6/netutil/inet"
)

// Type is the type of one part of a set's elements.
type Type string

// The types.
const (
	LinkNameType Type = "ifname"
	IPv4Type     Type = "ipv4_addr"
	IPv6Type     Type = "ipv6_addr"
	IPv6Range    Type = "interval ipv6_addr" // data of maps for Netmap
	EtherType    Type = "ether_addr"
	ProtoType    Type = "inet_proto"
	PortType     Type = "inet_service"
	ICMPv6Type   Type = "icmpv6_type"
	LLAType      Type = "lladdr" // what NDOption loads; nft shows it as ether_addr
	VerdictType  Type = "verdict"
)

// String returns the type as nft spells it.
func (t Type) String() string {
	if t == LLAType {
		return string(EtherType)
	}
	return string(t)
}

// size returns how many bytes a value has.
func (t Type) size() int {
	switch t {
	case LinkNameType, IPv6Type:
		return 16
	case IPv6Range:
		return 32
	case IPv4Type:
		return 4
	case EtherType, LLAType:
		return 6
	case PortType:
		return 2
	case ProtoType, ICMPv6Type:
		return 1
	case VerdictType: // has another form
	}
	return 0
}

// number returns nft's number for the type.
func (t Type) number() uint32 {
	switch t {
	case LinkNameType:
		return 41
	case IPv4Type:
		return 7
	case IPv6Type, IPv6Range:
		return 8
	case EtherType, LLAType:
		return 9
	case ProtoType:
		return 12
	case PortType:
		return 13
	case ICMPv6Type:
		return 29
	case VerdictType: // has another form
	}
	return 0
}

// Value is one part of an element, or what Is compares with. The values of
// this package are all there are.
type Value interface {
	fmt.Stringer
	// first returns the value, or the first of its range, as the kernel has it.
	first() []byte
	// past returns what follows the value's range, nil where nothing does.
	past() []byte
}

// Verdict is what a verdict map maps to: Goto, Jump, Accept, Drop or Return.
type Verdict interface {
	Value
	verdict() (code int32, chain string)
}

// LinkName is the name of a link, at most 15 bytes.
type LinkName string

// String returns the name as nft prints it.
func (n LinkName) String() string { return strconv.Quote(string(n)) }

func (n LinkName) first() []byte {
	b := make([]byte, LinkNameType.size())
	copy(b, n)
	return b
}

func (n LinkName) past() []byte { return nil }

// Prefix is a prefix, the values of sets with Interval.
type Prefix netip.Prefix

// String returns the prefix as nft prints it: one address without its length.
func (p Prefix) String() string {
	if q := netip.Prefix(p); q.IsSingleIP() {
		return q.Addr().String()
	}
	return netip.Prefix(p).String()
}

func (p Prefix) first() []byte { return netip.Prefix(p).Masked().Addr().AsSlice() }

func (p Prefix) last() []byte { return inet.LastAddr(netip.Prefix(p)).AsSlice() }

func (p Prefix) past() []byte {
	next := inet.LastAddr(netip.Prefix(p)).Next()
	if !next.IsValid() {
		return nil // the prefix ends where the addresses do
	}
	return next.AsSlice()
}

// Range is a prefix as data of a map: its first and its last address.
type Range netip.Prefix

// String returns the prefix as nft prints it.
func (r Range) String() string { return Prefix(r).String() }

func (r Range) first() []byte { return append(Prefix(r).first(), Prefix(r).last()...) }

func (r Range) past() []byte { return nil }

// Addr is an address.
type Addr netip.Addr

// String returns the address as nft prints it.
func (a Addr) String() string { return netip.Addr(a).String() }

func (a Addr) first() []byte { return netip.Addr(a).AsSlice() }

func (a Addr) past() []byte { return nil }

// MAC is a link-layer address.
type MAC inet.MAC

// String returns the address as nft prints it.
func (m MAC) String() string { return inet.MAC(m).String() }

func (m MAC) first() []byte { return m[:] }

func (m MAC) past() []byte { return nil }

// LLA is a link-layer address as an option of Neighbor Discovery has it.
type LLA inet.MAC

// String returns the address as nft prints it.
func (l LLA) String() string { return inet.MAC(l).String() }

func (l LLA) first() []byte { return l[:] }

func (l LLA) past() []byte { return nil }

// Port is a port of TCP, UDP or SCTP.
type Port uint16

// String returns the port as nft prints it.
func (p Port) String() string { return strconv.Itoa(int(p)) }

func (p Port) first() []byte { return binary.BigEndian.AppendUint16(nil, uint16(p)) }

func (p Port) past() []byte { return nil }

// Number is what Is compares a HopLimit, an IPv6Length or an NDOptionType with.
type Number uint16

// String returns the number as nft prints it.
func (n Number) String() string { return strconv.Itoa(int(n)) }

func (n Number) first() []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }

func (n Number) past() []byte { return nil }
