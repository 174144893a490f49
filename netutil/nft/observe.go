package nft

import (
	"errors"
	"fmt"
	"hash/maphash"

	"golang.org/x/sys/unix"
)

// observedTable is a table of ours as the kernel has it.
type observedTable struct {
	image  string
	tally  map[setKey]tally
	flags  uint32
	owner  uint32 // port of the socket that owns it, 0: nobody
	counts map[string]Counter
}

// observeTable reads a table of ours, nil where there is none.
func (s *socket) observeTable(f Family, seed maphash.Seed) (*observedTable, error) {
	out := &observedTable{tally: make(map[setKey]tally), counts: make(map[string]Counter)}
	err := s.request(unix.NFT_MSG_GETTABLE, 0, f.number(), func(e *encoder) {
		e.string(unix.NFTA_TABLE_NAME, Owner)
	}, func(_ uint16, b []byte) error {
		for t, v := range attrs(b) {
			switch t {
			case unix.NFTA_TABLE_FLAGS:
				out.flags = number(v)
			case tableOwner:
				out.owner = number(v)
			}
		}
		return nil
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	var image imageBuilder
	if err := s.observeChains(f, &image); err != nil {
		return nil, err
	}
	if err := s.observeSets(f, seed, &image, out.tally); err != nil {
		return nil, err
	}
	if out.counts, err = s.counters(f); err != nil {
		return nil, err
	}
	for name := range out.counts {
		image.counter(name)
	}
	out.image = image.String()
	return out, nil
}

func (s *socket) observeChains(f Family, image *imageBuilder) error {
	var chains []chainShape
	err := s.request(unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, f.number(), nil, func(_ uint16, b []byte) error {
		if c, table := parseChain(b); table == Owner {
			chains = append(chains, c)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list chains: %w", err)
	}
	for _, c := range chains {
		image.chain(c)
		rules, err := s.rules(f.number(), Owner, c.name)
		if err != nil {
			return err
		}
		for i, r := range rules {
			image.rule(c.name, i, r.text)
		}
	}
	return nil
}

func parseChain(b []byte) (c chainShape, table string) {
	for t, v := range attrs(b) {
		switch t {
		case unix.NFTA_CHAIN_TABLE:
			table = text(v)
		case unix.NFTA_CHAIN_NAME:
			c.name = text(v)
		case unix.NFTA_CHAIN_POLICY:
			c.policy = number(v)
		case unix.NFTA_CHAIN_TYPE:
			c.kind = text(v)
		case unix.NFTA_CHAIN_HOOK:
			c.base = true
			for t, v := range attrs(v) {
				switch t {
				case unix.NFTA_HOOK_HOOKNUM:
					c.hook = number(v)
				case unix.NFTA_HOOK_PRIORITY:
					c.priority = int32(number(v)) //nolint:gosec // two's complement is meant.
				}
			}
		}
	}
	return c, table
}

func (s *socket) observeSets(f Family, seed maphash.Seed, image *imageBuilder, tallies map[setKey]tally) error {
	var sets []setShape
	err := s.request(unix.NFT_MSG_GETSET, unix.NLM_F_DUMP, f.number(), func(e *encoder) {
		e.string(unix.NFTA_SET_TABLE, Owner)
	}, func(_ uint16, b []byte) error {
		if set, table := parseSet(b); table == Owner {
			sets = append(sets, set)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list sets: %w", err)
	}
	var h maphash.Hash
	h.SetSeed(seed)
	for _, set := range sets {
		image.set(set)
		k := setKey{f, set.name}
		name := k.String()
		var sum tally
		err := s.elements(k, func(r *rawElement) {
			_, all := r.hashes(&h, name)
			sum.count++
			sum.sum += all
		})
		if err != nil {
			return fmt.Errorf("list set %s: %w", set.name, err)
		}
		tallies[k] = sum
	}
	return nil
}

func parseSet(b []byte) (s setShape, table string) {
	for t, v := range attrs(b) {
		switch t {
		case unix.NFTA_SET_TABLE:
			table = text(v)
		case unix.NFTA_SET_NAME:
			s.name = text(v)
		case unix.NFTA_SET_FLAGS:
			s.flags = number(v)
		case unix.NFTA_SET_KEY_TYPE:
			s.keyType = number(v)
		case unix.NFTA_SET_KEY_LEN:
			s.keySize = number(v)
		case unix.NFTA_SET_DATA_TYPE:
			s.dataType = number(v)
		case unix.NFTA_SET_DATA_LEN:
			s.dataSize = number(v)
		}
	}
	if s.dataType == verdictData {
		s.dataSize = 0 // the kernel says how large its own structure is
	}
	return s, table
}

// rule is a rule that the kernel holds.
type rule struct {
	handle  uint64
	text    string // of its expressions, comparable
	comment string
}

// rules reads a chain, in which other people may have anything.
func (s *socket) rules(family byte, table, chain string) ([]rule, error) {
	var rules []rule
	err := s.request(unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, family, func(e *encoder) {
		e.string(unix.NFTA_RULE_TABLE, table)
		e.string(unix.NFTA_RULE_CHAIN, chain)
	}, func(_ uint16, b []byte) error {
		rules = append(rules, parseRule(family, b))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list rules of chain %s: %w", chain, err)
	}
	return rules, nil
}

func parseRule(family byte, b []byte) rule {
	var r rule
	for t, v := range attrs(b) {
		switch t {
		case unix.NFTA_RULE_HANDLE:
			r.handle = number64(v)
		case unix.NFTA_RULE_USERDATA:
			r.comment = userComment(v)
		case unix.NFTA_RULE_EXPRESSIONS:
			for _, v := range attrs(v) {
				e := parseExpression(v)
				r.text += e.text(family) + "\n"
				if r.comment == "" {
					r.comment = e.comment()
				}
			}
		}
	}
	return r
}

// generation returns the number of the last transaction, which may not have
// been told to everybody yet.
func (s *socket) generation() (uint32, error) {
	var generation uint32
	err := s.request(unix.NFT_MSG_GETGEN, 0, unix.AF_UNSPEC, nil, func(_ uint16, b []byte) error {
		for t, v := range attrs(b) {
			if t == unix.NFTA_GEN_ID {
				generation = number(v)
			}
		}
		return nil
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return 0, fmt.Errorf("%w: %w", ErrNoNftables, err)
	}
	if err == nil && generation == 0 {
		err = errors.New("the kernel's answer has none")
	}
	if err != nil {
		return 0, fmt.Errorf("read nftables generation: %w", err)
	}
	return generation, nil
}
