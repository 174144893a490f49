package nft

import (
	"errors"
	"fmt"
	"hash/maphash"
)

// index knows all elements that the kernel should hold, by their hashes.
// Tens of thousands are compared with the kernel's by count and sum.
type index struct {
	hash   maphash.Hash
	sets   map[setKey]*indexedSet
	shared map[uint64]claim // by the hash of a key
}

// claim says how many owners want a key, and with what.
type claim struct {
	owners int
	all    uint64 // the hash of the element
}

// indexedSet is what the elements of a set come to.
type indexedSet struct {
	set  Set
	name string // with the family
	tally
}

// tally is what a number of elements in any order comes to.
type tally struct {
	count int
	sum   uint64
}

// errConflict says that a key should map to two things.
var errConflict = errors.New("another owner has the key with other data")

func newIndex(seed maphash.Seed, tables []*kernelTable) (*index, error) {
	x := &index{sets: make(map[setKey]*indexedSet), shared: make(map[uint64]claim)}
	x.hash.SetSeed(seed)
	for _, t := range tables {
		for _, s := range t.source.Sets {
			k := setKey{t.source.Family, s.Name}
			x.sets[k] = &indexedSet{set: s, name: k.String()}
			for _, e := range s.Elements {
				if _, err := x.claim(GroupElement{t.source.Family, s.Name, e}); err != nil {
					return nil, err
				}
			}
		}
	}
	return x, nil
}

// claim counts an owner in for an element, and returns what of it the kernel
// needs to be told.
func (x *index) claim(e GroupElement) ([]rawElement, error) {
	return x.change(e, func(s *indexedSet, r *rawElement) (bool, error) {
		key, all := r.hashes(&x.hash, s.name)
		c := x.shared[key]
		if c.owners > 0 && c.all != all {
			return false, errConflict
		}
		x.shared[key] = claim{owners: c.owners + 1, all: all}
		if c.owners > 0 {
			return false, nil
		}
		s.count++
		s.sum += all
		return true, nil
	})
}

// release is the opposite of claim.
func (x *index) release(e GroupElement) ([]rawElement, error) {
	return x.change(e, func(s *indexedSet, r *rawElement) (bool, error) {
		key, all := r.hashes(&x.hash, s.name)
		c, ok := x.shared[key]
		if !ok {
			return false, errors.New("nobody has it")
		}
		if c.owners > 1 {
			c.owners--
			x.shared[key] = c
			return false, nil
		}
		delete(x.shared, key)
		s.count--
		s.sum -= all
		return true, nil
	})
}

func (x *index) change(e GroupElement, do func(*indexedSet, *rawElement) (bool, error)) ([]rawElement, error) {
	s := x.sets[setKey{e.Family, e.Set}]
	if s == nil {
		return nil, nil // a set that this variant of the ruleset does without
	}
	raw, err := s.set.compileElement(e.Element)
	if err != nil {
		return nil, fmt.Errorf("set %s: %w", e.Set, err)
	}
	kept := raw[:0]
	for i := range raw {
		changed, err := do(s, &raw[i])
		if err != nil {
			return nil, fmt.Errorf("set %s: element %s: %w", e.Set, e.Element, err)
		}
		if changed {
			kept = append(kept, raw[i])
		}
	}
	return kept, nil
}
