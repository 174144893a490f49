package nft

import (
	"fmt"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// DNAT sends the packet's flow to the address and port that a map has for the
// packet's fields; where it has none the rule ends.
type DNAT struct {
	Family int // 4 or 6
	Fields []Field
	Map    string // its data is an address and a port
}

// String returns the action as nft prints it.
func (d DNAT) String() string {
	family := "ip6"
	if d.Family == 4 {
		family = "ip"
	}
	return fmt.Sprintf("dnat %s to %s map @%s", family, join(d.Fields, " . "), d.Map)
}

func (d DNAT) compile(f Family) []expr.Any {
	family, need, addr := uint32(unix.NFPROTO_IPV6), isIPv6, IPv6Type
	if d.Family == 4 {
		family, need, addr = unix.NFPROTO_IPV4, isIPv4, IPv4Type
	}
	var out []expr.Any
	// A packet of the other family must not be looked up: its ports may be in the map.
	if !dependsOn(need, d.Fields) {
		out = need.compile(f)
	}
	port := register(words(addr.size()))
	return append(append(out, lookUp(f, d.Fields, d.Map)...), &expr.NAT{
		Type: expr.NATTypeDestNAT, Family: family,
		RegAddrMin: unix.NFT_REG_1, RegAddrMax: unix.NFT_REG_1, RegProtoMin: port, RegProtoMax: port,
	})
}

// SNAT gives the packet's flow the IPv6 source that a map has for the one that
// it has; where the map has none the rule ends.
type SNAT struct {
	Map string // its data is an address
}

// String returns the action as nft prints it.
func (s SNAT) String() string { return "snat ip6 to ip6 saddr map @" + s.Map }

func (s SNAT) compile(f Family) []expr.Any {
	return append(lookUp(f, []Field{IPv6Source}, s.Map), &expr.NAT{
		Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV6,
		RegAddrMin: unix.NFT_REG_1, RegAddrMax: unix.NFT_REG_1,
	})
}

// Netmap gives an address of the packet's flow the prefix that a map has for
// it, and leaves the bits behind; where the map has none the rule ends. Both
// prefixes must be equally long, else the longer one counts.
type Netmap struct {
	Field Field  // IPv6Source or IPv6Destination
	Map   string // its data is a Range
}

// String returns the action as nft prints it.
func (n Netmap) String() string {
	action := "dnat"
	if n.Field == IPv6Source {
		action = "snat"
	}
	return fmt.Sprintf("%s ip6 prefix to %s map @%s", action, n.Field, n.Map)
}

func (n Netmap) compile(f Family) []expr.Any {
	action := expr.NATTypeDestNAT
	if n.Field == IPv6Source {
		action = expr.NATTypeSourceNAT
	}
	return append(lookUp(f, []Field{n.Field}, n.Map), &expr.NAT{
		Type: action, Family: unix.NFPROTO_IPV6, Prefix: true,
		RegAddrMin: unix.NFT_REG_1, RegAddrMax: register(words(IPv6Type.size())),
	})
}

// lookUp puts what a map has for the fields into the registers.
func lookUp(f Family, fields []Field, name string) []expr.Any {
	return append(loadAll(f, fields),
		&expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: name, DestRegister: unix.NFT_REG_1, IsDestRegSet: true})
}

func dependsOn(need dependency, fields []Field) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return f.payload().needs == need })
}
