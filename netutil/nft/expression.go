package nft

import (
	"bytes"
	"fmt"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// expression is a step of a rule as the kernel has it: a name and attributes.
type expression struct {
	name string
	data []byte
}

func parseExpression(b []byte) expression {
	var e expression
	for t, v := range attrs(b) {
		switch t {
		case unix.NFTA_EXPR_NAME:
			e.name = text(v)
		case unix.NFTA_EXPR_DATA:
			e.data = v
		}
	}
	return e
}

// text returns the expression without what varies while it stays the same
// expression: counts, numbers of sets, order of attributes.
func (e expression) text(family byte) string {
	if o, ok := e.original(); ok {
		return o
	}
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

// blank returns the expressions that our rules are made of, else nil.
func (e expression) blank() expr.Any {
	switch e.name {
	case "meta":
		return &expr.Meta{}
	case "ct":
		return &expr.Ct{}
	case "payload":
		return &expr.Payload{}
	case "exthdr":
		return &expr.Exthdr{}
	case "fib":
		return &expr.Fib{}
	case "cmp":
		return &expr.Cmp{}
	case "bitwise":
		return &expr.Bitwise{}
	case "lookup":
		return &expr.Lookup{}
	case "limit":
		return &expr.Limit{}
	case "counter":
		return &expr.Counter{}
	case "objref":
		return &expr.Objref{}
	case "masq":
		return &expr.Masq{}
	case "nat":
		return &expr.NAT{}
	case "reject":
		return &expr.Reject{}
	case "immediate":
		return &expr.Immediate{}
	case "match":
		return &expr.Match{}
	}
	return nil
}

// known decodes the expression, nil where that cannot be done.
func (e expression) known(family byte) expr.Any {
	known := e.blank()
	if _, ok := known.(*expr.Counter); ok || known == nil {
		return known
	}
	if err := expr.Unmarshal(family, e.data, known); err != nil {
		return nil
	}
	switch k := known.(type) {
	case *expr.Lookup:
		k.SetID = 0
	case *expr.NAT:
		if k.RegAddrMax == 0 {
			k.RegAddrMax = k.RegAddrMin
		}
		k.RegProtoMax, k.Specified = k.RegProtoMin, false
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
	var name string
	var info []byte
	for t, v := range attrs(e.data) {
		switch t {
		case unix.NFTA_MATCH_NAME:
			name = text(v)
		case unix.NFTA_MATCH_INFO:
			info = v
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
