package nft

import (
	"errors"
	"slices"
	"time"
)

// task is what a sync is to do beyond making the kernel hold what was asked for.
type task struct {
	changes      map[string]Group
	force        bool // replace tables that are as they should be
	elementsOnly bool // others may look after the FORWARD chains
}

// sync makes the kernel hold what was asked for and says what that took.
func (c *Conn) sync(t task) (what []string, err error) {
	refused := false
	for i := range attempts {
		if what, err = c.syncOnce(t); err == nil {
			c.merge(t.changes)
			return what, nil
		}
		c.held.index = nil
		if !isRace(err) || refused {
			break
		}
		if !errors.Is(err, errRace) {
			refused = true // the kernel holds something else than it should
			c.forget()
		}
		if i > attempts/2 {
			time.Sleep(time.Millisecond) // a restarting firewall is a burst
		}
	}
	c.forget()
	c.wakeWatch()
	return nil, err
}

// forget makes the next sync read everything.
func (c *Conn) forget() { c.held.tables, c.held.forward, c.held.index = false, false, nil }

func (c *Conn) syncOnce(t task) ([]string, error) {
	h := &c.held
	if err := c.catchUp(); err != nil {
		return nil, err
	}
	if err := c.learn(); err != nil {
		return nil, err
	}
	var b batch
	var what []string
	if !t.elementsOnly || !h.tables {
		said, err := c.planForward(&b)
		if err != nil {
			return nil, err
		}
		what = append(what, said...)
	}
	tables := c.wanted()
	looked := !h.tables
	var said []string
	var err error
	if h.tables && !t.force && sameImages(h.active, tables) {
		said, err = c.planElements(&b, tables, t.changes)
	} else {
		said, err = c.planTables(&b, tables, t)
	}
	if err != nil {
		return nil, err
	}
	what = append(what, said...)
	if err := c.commit(&b, t.elementsOnly && !looked); err != nil {
		return nil, err
	}
	h.active, h.tables = tables, true
	if !t.elementsOnly || looked {
		h.forward = true
	}
	return what, nil
}

// planForward adds what puts the accept rules in their places, if that is not known.
func (c *Conn) planForward(b *batch) (what []string, err error) {
	h := &c.held
	if h.forward {
		return nil, nil
	}
	chains, err := c.socket.observeForeign()
	if err != nil {
		return nil, err
	}
	h.beside = len(chains) > 0
	for _, chain := range chains {
		moved, err := chain.move(b, c.asked.accept)
		if err != nil {
			return nil, err
		}
		if moved {
			what = append(what, "accept rule")
		}
	}
	return slices.Compact(what), nil
}

// planElements adds what makes the elements of tables and groups right. To
// replace a table would lose packets: one that is on its way through the old
// rules when the new ones take their place finds the old sets empty.
func (c *Conn) planElements(b *batch, tables []*kernelTable, changes map[string]Group) ([]string, error) {
	h := &c.held
	if h.index == nil {
		x, err := newIndex(c.seed, h.active)
		if err == nil {
			err = x.claimAll(c.groups, nil, func(setKey, []rawElement) {})
		}
		if err != nil {
			return nil, err
		}
		h.index = x
	}
	before := len(b.names)
	swaps := make([]regroup, 0, len(changes)+1)
	for owner, g := range changes {
		swaps = append(swaps, regroup{"group " + owner, c.groups[owner], g})
	}
	if !sameTables(h.active, tables) {
		swaps = append(swaps, regroup{"ruleset", elementsOf(h.active), elementsOf(tables)})
	}
	if err := h.index.exchange(b, swaps); err != nil {
		return nil, err
	}
	if len(b.names) == before {
		return nil, nil
	}
	return []string{"elements"}, nil
}

// planTables adds what replaces the tables that differ.
func (c *Conn) planTables(b *batch, tables []*kernelTable, t task) (what []string, err error) {
	h := &c.held
	elements := make(map[setKey][]rawElement)
	made := func(k setKey, raw []rawElement) { elements[k] = append(elements[k], raw...) }
	x, err := newIndex(c.seed, tables)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		for _, s := range t.source.Sets {
			for _, e := range s.Elements {
				raw, err := s.compileElement(e)
				if err != nil {
					return nil, err
				}
				made(setKey{t.source.Family, s.Name}, raw)
			}
		}
	}
	if err := x.claimAll(c.groups, t.changes, made); err != nil {
		return nil, err
	}
	h.index = x
	for _, f := range families() {
		have, err := c.socket.observeTable(f, c.seed)
		if err != nil {
			return nil, err
		}
		want := tableOf(tables, f)
		if have != nil && have.owner != 0 && have.owner != c.socket.port {
			return nil, ErrOwned
		}
		same := want != nil && have != nil && x.matches(want, have) && have.flags|tableOwned == c.features.flags|tableOwned
		switch {
		case want == nil && have == nil:
			continue
		case same && !t.force:
			if have.flags == c.features.flags {
				continue
			}
			addTable(b, f.number(), Owner, c.features.flags) // a dead process left it
			what = append(what, string(f)+" table adopted")
			continue
		}
		var counts map[string]Counter
		if have != nil {
			deleteTable(b, f.number())
			counts = have.counts
		}
		if want != nil {
			want.add(b, c.features.flags, elements, counts)
		}
		what = append(what, string(f)+" table")
	}
	return what, nil
}

// matches reports whether a table is what was observed, with all elements.
func (x *index) matches(want *kernelTable, have *observedTable) bool {
	if want.image != have.image {
		return false
	}
	for k, sum := range have.tally {
		if s := x.sets[k]; s == nil || s.tally != sum {
			return false
		}
	}
	return true
}

func tableOf(tables []*kernelTable, f Family) *kernelTable {
	for _, t := range tables {
		if t.source.Family == f {
			return t
		}
	}
	return nil
}

func sameTables(a, b []*kernelTable) bool {
	return slices.EqualFunc(a, b, func(a, b *kernelTable) bool { return a == b || a.text == b.text })
}

// sameImages reports whether tables differ in elements at most.
func sameImages(a, b []*kernelTable) bool {
	return slices.EqualFunc(a, b, func(a, b *kernelTable) bool {
		return a == b || a.source.Family == b.source.Family && a.image == b.image
	})
}

// elementsOf returns the elements of the tables themselves, as if they were a group's.
func elementsOf(tables []*kernelTable) Group {
	var g Group
	for _, t := range tables {
		for _, s := range t.source.Sets {
			for _, e := range s.Elements {
				g = append(g, GroupElement{t.source.Family, s.Name, e})
			}
		}
	}
	return g
}

// wanted returns the tables that are right beside whoever else filters.
func (c *Conn) wanted() []*kernelTable {
	tables := c.asked.alone
	if c.held.beside || c.foreign {
		tables = c.asked.beside
	}
	if c.features.bridge {
		return tables
	}
	return slices.DeleteFunc(slices.Clone(tables), func(t *kernelTable) bool { return t.source.Family == Bridge })
}

func (c *Conn) rightVariant() bool {
	return c.features != nil && sameTables(c.held.active, c.wanted())
}

// learn asks once what the kernel can do.
func (c *Conn) learn() error {
	if c.features == nil {
		f, err := c.socket.probe()
		if err != nil {
			return err
		}
		c.features = &f
	}
	if !c.features.nat && (hasNAT(c.asked.alone) || hasNAT(c.asked.beside)) {
		return ErrNoNAT
	}
	if !c.features.labels {
		return c.asked.unlabel()
	}
	return nil
}
