package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"

	"golang.org/x/sys/unix"
)

// rawElement is an element as the kernel has it.
type rawElement struct {
	key     []byte
	keyEnd  []byte // last key of a range, in sets with several parts
	end     bool   // the key is what follows a range, in sets of one part
	data    []byte
	verdict bool
	code    int32
	chain   string
	odd     bool // it has what ours never have, such as a timeout
}

// compile returns what the kernel holds for an element of the set.
func (s Set) compileElement(e Element) ([]rawElement, error) {
	if len(e) != len(s.Type)+len(s.Data) {
		return nil, fmt.Errorf("element %s has %d parts, want %d", e, len(e), len(s.Type)+len(s.Data))
	}
	var r rawElement
	var err error
	keys, data := e[:len(s.Type)], e[len(s.Type):]
	if r.key, err = pack(s.Type, keys); err != nil {
		return nil, err
	}
	if v, ok := s.verdict(data); ok {
		r.verdict = true
		r.code, r.chain = v.verdict()
	} else if r.data, err = pack(s.Data, data); err != nil {
		return nil, err
	}
	if !s.Interval {
		return []rawElement{r}, nil
	}
	if len(keys) > 1 {
		r.keyEnd = packLast(s.Type, keys)
		return []rawElement{r}, nil
	}
	if past := keys[0].past(); past != nil {
		return []rawElement{r, {key: past, end: true}}, nil
	}
	if _, ok := keys[0].(Prefix); ok {
		return []rawElement{r}, nil
	}
	return nil, fmt.Errorf("element %s is no prefix", e)
}

// verdict returns the data of an element of a verdict map.
func (s Set) verdict(data []Value) (Verdict, bool) {
	if len(s.Data) != 1 || s.Data[0] != VerdictType {
		return nil, false
	}
	v, ok := data[0].(Verdict)
	return v, ok
}

// pack returns values one after the other. Several are padded to words each.
func pack(types []Type, values []Value) ([]byte, error) {
	out := make([]byte, 0, packedSize(types))
	for i, v := range values {
		b := v.first()
		if len(b) != types[i].size() || len(b) == 0 {
			return nil, fmt.Errorf("%s is no %s", v, string(types[i]))
		}
		if name, ok := v.(LinkName); ok && (name == "" || len(name) >= len(b)) {
			return nil, fmt.Errorf("link name %s: want 1 to 15 bytes", name)
		}
		out = append(out, b...)
		for len(types) > 1 && len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out, nil
}

// packLast returns the last key of an element whose values may be prefixes.
func packLast(types []Type, values []Value) []byte {
	out := make([]byte, 0, packedSize(types))
	for _, v := range values {
		b := v.first()
		if p, ok := v.(Prefix); ok {
			b = p.last()
		}
		out = append(out, b...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out
}

func packedSize(types []Type) int {
	if len(types) == 1 {
		return types[0].size()
	}
	n := 0
	for _, t := range types {
		n += 4 * words(t.size())
	}
	return n
}

// encode writes the element into a list of elements.
func (r *rawElement) encode(e *encoder) {
	element := e.open(unix.NFTA_LIST_ELEM)
	if r.end {
		e.uint32(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END)
	}
	value := func(t uint16, data []byte) {
		start := e.open(t)
		e.bytes(unix.NFTA_DATA_VALUE, data)
		e.shut(start)
	}
	value(unix.NFTA_SET_ELEM_KEY, r.key)
	if r.keyEnd != nil {
		value(setElemKeyEnd, r.keyEnd)
	}
	switch {
	case r.verdict:
		data := e.open(unix.NFTA_SET_ELEM_DATA)
		verdict := e.open(unix.NFTA_DATA_VERDICT)
		e.uint32(unix.NFTA_VERDICT_CODE, uint32(r.code)) //nolint:gosec // two's complement is meant.
		if r.chain != "" {
			e.string(unix.NFTA_VERDICT_CHAIN, r.chain)
		}
		e.shut(verdict)
		e.shut(data)
	case len(r.data) > 0:
		value(unix.NFTA_SET_ELEM_DATA, r.data)
	}
	e.shut(element)
}

// setElemKeyEnd is NFTA_SET_ELEM_KEY_END of linux/netfilter/nf_tables.h.
const setElemKeyEnd = 10

// parseElement reads an element that the kernel listed.
func parseElement(b []byte) rawElement {
	var r rawElement
	value := func(b []byte) []byte {
		for t, v := range attrs(b) {
			switch t {
			case unix.NFTA_DATA_VALUE:
				return v
			case unix.NFTA_DATA_VERDICT:
				r.verdict = true
				for t, v := range attrs(v) {
					switch t {
					case unix.NFTA_VERDICT_CODE:
						r.code = int32(number(v)) //nolint:gosec // two's complement is meant.
					case unix.NFTA_VERDICT_CHAIN:
						r.chain = text(v)
					}
				}
			}
		}
		return nil
	}
	for t, v := range attrs(b) {
		switch t {
		case unix.NFTA_SET_ELEM_KEY:
			r.key = value(v)
		case setElemKeyEnd:
			r.keyEnd = value(v)
		case unix.NFTA_SET_ELEM_DATA:
			r.data = value(v)
		case unix.NFTA_SET_ELEM_FLAGS:
			flags := number(v)
			r.end = flags&unix.NFT_SET_ELEM_INTERVAL_END != 0
			r.odd = r.odd || flags&^unix.NFT_SET_ELEM_INTERVAL_END != 0
		case unix.NFTA_SET_ELEM_USERDATA, unix.NFTA_SET_ELEM_PAD:
		default:
			r.odd = true
		}
	}
	return r
}

// hashes returns numbers that are the same for elements with the same key of
// the same set, and for elements that are the same.
func (r *rawElement) hashes(h *maphash.Hash, set string) (key, all uint64) {
	h.Reset()
	hashPart(h, []byte(set))
	hashPart(h, r.key)
	hashPart(h, r.keyEnd)
	hashFlags(h, r.end, false, false)
	key = h.Sum64()
	hashPart(h, r.data)
	hashFlags(h, r.verdict, r.odd, true)
	var code [4]byte
	binary.NativeEndian.PutUint32(code[:], uint32(r.code)) //nolint:gosec // any number will do.
	h.Write(code[:])
	h.WriteString(r.chain)
	return key, h.Sum64()
}

func hashPart(h *maphash.Hash, b []byte) {
	h.WriteByte(byte(len(b)))
	h.Write(b)
}

func hashFlags(h *maphash.Hash, flags ...bool) {
	for _, f := range flags {
		b := byte(0)
		if f {
			b = 1
		}
		h.WriteByte(b)
	}
}

// setKey names a set of ours.
type setKey struct {
	family Family
	name   string
}

func (k setKey) String() string { return string(k.family) + " " + k.name }

// maxList is how many bytes of elements go into one message: a length has 16
// bits. The kernel handles no more than a few hundred elements well at once.
const (
	maxList     = 60_000
	maxElements = 500
)

// addElements adds messages that add or delete elements of one set.
func (b *batch) addElements(msg uint16, k setKey, elements []rawElement) {
	name, flags := "add elements to ", uint16(unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	if msg == unix.NFT_MSG_DELSETELEM {
		name, flags = "delete elements of ", 0
	}
	for len(elements) > 0 {
		b.add(msg, flags, k.family.number(), name+k.String(), func(e *encoder) {
			e.string(unix.NFTA_SET_ELEM_LIST_TABLE, Owner)
			e.string(unix.NFTA_SET_ELEM_LIST_SET, k.name)
			list := e.open(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
			n := 0
			for ; n < len(elements) && n < maxElements && len(e.b)-list < maxList; n++ {
				elements[n].encode(e)
			}
			e.shut(list)
			elements = elements[n:]
		})
	}
}

// elements lists a set of ours.
func (s *socket) elements(k setKey, fn func(*rawElement)) error {
	return s.request(unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, k.family.number(), func(e *encoder) {
		e.string(unix.NFTA_SET_ELEM_LIST_TABLE, Owner)
		e.string(unix.NFTA_SET_ELEM_LIST_SET, k.name)
	}, func(_ uint16, b []byte) error {
		for t, list := range attrs(b) {
			if t != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
				continue
			}
			for _, b := range attrs(list) {
				r := parseElement(b)
				if r.key == nil && !r.odd {
					return errors.New("element without a key")
				}
				fn(&r)
			}
		}
		return nil
	})
}
