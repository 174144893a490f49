package judge

import (
	"encoding/binary"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// An element is one of a set, or the start or end of an interval.
type element struct {
	key, keyEnd []byte
	value       []byte
	verdict     *expr.Verdict
	intervalEnd bool
}

// elements reads a set. The library does not tell the verdicts of a map.
func elements(s *nftables.Set) ([]element, error) {
	var out []element
	err := dump(unix.NFT_MSG_GETSETELEM, s.Table.Family, map[uint16]string{
		unix.NFTA_SET_ELEM_LIST_TABLE: s.Table.Name, unix.NFTA_SET_ELEM_LIST_SET: s.Name,
	}, func(d *netlink.AttributeDecoder) error {
		if d.Type() != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			return nil
		}
		return nested(d.Bytes(), func(d *netlink.AttributeDecoder) error {
			var e element
			err := nested(d.Bytes(), e.read)
			out = append(out, e)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list set %s: %w", s.Name, err)
	}
	return out, nil
}

// nested calls fn with each attribute of b.
func nested(b []byte, fn func(*netlink.AttributeDecoder) error) error {
	d, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return err
	}
	d.ByteOrder = binary.BigEndian
	for d.Next() {
		if err := fn(d); err != nil {
			return err
		}
	}
	return d.Err()
}

func (e *element) read(d *netlink.AttributeDecoder) error {
	const keyEnd = 10 // NFTA_SET_ELEM_KEY_END
	switch d.Type() {
	case unix.NFTA_SET_ELEM_KEY:
		return nested(d.Bytes(), func(d *netlink.AttributeDecoder) error {
			e.key = d.Bytes()
			return nil
		})
	case keyEnd:
		return nested(d.Bytes(), func(d *netlink.AttributeDecoder) error {
			e.keyEnd = d.Bytes()
			return nil
		})
	case unix.NFTA_SET_ELEM_FLAGS:
		e.intervalEnd = d.Uint32()&unix.NFT_SET_ELEM_INTERVAL_END != 0
	case unix.NFTA_SET_ELEM_DATA:
		return nested(d.Bytes(), e.readData)
	default:
	}
	return nil
}

func (e *element) readData(d *netlink.AttributeDecoder) error {
	if d.Type() != unix.NFTA_DATA_VERDICT {
		e.value = d.Bytes()
		return nil
	}
	e.verdict = &expr.Verdict{}
	return nested(d.Bytes(), func(d *netlink.AttributeDecoder) error {
		switch d.Type() {
		case unix.NFTA_VERDICT_CODE:
			e.verdict.Kind = expr.VerdictKind(int32(d.Uint32())) //nolint:gosec // two's complement is meant.
		case unix.NFTA_VERDICT_CHAIN:
			e.verdict.Chain = d.String()
		default:
		}
		return nil
	})
}
