package judge

import (
	"bytes"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// A set is one with its elements in the order of their keys.
type set struct {
	elements []element
	interval bool
}

// set reads a set once.
func (m *machine) set(t *nftables.Table, name string) (*set, error) {
	key := place{t.Family, t.Name, name}
	if s, ok := m.sets[key]; ok {
		return s, nil
	}
	info, err := m.conn.GetSetByName(t, name)
	if err != nil {
		return nil, err
	}
	s := &set{interval: info.Interval}
	if s.elements, err = elements(info); err != nil {
		return nil, err
	}
	// Where an interval ends and the next starts, the start counts.
	slices.SortStableFunc(s.elements, func(a, b element) int {
		if order := bytes.Compare(a.key, b.key); order != 0 || a.intervalEnd == b.intervalEnd {
			return order
		}
		if a.intervalEnd {
			return -1
		}
		return 1
	})
	m.sets[key] = s
	return s, nil
}

// lookup finds what the registers hold in a set, and loads what a map has for it.
func (m *machine) lookup(t *nftables.Table, x *expr.Lookup, r *registers, e *evaluation) (answer, error) {
	s, err := m.set(t, x.SetName)
	if err != nil {
		return no, err
	}
	element, found := s.find(r, x.SourceRegister)
	if found == maybe {
		return maybe, nil
	}
	if x.Invert {
		return answerOf(found == no), nil
	}
	if found == yes && element.verdict != nil {
		e.verdict = element.verdict
	} else if found == yes && x.IsDestRegSet {
		r.write(x.DestRegister, element.value)
	}
	return found, nil
}

// find returns the element that the registers hold.
func (s *set) find(r *registers, register uint32) (element, answer) {
	if len(s.elements) == 0 {
		return element{}, no
	}
	key, ok := r.read(register, len(s.elements[0].key))
	if !ok {
		return element{}, maybe
	}
	if slices.ContainsFunc(s.elements, func(e element) bool { return e.keyEnd != nil }) {
		return s.inRange(key)
	}
	// An interval is a start and an end, which is not of it.
	for _, e := range slices.Backward(s.elements) {
		switch order := bytes.Compare(e.key, key); {
		case order > 0:
		case e.intervalEnd:
			return element{}, no
		case order == 0 || s.interval:
			return e, yes
		default:
			return element{}, no
		}
	}
	return element{}, no
}

// inRange is find in a set of concatenations with an end each.
func (s *set) inRange(key []byte) (element, answer) {
	for _, e := range s.elements {
		end := e.keyEnd
		if end == nil {
			end = e.key
		}
		switch {
		case bytes.Equal(e.key, key) || bytes.Equal(end, key):
			return e, yes
		case bytes.Compare(key, e.key) > 0 && bytes.Compare(key, end) < 0:
			return element{}, maybe // Where a field ends is not known.
		}
	}
	return element{}, no
}
