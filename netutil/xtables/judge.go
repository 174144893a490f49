package xtables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// A Packet is the first of a new flow that the host is about to forward.
type Packet struct {
	In, Out             string // names of links
	Source, Destination netip.Addr
	Proto               uint8
	Mark                uint32
}

// A Verdict is what the legacy FORWARD chain of the packet's family does.
type Verdict struct {
	Command string // of the family, such as ip6tables-legacy
	Drop    bool
	// Policy is set where no rule decided, but the chain's policy.
	Policy bool
	// Unsure is set where a rule came before that may match or not.
	Unsure bool
}

// Forward returns what the legacy filter table does with a packet, and false
// where there is none. What it cannot know of a packet no rule matches.
func (c *Conn) Forward(p Packet) (Verdict, bool, error) {
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	t := c.tables[0]
	if p.Destination.Is6() {
		t = c.tables[1]
	}
	v := Verdict{Command: t.family.command}
	if !t.inUse() {
		return v, false, nil
	}
	outline, err := t.outline()
	if err != nil {
		return v, false, fmt.Errorf("read rules of %s: %w", t.family.command, err)
	}
	entries, err := t.entries(outline.Size)
	if err != nil {
		return v, false, fmt.Errorf("read rules of %s: %w", t.family.command, err)
	}
	w := walker{layout: t.family.layout, entries: entries, packet: p, policy: int(outline.Underflow[forward]), verdict: &v}
	if err := w.walk(int(outline.Entry[forward])); err != nil {
		return v, false, fmt.Errorf("read rules of %s: %w", t.family.command, err)
	}
	return v, true, nil
}

// A walker does with a packet what the kernel would.
type walker struct {
	layout  layout
	entries []byte
	packet  Packet
	policy  int // offset of the chain's policy
	verdict *Verdict
}

// The verdicts of struct xt_standard_target that are no jumps.
const (
	verdictDrop   = -1
	verdictAccept = -2
	verdictReturn = -5
)

func (w *walker) walk(at int) error {
	var back []int
	// No chain leads to itself, so a table has no more steps than this.
	for range len(w.entries) {
		if at < 0 || at+w.layout.size > len(w.entries) {
			return errMalformed
		}
		target := int(binary.NativeEndian.Uint16(w.entries[at+w.layout.target:]))
		next := int(binary.NativeEndian.Uint16(w.entries[at+w.layout.next:]))
		if target < w.layout.size || next < target || at+next > len(w.entries) {
			return errMalformed
		}
		entry := w.entries[at : at+next]
		is, known := w.matches(entry, target)
		verdict, ok := verdictOf(entry[target:])
		next += at
		if ok && is && !known {
			w.verdict.Unsure = true
		}
		switch {
		case !is || !known || !ok: // on to the next rule
		case verdict == verdictAccept, verdict == verdictDrop:
			w.verdict.Drop, w.verdict.Policy = verdict == verdictDrop, at == w.policy
			return nil
		case verdict == verdictReturn && len(back) > 0:
			next, back = back[len(back)-1], back[:len(back)-1]
		case verdict == verdictReturn:
			next = w.policy
		case verdict >= 0 && verdict != next:
			next, back = verdict, append(back, next)
		}
		at = next
	}
	return errors.New("the rules lead in a circle")
}

// verdictOf returns what a target says, false where the packet goes on.
func verdictOf(b []byte) (int, bool) {
	t, _, ok := cutExtension(b)
	switch {
	case ok && t.name == "REJECT":
		return verdictDrop, true
	case !ok || t.name != "" || len(t.data) < 4:
		return 0, false
	}
	return int(int32(binary.NativeEndian.Uint32(t.data))), true //nolint:gosec // two's complement is meant.
}

// matches reports whether a rule matches, and whether that is known.
func (w *walker) matches(entry []byte, target int) (is, known bool) {
	if !w.layout.header(entry, w.packet) {
		return false, true
	}
	known = true
	for rest := entry[w.layout.size:target]; len(rest) > 0; {
		m, after, ok := cutExtension(rest)
		switch {
		case !ok:
			return true, false
		case m.name == "comment":
		case m.name == "mark" && m.revision == 1 && len(m.data) >= 9:
			mark, mask := binary.NativeEndian.Uint32(m.data), binary.NativeEndian.Uint32(m.data[4:])
			if (w.packet.Mark&mask == mark) == (m.data[8] != 0) {
				return false, true
			}
		default:
			known = false
		}
		rest = after
	}
	return true, known
}

// Flags of a rule that invert a part of its header.
const (
	notIn          = 0x01
	notOut         = 0x02
	notSource      = 0x08
	notDestination = 0x10
	notProto       = 0x40
)

// header reports whether the part of a rule that struct ipt_ip or ip6t_ip6 is
// matches the packet.
func (l layout) header(entry []byte, p Packet) bool {
	const name = 16
	size := 4
	proto, inverted := 80, 83
	if l == layoutIPv6 {
		size, proto, inverted = 16, 128, 132
	}
	flags := entry[inverted]
	field := func(i int) []byte { return entry[i*size : (i+1)*size] }
	links := entry[4*size:]
	link := func(i int) []byte { return links[i*name : (i+1)*name] }
	number := binary.NativeEndian.Uint16(entry[proto:])
	for _, part := range []struct {
		is     bool
		invert byte
	}{
		{masked(p.Source.AsSlice(), field(0), field(2)), notSource},
		{masked(p.Destination.AsSlice(), field(1), field(3)), notDestination},
		{masked(padded(p.In, name), link(0), link(2)), notIn},
		{masked(padded(p.Out, name), link(1), link(3)), notOut},
		{number == 0 || number == uint16(p.Proto), notProto},
	} {
		if part.is == (flags&part.invert != 0) {
			return false
		}
	}
	return true
}

// masked reports whether have is want where the mask has bits.
func masked(have, want, mask []byte) bool {
	if len(have) != len(want) {
		return false
	}
	for i := range have {
		if (have[i]^want[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}

func padded(s string, size int) []byte {
	return slices.Concat([]byte(s), bytes.Repeat([]byte{0}, size))[:size]
}
