package xtables

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Bit is the bit of a packet's mark that the rule accepts.
const Bit = 0x10000000

// Comment is the rule's comment, which tells it from all others.
const Comment = "ndp6"

// rule is the accept rule in the words of iptables.
var rule = []string{"FORWARD", "-m", "mark", "--mark", "0x10000000/0x10000000", "-m", "comment", "--comment", Comment, "-j", "ACCEPT"}

// state is what there is of the rule in a FORWARD chain.
type state struct {
	count int  // how often it stands there
	last  bool // the last one is the last of the chain
}

// commands returns the changes that lead from s to the rule once and last, or
// to none. A new rule comes before the old one goes, so that packets pass
// throughout. -D takes the first of several.
func (s state) commands(want bool) []string {
	var actions []string
	stay := 0
	if want {
		stay = 1
		if !s.last {
			actions = append(actions, "-A")
			s.count++
		}
	}
	for range s.count - stay {
		actions = append(actions, "-D")
	}
	return actions
}

// info is struct ipt_getinfo: a table's outline.
type info struct {
	Name       [32]byte
	ValidHooks uint32
	Entry      [5]uint32 // of each hook: offset of its chain's first rule
	Underflow  [5]uint32 // of each hook: offset of its chain's policy, behind the last rule
	Count      uint32
	Size       uint32
}

// forward is NF_INET_FORWARD, an index of info's arrays.
const forward = 2

var filterName = [32]byte{'f', 'i', 'l', 't', 'e', 'r'}

// layout tells where struct ipt_entry or ip6t_entry has its fields.
type layout struct {
	target int // offset of target_offset; all that a rule matches by itself is before
	next   int // offset of next_offset
	size   int // of the struct
	any    int // length of the part that is zero in a rule for every packet
}

var (
	layoutIPv4 = layout{target: 88, next: 90, size: 112, any: 84}
	layoutIPv6 = layout{target: 140, next: 142, size: 168, any: 136}
)

var errMalformed = errors.New("read filter table: malformed rules")

// read finds the accept rule in the FORWARD chain of a table.
func (l layout) read(i info, entries []byte) (state, error) {
	var s state
	end := int(i.Underflow[forward])
	if i.ValidHooks&(1<<forward) == 0 || end > len(entries) {
		return state{}, errMalformed
	}
	for at := int(i.Entry[forward]); at != end; {
		if at < 0 || at+l.size > end {
			return state{}, errMalformed
		}
		target := int(binary.NativeEndian.Uint16(entries[at+l.target:]))
		next := int(binary.NativeEndian.Uint16(entries[at+l.next:]))
		if target < l.size || next < target || at+next > end {
			return state{}, errMalformed
		}
		entry := entries[at : at+next]
		if s.last = l.isOurs(entry, target); s.last {
			s.count++
		}
		at += next
	}
	return s, nil
}

// isOurs reports whether entry is the accept rule, whoever wrote it.
func (l layout) isOurs(entry []byte, target int) bool {
	if bytes.ContainsFunc(entry[:l.any], func(r rune) bool { return r != 0 }) {
		return false
	}
	mark, rest, ok := cutExtension(entry[l.size:target])
	if !ok || mark.name != "mark" || mark.revision != 1 || !isMark(mark.data) {
		return false
	}
	comment, rest, ok := cutExtension(rest)
	if !ok || len(rest) > 0 || comment.name != "comment" || text(comment.data) != Comment {
		return false
	}
	verdict, rest, ok := cutExtension(entry[target:])
	return ok && len(rest) == 0 && verdict.name == "" && isAccept(verdict.data)
}

// extension is a match or a target of a rule.
type extension struct {
	name     string // empty for a bare verdict
	revision byte
	data     []byte
}

// cutExtension reads the struct xt_entry_match or xt_entry_target that b starts with.
func cutExtension(b []byte) (e extension, rest []byte, ok bool) {
	const header, nameAt, revisionAt = 32, 2, 31
	if len(b) < header {
		return extension{}, nil, false
	}
	size := int(binary.NativeEndian.Uint16(b))
	if size < header || size > len(b) {
		return extension{}, nil, false
	}
	return extension{text(b[nameAt:revisionAt]), b[revisionAt], b[header:size]}, b[size:], true
}

// isMark reports whether data is the struct xt_mark_mtinfo1 of our bit.
func isMark(data []byte) bool {
	return len(data) >= 9 && binary.NativeEndian.Uint32(data) == Bit &&
		binary.NativeEndian.Uint32(data[4:]) == Bit && data[8] == 0
}

// isAccept reports whether data is the verdict of struct xt_standard_target that accepts.
func isAccept(data []byte) bool {
	const accept = ^uint32(1) // -NF_ACCEPT - 1
	return len(data) >= 4 && binary.NativeEndian.Uint32(data) == accept
}

// text returns b up to its first zero.
func text(b []byte) string {
	before, _, _ := bytes.Cut(b, []byte{0})
	return string(before)
}
