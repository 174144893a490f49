package nft

import (
	"fmt"
	"strings"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Statement is one step of a rule: a match, which may end the rule, or an
// action. The statements of this package are all there are.
type Statement interface {
	fmt.Stringer
	compile() []expr.Any
}

// Field is a property of a packet that can be looked up in a set.
type Field string

// The fields.
const (
	InputName  Field = "iifname" // link that the packet came in by
	OutputName Field = "oifname" // link that it goes out by
	IPv4Source Field = "ip saddr"
)

// In matches packets whose fields are an element of a set, or, with Not, are not.
type In struct {
	Fields []Field
	Not    bool
	Set    string
}

// String returns the match as nft prints it.
func (m In) String() string {
	names := make([]string, len(m.Fields))
	for i, f := range m.Fields {
		names[i] = string(f)
	}
	not := ""
	if m.Not {
		not = "!= "
	}
	return fmt.Sprintf("%s %s@%s", strings.Join(names, " . "), not, m.Set)
}

func (m In) compile() []expr.Any {
	var guard, load []expr.Any
	word := 0
	for _, f := range m.Fields {
		switch f {
		case InputName:
			load = append(load, &expr.Meta{Key: expr.MetaKeyIIFNAME, Register: register(word)})
			word += 4
		case OutputName:
			load = append(load, &expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register(word)})
			word += 4
		case IPv4Source:
			guard = append(guard,
				&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: unix.NFT_REG_1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{unix.NFPROTO_IPV4}})
			load = append(load, &expr.Payload{
				DestRegister: register(word), Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4,
			})
			word++
		}
	}
	lookup := &expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: m.Set, Invert: m.Not}
	return append(append(guard, load...), lookup)
}

// register returns the register that starts at a 32-bit word, by the number
// that the kernel gives it when it is read back.
func register(word int) uint32 {
	if word%4 == 0 {
		return unix.NFT_REG_1 + uint32(word/4)
	}
	return unix.NFT_REG32_00 + uint32(word)
}

// metaOutputKind is NFT_META_OIFKIND of linux/netfilter/nf_tables.h.
const metaOutputKind expr.MetaKey = 27

// OutputKind matches packets that go out by a link of a kind, such as bridge.
type OutputKind string

// String returns the match as nft prints it.
func (k OutputKind) String() string { return fmt.Sprintf("meta oifkind %q", string(k)) }

func (k OutputKind) compile() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: metaOutputKind, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: LinkName(k).first()},
	}
}

// Match is a match that needs nothing to be said about it.
type Match string

// Established matches packets of flows that had an answer, and errors about them.
const Established Match = "ct state established,related"

// String returns the match as nft prints it.
func (m Match) String() string { return string(m) }

func (m Match) compile() []expr.Any {
	const states = expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: unix.NFT_REG_1},
		bitwise(states, 0),
		&expr.Cmp{Op: expr.CmpOpNeq, Register: unix.NFT_REG_1, Data: native(0)},
	}
}

// MarkHas matches packets whose mark has all of these bits.
type MarkHas uint32

// String returns the match as nft prints it.
func (m MarkHas) String() string {
	return fmt.Sprintf("meta mark & %#08x == %#08x", uint32(m), uint32(m))
}

func (m MarkHas) compile() []expr.Any { return compareMark(uint32(m), uint32(m)) }

// MarkLacks matches packets whose mark has none of these bits.
type MarkLacks uint32

// String returns the match as nft prints it.
func (m MarkLacks) String() string {
	return fmt.Sprintf("meta mark & %#08x == 0x00000000", uint32(m))
}

func (m MarkLacks) compile() []expr.Any { return compareMark(uint32(m), 0) }

func compareMark(mask, want uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
		bitwise(mask, 0),
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: native(want)},
	}
}

// SetMark sets these bits of the packet's mark and leaves the others.
type SetMark uint32

// String returns the action as nft prints it.
func (m SetMark) String() string {
	return fmt.Sprintf("meta mark set meta mark | %#08x", uint32(m))
}

func (m SetMark) compile() []expr.Any { return changeMark(^uint32(m), uint32(m)) }

// ClearMark clears these bits of the packet's mark and leaves the others.
type ClearMark uint32

// String returns the action as nft prints it.
func (m ClearMark) String() string {
	return fmt.Sprintf("meta mark set meta mark & %#08x", ^uint32(m))
}

func (m ClearMark) compile() []expr.Any { return changeMark(^uint32(m), 0) }

func changeMark(mask, xor uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
		bitwise(mask, xor),
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: unix.NFT_REG_1},
	}
}

func bitwise(mask, xor uint32) *expr.Bitwise {
	return &expr.Bitwise{
		SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
		Mask: native(mask), Xor: native(xor),
	}
}

// native returns v as the kernel keeps a mark: in the byte order of the host.
func native(v uint32) []byte { return binaryutil.NativeEndian.PutUint32(v) }

// Goto goes on in another chain of the table and does not come back.
type Goto string

// String returns the action as nft prints it.
func (g Goto) String() string { return "goto " + string(g) }

func (g Goto) compile() []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: string(g)}}
}

// Action is an action that needs nothing to be said about it.
type Action string

// The actions.
const (
	Accept     Action = "accept"     // ends the chain; later chains may still drop
	Drop       Action = "drop"       // ends the packet
	Return     Action = "return"     // ends the chain
	Count      Action = "counter"    // counts packets and bytes
	Masquerade Action = "masquerade" // the address of the output link becomes the source
)

// String returns the action as nft prints it, without counts.
func (a Action) String() string { return string(a) }

func (a Action) compile() []expr.Any {
	switch a {
	case Accept:
		return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}
	case Drop:
		return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}
	case Return:
		return []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}}
	case Count:
		return []expr.Any{&expr.Counter{}}
	case Masquerade:
		return []expr.Any{&expr.Masq{}}
	}
	return nil
}

func (r Rule) compile() []expr.Any {
	var exprs []expr.Any
	for _, s := range r {
		exprs = append(exprs, s.compile()...)
	}
	return exprs
}
