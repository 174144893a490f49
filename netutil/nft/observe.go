package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// state is what the kernel holds of ours and where it would hold more.
type state struct {
	tables  map[Family][]string // images; an absent table has none
	foreign []foreignChain
}

// observe reads the state between two transactions, not across one. The error
// is EAGAIN where others leave no time for it.
func (c *Conn) observe() (state, error) {
	for range attempts {
		before, err := c.generation()
		if err != nil {
			return state{}, err
		}
		s, err := c.observeOnce()
		after, errAfter := c.generation()
		if errAfter != nil {
			return state{}, errAfter
		}
		if before == after {
			return s, err
		}
	}
	return state{}, fmt.Errorf("read nftables: %w", unix.EAGAIN)
}

func (c *Conn) observeOnce() (state, error) {
	s := state{tables: make(map[Family][]string)}
	chains, err := c.nf.ListChains()
	if err != nil {
		return s, fmt.Errorf("list chains: %w", err)
	}
	tables, err := c.nf.ListTables()
	if err != nil {
		return s, fmt.Errorf("list tables: %w", err)
	}
	for _, f := range families() {
		want := f.table()
		i := slices.IndexFunc(tables, func(t *nftables.Table) bool {
			return t.Family == want.Family && t.Name == want.Name
		})
		if i < 0 {
			continue
		}
		if s.tables[f], err = c.observeTable(tables[i], chains); err != nil {
			return s, err
		}
	}
	for _, chain := range chains {
		if isForeignForward(chain) {
			rules, err := c.rules(chain)
			if err != nil {
				return s, err
			}
			s.foreign = append(s.foreign, foreignChain{chain: chain, rules: rules})
		}
	}
	return s, nil
}

func (c *Conn) observeTable(t *nftables.Table, chains []*nftables.Chain) ([]string, error) {
	var b imageBuilder
	b.table(t)
	for _, chain := range chains {
		if chain.Table.Family != t.Family || chain.Table.Name != t.Name {
			continue
		}
		b.chain(chain)
		rules, err := c.rules(chain)
		if err != nil {
			return nil, err
		}
		for i, r := range rules {
			b.rule(chain.Name, i, r.text)
		}
	}
	sets, err := c.nf.GetSets(t)
	if err != nil {
		return nil, fmt.Errorf("list sets: %w", err)
	}
	for _, s := range sets {
		b.set(s)
		elements, err := c.nf.GetSetElements(s)
		if err != nil {
			return nil, fmt.Errorf("list set %s: %w", s.Name, err)
		}
		b.elements(s.Name, elements)
	}
	return b.image(), nil
}

// rule is a rule that the kernel holds.
type rule struct {
	handle  uint64
	text    string // of its expressions, comparable
	comment string
}

// rules reads a chain. google/nftables drops expressions that it does not
// know, and stops at one that it cannot read; in other people's chains there
// may be any.
func (c *Conn) rules(chain *nftables.Chain) ([]rule, error) {
	attrs, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_RULE_TABLE, Data: []byte(chain.Table.Name + "\x00")},
		{Type: unix.NFTA_RULE_CHAIN, Data: []byte(chain.Name + "\x00")},
	})
	if err != nil {
		return nil, err
	}
	msgs, err := c.execute(unix.NFT_MSG_GETRULE, netlink.Dump, byte(chain.Table.Family), attrs)
	if err != nil {
		return nil, fmt.Errorf("list rules of chain %s: %w", chain.Name, err)
	}
	var rules []rule
	for _, m := range msgs {
		r, err := parseRule(byte(chain.Table.Family), m.Data[nfgenSize:])
		if err != nil {
			return nil, fmt.Errorf("read rule of chain %s: %w", chain.Name, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseRule(family byte, data []byte) (rule, error) {
	var r rule
	ad, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return r, err
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_RULE_HANDLE:
			r.handle = ad.Uint64()
		case unix.NFTA_RULE_USERDATA:
			r.comment = userComment(ad.Bytes())
		case unix.NFTA_RULE_EXPRESSIONS:
			ad.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					e, err := parseExpression(list.Bytes())
					if err != nil {
						return err
					}
					r.text += e.text(family) + "\n"
					if r.comment == "" {
						r.comment = e.comment()
					}
				}
				return nil
			})
		}
	}
	return r, ad.Err()
}

// generation returns the number of the last transaction.
func (c *Conn) generation() (uint32, error) {
	msgs, err := c.execute(unix.NFT_MSG_GETGEN, 0, unix.NFPROTO_UNSPEC, nil)
	if err != nil {
		return 0, fmt.Errorf("read nftables generation: %w", err)
	}
	for _, m := range msgs {
		ad, err := netlink.NewAttributeDecoder(m.Data[nfgenSize:])
		if err != nil {
			return 0, fmt.Errorf("read nftables generation: %w", err)
		}
		ad.ByteOrder = binary.BigEndian
		for ad.Next() {
			if ad.Type() == unix.NFTA_GEN_ID {
				return ad.Uint32(), nil
			}
		}
	}
	return 0, errors.New("read nftables generation: the kernel's answer has none")
}

func ruleText(family byte, exprs []expr.Any) (string, error) {
	var text strings.Builder
	for _, e := range exprs {
		b, err := expr.Marshal(family, e)
		if err != nil {
			return "", err
		}
		parsed, err := parseExpression(b)
		if err != nil {
			return "", err
		}
		text.WriteString(parsed.text(family) + "\n")
	}
	return text.String(), nil
}
