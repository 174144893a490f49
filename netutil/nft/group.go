package nft

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetGroup makes the kernel hold g for the owner, in one transaction of a few
// elements; an empty g removes the owner. Where the kernel holds that already
// it does nothing. An Ensure must have come before.
//
// After an error the owner's group is the one before, or nothing of ours is
// known to be right until the next Ensure, or repair of Watch.
func (c *Conn) SetGroup(owner string, g Group) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held.tables && c.groups[owner].Equal(g) {
		return nil
	}
	err := c.asked.check(map[string]Group{owner: g})
	if err == nil {
		_, err = c.sync(task{changes: map[string]Group{owner: g}, elementsOnly: true})
	}
	if err != nil {
		return fmt.Errorf("set nftables elements of %s: %w", owner, err)
	}
	return nil
}

// Group returns what the kernel holds for the owner. It reports false where
// that is nothing, and where it is not known.
func (c *Conn) Group(owner string) (Group, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.groups[owner]
	return g, ok && c.held.tables
}

// Equal reports whether o has the same elements in the same order. It costs
// nothing where o is g.
func (g Group) Equal(o Group) bool {
	if len(g) != len(o) {
		return false
	}
	return unsafe.SliceData(g) == unsafe.SliceData(o) || slices.EqualFunc(g, o, GroupElement.Equal)
}

// Equal reports whether o is the same element of the same set.
func (e GroupElement) Equal(o GroupElement) bool {
	return e.Family == o.Family && e.Set == o.Set && slices.Equal(e.Element, o.Element)
}

// differences returns what makes want of the groups that there are.
func (c *Conn) differences(want map[string]Group) map[string]Group {
	changes := make(map[string]Group)
	for owner, g := range want {
		if !c.groups[owner].Equal(g) {
			changes[owner] = g
		}
	}
	for owner := range c.groups {
		if _, ok := want[owner]; !ok {
			changes[owner] = nil
		}
	}
	return changes
}

func (c *Conn) merge(changes map[string]Group) {
	for owner, g := range changes {
		if len(g) == 0 {
			delete(c.groups, owner)
		} else {
			c.groups[owner] = g
		}
	}
}

// claimAll counts groups in, all but those that change, and those that change
// as they are to be. It calls made with the elements that this makes.
func (x *index) claimAll(groups, changes map[string]Group, made func(setKey, []rawElement)) error {
	claim := func(owner string, g Group) error {
		for _, e := range g {
			raw, err := x.claim(e)
			if err != nil {
				return fmt.Errorf("group %s: %w", owner, err)
			}
			made(setKey{e.Family, e.Set}, raw)
		}
		return nil
	}
	for owner, g := range groups {
		if _, ok := changes[owner]; ok {
			continue
		}
		if err := claim(owner, g); err != nil {
			return err
		}
	}
	for owner, g := range changes {
		if err := claim(owner, g); err != nil {
			return err
		}
	}
	return nil
}

// regroup is a group before and after a change; who names it in errors.
type regroup struct {
	who           string
	before, after Group
}

// exchange adds messages to b that make the changes. After an error the index
// is useless.
func (x *index) exchange(b *batch, swaps []regroup) error {
	dels, err := x.collect(swaps, func(s regroup) (Group, Group) { return s.before, s.after }, x.release)
	if err != nil {
		return err
	}
	adds, err := x.collect(swaps, func(s regroup) (Group, Group) { return s.after, s.before }, x.claim)
	if err != nil {
		return err
	}
	for k, elements := range dels {
		b.addElements(unix.NFT_MSG_DELSETELEM, k, elements)
	}
	for k, elements := range adds {
		b.addElements(unix.NFT_MSG_NEWSETELEM, k, elements)
	}
	return nil
}

// collect does something with the elements of each group that are in one of
// two groups and not in the other, and returns what the kernel needs to be told.
func (x *index) collect(swaps []regroup, groups func(regroup) (in, notIn Group), do func(GroupElement) ([]rawElement, error)) (map[setKey][]rawElement, error) {
	told := make(map[setKey][]rawElement)
	for _, s := range swaps {
		in, notIn := groups(s)
		other := make(map[string]bool, len(notIn))
		for _, e := range notIn {
			other[e.String()] = true
		}
		for _, e := range in {
			if other[e.String()] {
				continue
			}
			raw, err := do(e)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.who, err)
			}
			k := setKey{e.Family, e.Set}
			told[k] = append(told[k], raw...)
		}
	}
	return told, nil
}
