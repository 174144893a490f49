package judge

import (
	"bytes"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
)

// maxDepth is the kernel's limit of jumps.
const maxDepth = 16

// A machine runs rules on one packet.
type machine struct {
	conn   *nftables.Conn
	packet Packet
	mark   uint32
	chains map[place]*nftables.Chain
	sets   map[place]*set
	unsure bool
}

// outcome is what a chain came to.
type outcome struct {
	done    bool // accepted or dropped, else it returned
	drop    bool
	way     []string
	counter string
	packets uint64
	counted bool
}

// walk runs a chain. way are the chains up to it.
func (m *machine) walk(c *nftables.Chain, way []string) (outcome, error) {
	if len(way) > maxDepth {
		return outcome{}, nil
	}
	list, err := rules(c)
	if err != nil {
		return outcome{}, err
	}
	for _, r := range list {
		e, err := m.evaluate(c.Table, r)
		if err != nil {
			return outcome{}, err
		}
		if e.verdict == nil {
			continue
		}
		out := outcome{way: way, counter: e.counter, packets: e.packets, counted: e.counted}
		switch e.verdict.Kind {
		case expr.VerdictAccept:
			out.done = true
			return out, nil
		case expr.VerdictDrop:
			out.done, out.drop = true, true
			return out, nil
		case expr.VerdictReturn:
			return outcome{}, nil
		case expr.VerdictJump, expr.VerdictGoto:
			next, ok := m.chains[place{c.Table.Family, c.Table.Name, e.verdict.Chain}]
			if !ok {
				continue
			}
			out, err := m.walk(next, append(slices.Clone(way), next.Name))
			if err != nil || out.done || e.verdict.Kind == expr.VerdictGoto {
				return out, err
			}
		default:
		}
	}
	return outcome{}, nil
}

// evaluation is what a rule came to: no verdict where it does not match.
type evaluation struct {
	verdict *expr.Verdict
	counter string
	packets uint64
	counted bool
}

// evaluate runs the expressions of a rule.
func (m *machine) evaluate(t *nftables.Table, exprs []any) (evaluation, error) {
	var e evaluation
	var r registers
	doubt := false // something that cannot be known was asked
	for _, x := range exprs {
		matches := yes
		switch x := x.(type) {
		case *expr.Counter:
			e.packets, e.counted = x.Packets, true
		case *expr.Objref:
			if err := m.named(t, x, &e); err != nil {
				return evaluation{}, err
			}
		case *expr.Verdict:
			e.verdict = x
		case *expr.Reject:
			e.verdict = &expr.Verdict{Kind: expr.VerdictDrop}
		case *expr.Target:
			if x.Name == "REJECT" {
				e.verdict = &expr.Verdict{Kind: expr.VerdictDrop}
			}
		case *expr.Match:
			matches = extension(x)
		case *expr.Cmp:
			matches = r.compare(x)
		case *expr.Range:
			matches = r.between(x)
		case *expr.Lookup:
			var err error
			if matches, err = m.lookup(t, x, &r, &e); err != nil {
				return evaluation{}, err
			}
		default:
			matches = m.load(x, &r)
		}
		if matches == no {
			return evaluation{}, nil
		}
		doubt = doubt || matches == maybe
	}
	if doubt {
		m.unsure = m.unsure || e.verdict != nil
		return evaluation{}, nil
	}
	return e, nil
}

// extension answers in the words of iptables-nft that nft has no expression for.
// For a new flow most of them are about others.
func extension(x *expr.Match) answer {
	if x.Name == "comment" {
		return yes
	}
	info, ok := x.Info.(*xt.ConntrackMtinfo3)
	if !ok || info.MatchFlags&^uint16(xt.ConntrackStateAlias) != uint16(xt.ConntrackState) {
		return maybe
	}
	const stateNew = 1 << 3 // of xt_conntrack.h
	inverted := info.InvertFlags&uint16(xt.ConntrackState) != 0
	return answerOf(info.StateMask&stateNew != 0 != inverted)
}

// named finds what a named counter has counted.
func (m *machine) named(t *nftables.Table, ref *expr.Objref, e *evaluation) error {
	const counter = 1 // NFT_OBJECT_COUNTER
	if ref.Type != counter {
		return nil
	}
	obj, err := m.conn.GetObject(&nftables.NamedObj{Table: t, Name: ref.Name, Type: nftables.ObjTypeCounter})
	if err != nil {
		return err
	}
	e.counter, e.counted = ref.Name, true
	if named, ok := obj.(*nftables.NamedObj); ok {
		if c, ok := named.Obj.(*expr.Counter); ok {
			e.packets = c.Packets
		}
	}
	return nil
}

// answer is whether a rule matches.
type answer int

const (
	no answer = iota
	yes
	maybe
)

func answerOf(b bool) answer {
	if b {
		return yes
	}
	return no
}

func (r *registers) compare(c *expr.Cmp) answer {
	have, ok := r.read(c.Register, len(c.Data))
	if !ok {
		return maybe
	}
	order := bytes.Compare(have, c.Data)
	switch c.Op {
	case expr.CmpOpEq:
		return answerOf(order == 0)
	case expr.CmpOpNeq:
		return answerOf(order != 0)
	case expr.CmpOpLt:
		return answerOf(order < 0)
	case expr.CmpOpLte:
		return answerOf(order <= 0)
	case expr.CmpOpGt:
		return answerOf(order > 0)
	default:
		return answerOf(order >= 0)
	}
}

func (r *registers) between(c *expr.Range) answer {
	have, ok := r.read(c.Register, len(c.FromData))
	if !ok {
		return maybe
	}
	inside := bytes.Compare(have, c.FromData) >= 0 && bytes.Compare(have, c.ToData) <= 0
	return answerOf(inside == (c.Op == expr.CmpOpEq))
}
