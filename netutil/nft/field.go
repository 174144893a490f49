package nft

import (
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Field is a property of a packet that can be looked up in a set or compared.
// A packet that does not have it does not match, whatever is asked.
type Field string

// The fields.
const (
	InputName        Field = "iifname"               // link that the packet came in by
	OutputName       Field = "oifname"               // link that it goes out by
	Protocol         Field = "meta nfproto"          // version of IP, in an Inet table
	L4Proto          Field = "meta l4proto"          // protocol above IP, behind extension headers
	IPv4Source       Field = "ip saddr"              //
	IPv4Destination  Field = "ip daddr"              //
	IPv6Source       Field = "ip6 saddr"             //
	IPv6Destination  Field = "ip6 daddr"             //
	FlowDestination  Field = "ct original ip6 daddr" // IPv6 destination of the flow's first packet, before any NAT
	FlowDestination4 Field = "ct original ip daddr"  //
	IPv6Next         Field = "ip6 nexthdr"           // what follows the IPv6 header: L4Proto, or an extension header
	HopLimit         Field = "ip6 hoplimit"          //
	IPv6Length       Field = "ip6 length"            // of what follows the IPv6 header
	SourcePort       Field = "th sport"              // of any protocol with ports: ask for L4Proto too
	DestinationPort  Field = "th dport"              //
	ICMPv6TypeField  Field = "icmpv6 type"           //
	NDTarget         Field = "icmpv6 taddr"          // target of a neighbor solicitation or advertisement
	NDOptionType     Field = "@th,192,8"             // type of the first option of such a message
	NDOption         Field = "@th,208,48"            // its link-layer address
	EtherSource      Field = "ether saddr"           //
	EtherProtocol    Field = "ether type"            //
	ARPSourceIP      Field = "arp saddr ip"          //
	ARPSourceMAC     Field = "arp saddr ether"       //
)

// String returns the field as nft spells it.
func (f Field) String() string { return string(f) }

// meta maps the fields that are no part of the packet.
func (f Field) meta() (expr.MetaKey, bool) {
	switch f { //nolint:exhaustive // the others are no meta data.
	case InputName:
		return expr.MetaKeyIIFNAME, true
	case OutputName:
		return expr.MetaKeyOIFNAME, true
	case Protocol:
		return expr.MetaKeyNFPROTO, true
	case L4Proto:
		return expr.MetaKeyL4PROTO, true
	}
	return 0, false
}

// payload is where a field is in the packet.
type payload struct {
	base   expr.PayloadBase
	offset uint32
	size   int
	needs  dependency
}

// dependency is what a packet must be to have a field.
type dependency int

const (
	anyPacket dependency = iota
	isIPv4
	isIPv6
	isARP
	isICMPv6
	isEther
)

func (f Field) payload() payload {
	const (
		link      = expr.PayloadBaseLLHeader
		network   = expr.PayloadBaseNetworkHeader
		transport = expr.PayloadBaseTransportHeader
	)
	switch f { //nolint:exhaustive // the others are meta.
	case IPv4Source:
		return payload{network, 12, 4, isIPv4}
	case IPv4Destination:
		return payload{network, 16, 4, isIPv4}
	case IPv6Source:
		return payload{network, 8, 16, isIPv6}
	case IPv6Destination:
		return payload{network, 24, 16, isIPv6}
	case HopLimit:
		return payload{network, 7, 1, isIPv6}
	case FlowDestination:
		return payload{size: 16}
	case FlowDestination4:
		return payload{size: 4}
	case IPv6Next:
		return payload{network, 6, 1, isIPv6}
	case IPv6Length:
		return payload{network, 4, 2, isIPv6}
	case SourcePort:
		return payload{transport, 0, 2, anyPacket}
	case DestinationPort:
		return payload{transport, 2, 2, anyPacket}
	case ICMPv6TypeField:
		return payload{transport, 0, 1, isICMPv6}
	case NDTarget:
		return payload{transport, 8, 16, isICMPv6}
	case NDOptionType:
		return payload{transport, 24, 1, anyPacket}
	case NDOption:
		return payload{transport, 26, 6, anyPacket}
	case EtherSource:
		return payload{link, 6, 6, isEther}
	case EtherProtocol:
		return payload{link, 12, 2, isEther}
	case ARPSourceIP:
		return payload{network, 14, 4, isARP}
	case ARPSourceMAC:
		return payload{network, 8, 6, isARP}
	}
	return payload{}
}

// size returns how many bytes a field has.
func (f Field) size() int {
	switch f { //nolint:exhaustive // the others are payload.
	case InputName, OutputName:
		return LinkNameType.size()
	case Protocol, L4Proto:
		return 1
	}
	return f.payload().size
}

// load returns the expression that puts the field into the register that
// starts at a 32-bit word.
func (f Field) load(word int) expr.Any {
	if key, ok := f.meta(); ok {
		return &expr.Meta{Key: key, Register: register(word)}
	}
	if key, ok := f.original(); ok {
		return newOriginal(key, register(word))
	}
	p := f.payload()
	return &expr.Payload{DestRegister: register(word), Base: p.base, Offset: p.offset, Len: uint32(p.size)}
}

// guards returns what the fields need, each once: nothing of a packet may be
// taken for what it is not.
func guards(family Family, fields ...Field) []expr.Any {
	var out []expr.Any
	var seen []dependency
	for _, f := range fields {
		need := f.payload().needs
		if !slices.Contains(seen, need) {
			seen = append(seen, need)
			out = append(out, need.compile(family)...)
		}
	}
	return out
}

func (d dependency) compile(family Family) []expr.Any {
	network := func(version Version, proto EtherProto) []expr.Any {
		if family == Bridge {
			return metaIs(expr.MetaKeyPROTOCOL, proto.first())
		}
		return metaIs(expr.MetaKeyNFPROTO, version.first())
	}
	switch d {
	case isIPv4:
		return network(IPv4, EtherIPv4)
	case isIPv6:
		return network(IPv6, EtherIPv6)
	case isARP:
		return metaIs(expr.MetaKeyPROTOCOL, EtherARP.first())
	case isICMPv6:
		return metaIs(expr.MetaKeyL4PROTO, ProtoICMPv6.first())
	case anyPacket:
	case isEther:
		if family != Bridge {
			return metaIs(expr.MetaKeyIIFTYPE, []byte{unix.ARPHRD_ETHER, 0})
		}
	}
	return nil
}

func metaIs(key expr.MetaKey, data []byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: data},
	}
}

// loadAll loads fields one after the other, as a set's key has them.
func loadAll(family Family, fields []Field) []expr.Any {
	out := guards(family, fields...)
	word := 0
	for _, f := range fields {
		out = append(out, f.load(word))
		word += words(f.size())
	}
	return out
}

// words returns how many 32-bit words hold n bytes.
func words(n int) int { return (n + 3) / 4 }

// register returns the register that starts at a 32-bit word, by the number
// that the kernel gives it when it is read back.
func register(word int) uint32 {
	if word%4 == 0 {
		return unix.NFT_REG_1 + uint32(word/4)
	}
	return unix.NFT_REG32_00 + uint32(word)
}
