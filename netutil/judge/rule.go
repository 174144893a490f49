package judge

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// unknown is an expression that is not understood. What it loads is not known.
type unknown struct{}

// rules reads a chain. The library gives up on a chain that has one expression
// which it does not understand, and drops others without a word.
func rules(c *nftables.Chain) ([][]any, error) {
	var out [][]any
	err := dump(unix.NFT_MSG_GETRULE, c.Table.Family, map[uint16]string{
		unix.NFTA_RULE_TABLE: c.Table.Name, unix.NFTA_RULE_CHAIN: c.Name,
	}, func(d *netlink.AttributeDecoder) error {
		if d.Type() != unix.NFTA_RULE_EXPRESSIONS {
			return nil
		}
		var rule []any
		err := nested(d.Bytes(), func(d *netlink.AttributeDecoder) error {
			e, err := parse(byte(c.Table.Family), d.Bytes())
			rule = append(rule, e)
			return err
		})
		out = append(out, rule)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list rules of chain %s: %w", c.Name, err)
	}
	return out, nil
}

// parse reads an expression.
func parse(family byte, b []byte) (any, error) {
	var name string
	var data []byte
	if err := nested(b, func(d *netlink.AttributeDecoder) error {
		switch d.Type() {
		case unix.NFTA_EXPR_NAME:
			name = d.String()
		case unix.NFTA_EXPR_DATA:
			data = d.Bytes()
		default:
		}
		return nil
	}); err != nil {
		return nil, err
	}
	e := empty(name)
	if e == nil {
		return unknown{}, nil
	}
	if name == "ct" {
		// The library takes the direction for a number of four bytes.
		return parseCt(data)
	}
	if err := expr.Unmarshal(family, data, e); err != nil {
		return unknown{}, nil //nolint:nilerr // another version of the kernel may say more.
	}
	if i, ok := e.(*expr.Immediate); ok && i.Register == unix.NFT_REG_VERDICT {
		v := &expr.Verdict{}
		return v, expr.Unmarshal(family, data, v)
	}
	return e, nil
}

// empty returns an expression of that name to fill, nil where it is not understood.
func empty(name string) expr.Any {
	switch name {
	case "meta":
		return &expr.Meta{}
	case "ct":
		return &expr.Ct{}
	case "payload":
		return &expr.Payload{}
	case "cmp":
		return &expr.Cmp{}
	case "range":
		return &expr.Range{}
	case "lookup":
		return &expr.Lookup{}
	case "bitwise":
		return &expr.Bitwise{}
	case "immediate":
		return &expr.Immediate{}
	case "counter":
		return &expr.Counter{}
	case "objref":
		return &expr.Objref{}
	case "reject":
		return &expr.Reject{}
	case "match":
		return &expr.Match{}
	case "target":
		return &expr.Target{}
	case "log":
		return &expr.Log{}
	case "limit":
		return &expr.Limit{}
	default:
		return nil
	}
}

func parseCt(data []byte) (any, error) {
	const dreg, key, sreg = 1, 2, 4 // NFTA_CT_DREG, NFTA_CT_KEY, NFTA_CT_SREG
	e := &expr.Ct{}
	err := nested(data, func(d *netlink.AttributeDecoder) error {
		switch d.Type() {
		case dreg:
			e.Register = d.Uint32()
		case key:
			e.Key = expr.CtKey(d.Uint32())
		case sreg:
			e.Register, e.SourceRegister = d.Uint32(), true
		default:
		}
		return nil
	})
	return e, err
}

// dump calls fn with each attribute of all that the kernel lists.
func dump(message netlink.HeaderType, family nftables.TableFamily, what map[uint16]string, fn func(*netlink.AttributeDecoder) error) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	e := netlink.NewAttributeEncoder()
	for key, value := range what {
		e.String(key, value)
	}
	body, err := e.Encode()
	if err != nil {
		return err
	}
	messages, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | message, Flags: netlink.Request | netlink.Dump},
		Data:   append([]byte{byte(family), 0, 0, 0}, body...),
	})
	if err != nil {
		return err
	}
	for _, m := range messages {
		const header = 4 // struct nfgenmsg
		if len(m.Data) < header {
			continue
		}
		if err := nested(m.Data[header:], fn); err != nil {
			return err
		}
	}
	return nil
}
