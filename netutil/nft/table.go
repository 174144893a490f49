package nft

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// kernelTable is a table as the netlink messages that make it describe it,
// but for elements.
type kernelTable struct {
	source Table
	text   string
	rules  map[string][]kernelRule // by the name of the chain
	image  string
}

// kernelRule is a rule's expressions, for a message and comparable.
type kernelRule struct {
	list []byte
	text string
}

// number returns the kernel's number for the family.
func (f Family) number() byte {
	if f == Bridge {
		return unix.NFPROTO_BRIDGE
	}
	return unix.NFPROTO_INET
}

// families are those that a table of ours can have.
func families() []Family { return []Family{Inet, Bridge} }

func compileTables(tables []Table) ([]*kernelTable, error) {
	out := make([]*kernelTable, len(tables))
	for i, t := range tables {
		var err error
		if out[i], err = t.compile(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t Table) compile() (*kernelTable, error) {
	k := &kernelTable{source: t, text: t.String(), rules: make(map[string][]kernelRule)}
	var image imageBuilder
	for _, c := range t.Counters {
		image.counter(c)
	}
	for _, s := range t.Sets {
		image.set(s.shape())
	}
	for _, c := range t.Chains {
		image.chain(c.shape())
		for i, r := range c.Rules {
			rule, err := compileRule(t.Family.number(), r.compile(t.Family))
			if err != nil {
				return nil, fmt.Errorf("chain %s: rule %s: %w", c.Name, r, err)
			}
			k.rules[c.Name] = append(k.rules[c.Name], rule)
			image.rule(c.Name, i, rule.text)
		}
	}
	k.image = image.String()
	return k, nil
}

func compileRule(family byte, exprs []expr.Any) (kernelRule, error) {
	var out kernelRule
	var list encoder
	for _, e := range exprs {
		b, err := marshal(family, e)
		if err != nil {
			return out, err
		}
		list.bytes(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, b)
		out.text += parseExpression(b).text(family) + "\n"
	}
	out.list = list.b
	return out, nil
}

// setShape is what a set is without its elements.
type setShape struct {
	name             string
	flags            uint32
	keyType, keySize uint32
	dataType         uint32
	dataSize         uint32
}

// Flags of sets that x/sys does not have.
const (
	setConcat   = 0x80 // NFT_SET_CONCAT
	descConcat  = 2    // NFTA_SET_DESC_CONCAT
	verdictData = 0xffffff00
)

func (s Set) shape() setShape {
	out := setShape{name: s.Name, keyType: typeNumber(s.Type), keySize: uint32(packedSize(s.Type))}
	if s.Interval {
		out.flags |= unix.NFT_SET_INTERVAL
	}
	if len(s.Type) > 1 {
		out.flags |= setConcat // else nft crashes when it lists the set
	}
	if s.Data != nil {
		out.flags |= unix.NFT_SET_MAP
		out.dataType, out.dataSize = typeNumber(s.Data), uint32(packedSize(s.Data))
		if s.Data[0] == VerdictType {
			out.dataType, out.dataSize = verdictData, 0
		}
	}
	return out
}

// typeNumber returns nft's number for types one after the other.
func typeNumber(types []Type) uint32 {
	const bits = 6
	n := uint32(0)
	for _, t := range types {
		n = n<<bits | t.number()
	}
	return n
}

// add adds the messages that make the set to a batch.
func (s Set) add(b *batch, family byte, id uint32) {
	shape := s.shape()
	b.add(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE, family, "add set "+s.Name, func(e *encoder) {
		e.string(unix.NFTA_SET_TABLE, Owner)
		e.string(unix.NFTA_SET_NAME, s.Name)
		e.uint32(unix.NFTA_SET_FLAGS, shape.flags)
		e.uint32(unix.NFTA_SET_KEY_TYPE, shape.keyType)
		e.uint32(unix.NFTA_SET_KEY_LEN, shape.keySize)
		if s.Data != nil {
			e.uint32(unix.NFTA_SET_DATA_TYPE, shape.dataType)
		}
		if shape.dataSize != 0 {
			e.uint32(unix.NFTA_SET_DATA_LEN, shape.dataSize)
		}
		e.uint32(unix.NFTA_SET_ID, id)
		if len(s.Type) > 1 {
			desc := e.open(unix.NFTA_SET_DESC)
			list := e.open(descConcat)
			for _, t := range s.Type {
				field := e.open(unix.NFTA_LIST_ELEM)
				e.uint32(1, uint32(t.size())) // NFTA_SET_FIELD_LEN
				e.shut(field)
			}
			e.shut(list)
			e.shut(desc)
		}
		e.bytes(unix.NFTA_SET_USERDATA, s.userData())
	})
}

// userData tells nft how to show the elements: names of links in the byte
// order of the host, else it lists them as "", and that data is ranges, else it
// cannot list what uses them.
func (s Set) userData() []byte {
	const keyByteOrder, dataInterval, host, big = 0, 6, 1, 2
	order := uint32(big)
	for _, t := range s.Type {
		if t == LinkNameType {
			order = host
		}
	}
	out := binary.NativeEndian.AppendUint32([]byte{keyByteOrder, 4}, order)
	if slices.Contains(s.Data, IPv6Range) {
		out = binary.NativeEndian.AppendUint32(append(out, dataInterval, 4), 1)
	}
	return out
}

// policyAccept is NF_ACCEPT of linux/netfilter.h.
const policyAccept = 1

// chainShape is what a chain is without its rules.
type chainShape struct {
	name     string
	base     bool
	kind     string
	hook     uint32
	priority int32
	policy   uint32
}

func (c Chain) shape() chainShape {
	if c.Hook == nil {
		return chainShape{name: c.Name}
	}
	return chainShape{
		name: c.Name, base: true, kind: string(c.Hook.Type), hook: c.Hook.Point.number(),
		priority: int32(c.Hook.Priority), policy: policyAccept, //nolint:gosec // priorities are small.
	}
}

func (c Chain) add(b *batch, table string, family byte) {
	shape := c.shape()
	b.add(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, family, "add chain "+c.Name, func(e *encoder) {
		e.string(unix.NFTA_CHAIN_TABLE, table)
		e.string(unix.NFTA_CHAIN_NAME, c.Name)
		if !shape.base {
			return
		}
		hook := e.open(unix.NFTA_CHAIN_HOOK)
		e.uint32(unix.NFTA_HOOK_HOOKNUM, shape.hook)
		e.uint32(unix.NFTA_HOOK_PRIORITY, uint32(shape.priority)) //nolint:gosec // two's complement is meant.
		e.shut(hook)
		e.uint32(unix.NFTA_CHAIN_POLICY, shape.policy)
		e.string(unix.NFTA_CHAIN_TYPE, shape.kind)
	})
}

// add adds the messages that make the table, which must not be there, with
// elements and the counts of its counters, to a batch.
func (t *kernelTable) add(b *batch, flags uint32, elements map[setKey][]rawElement, counts map[string]Counter) {
	family := t.source.Family.number()
	addTable(b, family, Owner, flags)
	for _, c := range t.source.Counters {
		addCounter(b, family, c, counts[c])
	}
	// Elements name chains, rules name sets, and none of it looks ahead.
	for _, c := range t.source.Chains {
		c.add(b, Owner, family)
	}
	for i, s := range t.source.Sets {
		s.add(b, family, uint32(i+1))
		k := setKey{t.source.Family, s.Name}
		b.addElements(unix.NFT_MSG_NEWSETELEM, k, elements[k])
	}
	for _, c := range t.source.Chains {
		for i, r := range t.rules[c.Name] {
			addRule(b, newRule{
				family: family, table: Owner, chain: c.Name, list: r.list,
				name: fmt.Sprintf("add rule %s to chain %s", c.Rules[i], c.Name),
			})
		}
	}
}

func addTable(b *batch, family byte, name string, flags uint32) {
	b.add(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, family, "add table", func(e *encoder) {
		e.string(unix.NFTA_TABLE_NAME, name)
		e.uint32(unix.NFTA_TABLE_FLAGS, flags)
	})
}

func deleteTable(b *batch, family byte) {
	b.add(unix.NFT_MSG_DELTABLE, 0, family, "delete table", func(e *encoder) {
		e.string(unix.NFTA_TABLE_NAME, Owner)
	})
}

// newRule is a rule to add.
type newRule struct {
	family       byte
	table, chain string
	list         []byte // its expressions
	comment      []byte // nil: none
	after        uint64 // the handle of the rule that it comes behind; 0: the last of the chain
	name         string // for errors
}

func addRule(b *batch, r newRule) {
	b.add(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, r.family, r.name, func(e *encoder) {
		e.string(unix.NFTA_RULE_TABLE, r.table)
		e.string(unix.NFTA_RULE_CHAIN, r.chain)
		exprs := e.open(unix.NFTA_RULE_EXPRESSIONS)
		e.b = append(e.b, r.list...)
		e.shut(exprs)
		if r.after != 0 {
			e.bytes(unix.NFTA_RULE_POSITION, binary.BigEndian.AppendUint64(nil, r.after))
		}
		if r.comment != nil {
			e.bytes(unix.NFTA_RULE_USERDATA, r.comment)
		}
	})
}
