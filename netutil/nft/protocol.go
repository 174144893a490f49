package nft

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// Proto is the number of a protocol above IP.
type Proto uint8

// The protocols that have ports, and ICMPv6.
const (
	ProtoTCP    Proto = 6
	ProtoUDP    Proto = 17
	ProtoICMPv6 Proto = 58
	ProtoSCTP   Proto = 132
)

// String returns the protocol as nft prints it.
func (p Proto) String() string {
	switch p {
	case ProtoTCP:
		return "tcp"
	case ProtoUDP:
		return "udp"
	case ProtoICMPv6:
		return "ipv6-icmp"
	case ProtoSCTP:
		return "sctp"
	}
	return strconv.Itoa(int(p))
}

func (p Proto) first() []byte { return []byte{byte(p)} }

func (p Proto) past() []byte { return nil }

// ICMPv6 is a type of ICMPv6 messages.
type ICMPv6 uint8

// String returns the type as nft prints it.
func (i ICMPv6) String() string {
	switch i {
	case 1:
		return "destination-unreachable"
	case 2:
		return "packet-too-big"
	case 3:
		return "time-exceeded"
	case 4:
		return "parameter-problem"
	case 128:
		return "echo-request"
	case 129:
		return "echo-reply"
	case 130:
		return "mld-listener-query"
	case 131:
		return "mld-listener-report"
	case 132:
		return "mld-listener-done"
	case 133:
		return "nd-router-solicit"
	case 134:
		return "nd-router-advert"
	case 135:
		return "nd-neighbor-solicit"
	case 136:
		return "nd-neighbor-advert"
	case 137:
		return "nd-redirect"
	case 138:
		return "router-renumbering"
	case 141:
		return "ind-neighbor-solicit"
	case 142:
		return "ind-neighbor-advert"
	case 143:
		return "mld2-listener-report"
	}
	return strconv.Itoa(int(i))
}

func (i ICMPv6) first() []byte { return []byte{byte(i)} }

func (i ICMPv6) past() []byte { return nil }

// EtherProto is what a frame carries, by the number in its header.
type EtherProto uint16

// What Is compares EtherProtocol with.
const (
	EtherIPv4 EtherProto = 0x0800
	EtherARP  EtherProto = 0x0806
	EtherIPv6 EtherProto = 0x86dd
)

// String returns the protocol as nft prints it.
func (e EtherProto) String() string {
	switch e {
	case EtherIPv4:
		return "ip"
	case EtherARP:
		return "arp"
	case EtherIPv6:
		return "ip6"
	}
	return fmt.Sprintf("0x%04x", uint16(e))
}

func (e EtherProto) first() []byte { return binary.BigEndian.AppendUint16(nil, uint16(e)) }

func (e EtherProto) past() []byte { return nil }

// Version is a version of IP.
type Version uint8

// What Is compares Protocol with.
const (
	IPv4 Version = 2
	IPv6 Version = 10
)

// String returns the version as nft prints it.
func (v Version) String() string {
	if v == IPv4 {
		return "ipv4"
	}
	return "ipv6"
}

func (v Version) first() []byte { return []byte{byte(v)} }

func (v Version) past() []byte { return nil }
