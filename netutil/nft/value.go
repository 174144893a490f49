package nft

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/google/nftables"

	"github.com/ndp6/ndp6/netutil/inet"
)

// Type is the type of one part of a set's elements.
type Type string

// The types.
const (
	LinkNameType Type = "ifname"
	IPv4Type     Type = "ipv4_addr"
)

// String returns the type as nft spells it.
func (t Type) String() string { return string(t) }

// datatype returns how the kernel and nft know the type.
func (t Type) datatype() nftables.SetDatatype {
	if t == IPv4Type {
		return nftables.TypeIPAddr
	}
	return nftables.TypeIFName
}

// Value is one part of an element: LinkName or Prefix.
type Value interface {
	fmt.Stringer
	// first returns the value, or the first of its range, as the kernel has it.
	first() []byte
	// past returns what follows the value's range, nil where nothing does.
	past() []byte
}

// LinkName is the name of a link, at most 15 bytes.
type LinkName string

// String returns the name as nft prints it.
func (n LinkName) String() string { return strconv.Quote(string(n)) }

func (n LinkName) first() []byte {
	b := make([]byte, nftables.TypeIFName.Bytes)
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

func (p Prefix) past() []byte {
	next := inet.LastAddr(netip.Prefix(p)).Next()
	if !next.IsValid() {
		return nil // the prefix ends where the addresses do
	}
	return next.AsSlice()
}
