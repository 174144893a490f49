package nft

import (
	"bytes"
	"fmt"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// expression is a step of a rule as the kernel has it: a name and attributes.
type expression struct {
	name string
	data []byte
}

func parseExpression(b []byte) (expression, error) {
	var e expression
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return e, err
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_EXPR_NAME:
			e.name = ad.String()
		case unix.NFTA_EXPR_DATA:
			e.data = ad.Bytes()
		}
	}
	return e, ad.Err()
}

// text returns the expression without what varies while it stays the same
// expression: counts, numbers of sets, order of attributes.
func (e expression) text(family byte) string {
	known := e.known(family)
	if known == nil {
		return fmt.Sprintf("%s %x", e.name, e.data)
	}
	b, err := expr.MarshalExprData(family, known)
	if err != nil {
		return fmt.Sprintf("%s %x", e.name, e.data)
	}
	return fmt.Sprintf("%s %x", e.name, b)
}

// known decodes the expressions that our rules are made of, else nil.
func (e expression) known(family byte) expr.Any {
	var known expr.Any
	switch e.name {
	case "meta":
		known = &expr.Meta{}
	case "ct":
		known = &expr.Ct{}
	case "payload":
		known = &expr.Payload{}
	case "cmp":
		known = &expr.Cmp{}
	case "bitwise":
		known = &expr.Bitwise{}
	case "lookup":
		known = &expr.Lookup{}
	case "counter":
		return &expr.Counter{}
	case "masq":
		known = &expr.Masq{}
	case "immediate":
		known = &expr.Immediate{}
	default:
		return nil
	}
	if err := expr.Unmarshal(family, e.data, known); err != nil {
		return nil
	}
	switch k := known.(type) {
	case *expr.Lookup:
		k.SetID = 0
	case *expr.Immediate:
		if k.Register == unix.NFT_REG_VERDICT && len(k.Data) == 0 {
			verdict := &expr.Verdict{}
			if err := expr.Unmarshal(family, e.data, verdict); err != nil {
				return nil
			}
			return verdict
		}
	}
	return known
}

// comment returns the comment that the expression is: iptables writes it
// as a match of its own when it restores saved rules.
func (e expression) comment() string {
	if e.name != "match" {
		return ""
	}
	ad, err := netlink.NewAttributeDecoder(e.data)
	if err != nil {
		return ""
	}
	var name string
	var info []byte
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_MATCH_NAME:
			name = ad.String()
		case unix.NFTA_MATCH_INFO:
			info = ad.Bytes()
		}
	}
	if name != "comment" {
		return ""
	}
	text, _, _ := bytes.Cut(info, []byte{0})
	return string(text)
}

// userComment returns the comment among the TLVs that user space keeps with a rule.
func userComment(b []byte) string {
	const typeComment = 0
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		value := b[2 : 2+int(b[1])]
		if b[0] == typeComment {
			text, _, _ := bytes.Cut(value, []byte{0})
			return string(text)
		}
		b = b[2+len(value):]
	}
	return ""
}
