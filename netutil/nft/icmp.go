package nft

import (
	"strconv"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// ICMPv4 matches ICMP messages of a type.
type ICMPv4 uint8

// String returns the match as nft prints it.
func (i ICMPv4) String() string {
	names := map[ICMPv4]string{3: "destination-unreachable", 8: "echo-request", 11: "time-exceeded", 12: "parameter-problem"}
	if name, ok := names[i]; ok {
		return "icmp type " + name
	}
	return "icmp type " + strconv.Itoa(int(i))
}

func (i ICMPv4) compile(f Family) []expr.Any {
	out := append(isIPv4.compile(f), metaIs(expr.MetaKeyL4PROTO, []byte{unix.IPPROTO_ICMP})...)
	return append(out,
		&expr.Payload{DestRegister: unix.NFT_REG_1, Base: expr.PayloadBaseTransportHeader, Len: 1},
		compare(false, []byte{byte(i)}))
}
