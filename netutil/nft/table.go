package nft

import (
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

// chunk is how many elements go into one message: its length has 16 bits.
const chunk = 500

// kernelTable is a table as the netlink messages that make it describe it.
type kernelTable struct {
	table    *nftables.Table
	sets     []*nftables.Set
	elements map[string][]nftables.SetElement // by name of the set
	chains   []*nftables.Chain
	rules    map[string][][]expr.Any // by name of the chain
}

// check finds what the kernel would refuse without saying why, or cut off.
func (r Ruleset) check() error {
	for _, t := range r.Tables {
		for _, s := range t.Sets {
			for _, e := range s.Elements {
				if len(e) != len(s.Type) {
					return fmt.Errorf("set %s: element %s has %d parts, want %d", s.Name, e, len(e), len(s.Type))
				}
				for _, v := range e {
					if name, ok := v.(LinkName); ok && (name == "" || len(name) > 15) {
						return fmt.Errorf("set %s: link name %s: want 1 to 15 bytes", s.Name, name)
					}
				}
			}
		}
	}
	return nil
}

// families are those that a table of ours can have.
func families() []Family { return []Family{Inet} }

func (f Family) table() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyINet, Name: Owner}
}

func (t Table) compile() (*kernelTable, error) {
	out := &kernelTable{
		table:    t.Family.table(),
		elements: make(map[string][]nftables.SetElement),
		rules:    make(map[string][][]expr.Any),
	}
	for _, s := range t.Sets {
		set, err := s.compile(out.table)
		if err != nil {
			return nil, err
		}
		out.sets = append(out.sets, set)
		out.elements[s.Name] = s.compileElements()
	}
	for _, c := range t.Chains {
		chain := &nftables.Chain{Name: c.Name, Table: out.table}
		if c.Hook != nil {
			policy := nftables.ChainPolicyAccept
			chain.Type = nftables.ChainType(c.Hook.Type)
			chain.Hooknum = new(nftables.ChainHook(c.Hook.Point.number()))
			chain.Priority = new(nftables.ChainPriority(c.Hook.Priority))
			chain.Policy = &policy
		}
		out.chains = append(out.chains, chain)
		for _, r := range c.Rules {
			out.rules[c.Name] = append(out.rules[c.Name], r.compile(t.Family))
		}
	}
	return out, nil
}

func (s Set) compile(t *nftables.Table) (*nftables.Set, error) {
	parts := make([]nftables.SetDatatype, len(s.Type))
	for i, p := range s.Type {
		parts[i] = datatype(p)
	}
	key, err := nftables.ConcatSetType(parts...)
	if err != nil {
		return nil, fmt.Errorf("set %s: %w", s.Name, err)
	}
	set := &nftables.Set{
		Table: t, Name: s.Name, KeyType: key, Interval: s.Interval,
		Concatenation: len(parts) > 1, // else nft crashes when it lists the set
	}
	if slices.Contains(s.Type, LinkNameType) {
		set.KeyByteOrder = binaryutil.NativeEndian // else nft lists the names as ""
	}
	return set, nil
}

func (s Set) compileElements() []nftables.SetElement {
	var out []nftables.SetElement
	for _, e := range s.Elements {
		var key []byte
		for _, v := range e {
			key = append(key, v.first()...)
		}
		out = append(out, nftables.SetElement{Key: key})
		if s.Interval {
			if past := e[0].past(); past != nil {
				out = append(out, nftables.SetElement{Key: past, IntervalEnd: true})
			}
		}
	}
	return out
}

// queue adds the messages that replace the table to the next transaction.
func (t *kernelTable) queue(nf *nftables.Conn) error {
	nf.AddTable(t.table) // so that there is one to delete
	nf.DelTable(t.table)
	nf.AddTable(t.table)
	for _, s := range t.sets {
		if err := nf.AddSet(s, nil); err != nil {
			return fmt.Errorf("add set %s: %w", s.Name, err)
		}
		for elements := range slices.Chunk(t.elements[s.Name], chunk) {
			if err := nf.SetAddElements(s, elements); err != nil {
				return fmt.Errorf("add elements to set %s: %w", s.Name, err)
			}
		}
	}
	for _, c := range t.chains {
		nf.AddChain(c)
	}
	for _, c := range t.chains {
		for _, exprs := range t.rules[c.Name] {
			nf.AddRule(&nftables.Rule{Table: t.table, Chain: c, Exprs: withSetIDs(exprs, t.sets)})
		}
	}
	return nil
}

// withSetIDs completes lookups: in the transaction that makes a set, rules
// find it by its number.
func withSetIDs(exprs []expr.Any, sets []*nftables.Set) []expr.Any {
	for _, e := range exprs {
		if lookup, ok := e.(*expr.Lookup); ok {
			for _, s := range sets {
				if s.Name == lookup.SetName {
					lookup.SetID = s.ID
				}
			}
		}
	}
	return exprs
}

func datatype(t Type) nftables.SetDatatype {
	if t == IPv4Type {
		return nftables.TypeIPAddr
	}
	return nftables.TypeIFName
}
