package nft

import (
	"fmt"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Keys of linux/netfilter/nf_tables.h.
const (
	ctDestination4 expr.CtKey = 20 // NFT_CT_DST_IP
	ctDestination6 expr.CtKey = 22 // NFT_CT_DST_IP6
)

// original returns the key of a field of a flow's first packet.
func (f Field) original() (expr.CtKey, bool) {
	switch f { //nolint:exhaustive // the others are of the packet itself.
	case FlowDestination4:
		return ctDestination4, true
	case FlowDestination:
		return ctDestination6, true
	}
	return 0, false
}

// original loads a field of a flow's first packet. The library can neither
// write nor read keys that have a direction.
type original struct{ expr.Ct }

func newOriginal(key expr.CtKey, register uint32) *original {
	return &original{expr.Ct{Key: key, Register: register}}
}

// marshal returns an expression as the kernel takes it.
func marshal(family byte, x expr.Any) ([]byte, error) {
	o, ok := x.(*original)
	if !ok {
		return expr.Marshal(family, x)
	}
	var e encoder
	e.string(unix.NFTA_EXPR_NAME, "ct")
	data := e.open(unix.NFTA_EXPR_DATA)
	e.uint32(unix.NFTA_CT_DREG, o.Register)
	e.uint32(unix.NFTA_CT_KEY, uint32(o.Key))
	e.bytes(unix.NFTA_CT_DIRECTION, []byte{0})
	e.shut(data)
	return e.b, nil
}

// original returns the text of a ct expression that has a direction.
func (e expression) original() (string, bool) {
	if e.name != "ct" {
		return "", false
	}
	var key, register uint32
	var direction []byte
	for t, v := range attrs(e.data) {
		switch t {
		case unix.NFTA_CT_KEY:
			key = number(v)
		case unix.NFTA_CT_DREG:
			register = number(v)
		case unix.NFTA_CT_DIRECTION:
			direction = v
		}
	}
	return fmt.Sprintf("ct key %d register %d direction %x", key, register, direction), direction != nil
}
