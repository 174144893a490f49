package nft

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Statement is one step of a rule: a match, which may end the rule, or an
// action. The statements of this package are all there are.
type Statement interface {
	fmt.Stringer
	compile(Family) []expr.Any
}

// In matches packets whose fields are an element of a set, or, with Not, are not.
type In struct {
	Fields []Field
	Not    bool
	Set    string
}

// String returns the match as nft prints it.
func (m In) String() string { return join(m.Fields, " . ") + not(m.Not) + " @" + m.Set }

func not(not bool) string {
	if not {
		return " !="
	}
	return ""
}

func (m In) compile(f Family) []expr.Any {
	return append(loadAll(f, m.Fields),
		&expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: m.Set, Invert: m.Not})
}

// VMap does what a verdict map has for the packet's fields; where it has
// nothing the rule ends.
type VMap struct {
	Fields []Field
	Map    string
}

// String returns the statement as nft prints it.
func (m VMap) String() string { return join(m.Fields, " . ") + " vmap @" + m.Map }

func (m VMap) compile(f Family) []expr.Any {
	return append(loadAll(f, m.Fields), &expr.Lookup{
		SourceRegister: unix.NFT_REG_1, SetName: m.Map,
		DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true,
	})
}

// Is matches packets with one value in a field, or, with Not, with any other.
type Is struct {
	Field Field
	Not   bool
	Value Value
}

// String returns the match as nft prints it.
func (m Is) String() string {
	value := m.Value.String()
	if n, ok := m.Value.(Number); ok && m.Field == NDOptionType {
		value = fmt.Sprintf("%#x", uint16(n))
	}
	return string(m.Field) + not(m.Not) + " " + value
}

func (m Is) compile(f Family) []expr.Any {
	data := m.Value.first()
	if _, ok := m.Value.(Number); ok && m.Field.size() == 1 {
		data = data[1:]
	}
	return append(loadAll(f, []Field{m.Field}), compare(m.Not, data))
}

func compare(not bool, data []byte) expr.Any {
	op := expr.CmpOpEq
	if not {
		op = expr.CmpOpNeq
	}
	return &expr.Cmp{Op: op, Register: unix.NFT_REG_1, Data: data}
}

// Within matches packets with an address of a prefix, or, with Not, of none in it.
type Within struct {
	Field  Field
	Not    bool
	Prefix netip.Prefix
}

// String returns the match as nft prints it.
func (m Within) String() string {
	return string(m.Field) + not(m.Not) + " " + Prefix(m.Prefix).String()
}

func (m Within) compile(f Family) []expr.Any {
	out := loadAll(f, []Field{m.Field})
	if bits := m.Prefix.Bits(); !m.Prefix.IsSingleIP() {
		mask := make([]byte, m.Field.size())
		for i := range bits {
			mask[i/8] |= 0x80 >> (i % 8)
		}
		out = append(out, &expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: uint32(len(mask)),
			Mask: mask, Xor: make([]byte, len(mask)),
		})
	}
	return append(out, compare(m.Not, Prefix(m.Prefix).first()))
}

// NamePrefix matches packets of links whose name starts with a text.
type NamePrefix struct {
	Field  Field // InputName or OutputName
	Prefix string
}

// String returns the match as nft prints it.
func (m NamePrefix) String() string { return string(m.Field) + " " + strconv.Quote(m.Prefix+"*") }

func (m NamePrefix) compile(Family) []expr.Any {
	return []expr.Any{m.Field.load(0), compare(false, []byte(m.Prefix))}
}

// Extension matches packets with an IPv6 extension header, of a name that nft
// has for it: frag, rt, hbh or dst.
type Extension string

// String returns the match as nft prints it.
func (x Extension) String() string { return "exthdr " + string(x) + " exists" }

func (x Extension) compile(f Family) []expr.Any {
	number := map[Extension]uint8{"hbh": 0, "rt": 43, "frag": 44, "dst": 60}[x]
	return append(isIPv6.compile(f),
		&expr.Exthdr{
			DestRegister: unix.NFT_REG_1, Type: number, Len: 1,
			Flags: unix.NFT_EXTHDR_F_PRESENT, Op: expr.ExthdrOpIpv6,
		},
		compare(false, []byte{1}))
}

// Match is a match that needs nothing to be said about it.
type Match string

// The matches.
const (
	Established       Match = "ct state established,related" // of flows that had an answer, and errors about them
	Invalid           Match = "ct state invalid"             // of no flow; so are all of Neighbor Discovery
	New               Match = "ct state new"
	Untracked         Match = "ct state untracked"    // of what conntrack is told to leave alone
	DNATed            Match = "ct status dnat"        // of flows whose destination was rewritten
	OriginalDirection Match = "ct direction original" // from who started the flow
	ToLocal           Match = "fib daddr type local"  // to an address of the host
)

// String returns the match as nft prints it.
func (m Match) String() string { return string(m) }

func (m Match) compile(Family) []expr.Any {
	bits := func(key expr.CtKey, bits uint32) []expr.Any {
		return []expr.Any{
			&expr.Ct{Key: key, Register: unix.NFT_REG_1},
			bitwise(bits, 0),
			compare(true, native(0)),
		}
	}
	switch m {
	case Established:
		return bits(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
	case Invalid:
		return bits(expr.CtKeySTATE, expr.CtStateBitINVALID)
	case New:
		return bits(expr.CtKeySTATE, expr.CtStateBitNEW)
	case Untracked:
		return bits(expr.CtKeySTATE, expr.CtStateBitUNTRACKED)
	case DNATed:
		const destinationNAT = 1 << 5 // IPS_DST_NAT
		return bits(expr.CtKeySTATUS, destinationNAT)
	case OriginalDirection:
		return []expr.Any{&expr.Ct{Key: expr.CtKeyDIRECTION, Register: unix.NFT_REG_1}, compare(false, []byte{0})}
	case ToLocal:
		return []expr.Any{
			&expr.Fib{Register: unix.NFT_REG_1, ResultADDRTYPE: true, FlagDADDR: true},
			compare(false, native(unix.RTN_LOCAL)),
		}
	}
	return nil
}

// Limit matches packets up to a rate.
type Limit struct {
	Rate  uint64 // packets per second
	Burst uint32 // packets at once
}

// String returns the match as nft prints it.
func (l Limit) String() string {
	return fmt.Sprintf("limit rate %d/second burst %d packets", l.Rate, l.Burst)
}

func (l Limit) compile(Family) []expr.Any {
	return []expr.Any{&expr.Limit{Type: expr.LimitTypePkts, Rate: l.Rate, Unit: expr.LimitTimeSecond, Burst: l.Burst}}
}

// The link kinds of linux/netfilter/nf_tables.h.
const (
	metaInputKind  expr.MetaKey = 26 // NFT_META_IIFKIND
	metaOutputKind expr.MetaKey = 27 // NFT_META_OIFKIND
)

// InputKind matches packets that came in by a link of a kind, such as bridge.
type InputKind string

// String returns the match as nft prints it.
func (k InputKind) String() string { return "meta iifkind " + strconv.Quote(string(k)) }

func (k InputKind) compile(Family) []expr.Any { return metaIs(metaInputKind, LinkName(k).first()) }

// OutputKind matches packets that go out by a link of a kind, such as bridge.
type OutputKind string

// String returns the match as nft prints it.
func (k OutputKind) String() string { return "meta oifkind " + strconv.Quote(string(k)) }

func (k OutputKind) compile(Family) []expr.Any { return metaIs(metaOutputKind, LinkName(k).first()) }
