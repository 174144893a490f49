package nft

import (
	"errors"
	"fmt"
)

// catchUp takes in what others did. Where that is not known nothing is.
func (c *Conn) catchUp() error {
	if err := c.drain(); err != nil {
		return err
	}
	if c.held.generation != 0 {
		return nil
	}
	for range attempts {
		generation, err := c.socket.generation()
		if err != nil {
			return err
		}
		// A number may be out while its transaction is still under way. This
		// waits for the end, after which its events can be read.
		err = c.socket.transact(&batch{}, generation, false)
		if errors.Is(err, errRace) {
			continue
		}
		if err != nil {
			return err
		}
		if err := c.drain(); err != nil {
			return err
		}
		c.forget() // what was heard up to now says nothing
		c.held.generation = generation
		return nil
	}
	return errRace
}

// drain takes in what was heard of others.
func (c *Conn) drain() error {
	if err := c.events.drain(); err != nil {
		return fmt.Errorf("read nftables events: %w", err)
	}
	n, h := c.events.note, &c.held
	c.events.note = note{}
	if n.tables || n.lost {
		h.tables = false
	}
	if n.forward || n.lost {
		h.forward = false
	}
	switch {
	case n.lost:
		h.generation = 0
	case h.generation != 0 && int32(n.generation-h.generation) > 0 && n.generation != 0: //nolint:gosec // it wraps around.
		h.generation = n.generation
	}
	return nil
}

// commit commits a batch, or, where it is empty, makes sure that what it was
// made from is so. The error is errRace where it is not any more.
func (c *Conn) commit(b *batch, elementsOnly bool) error {
	h := &c.held
	tables, forward := h.tables, h.forward
	for range attempts {
		err := c.socket.transact(b, h.generation, !b.empty())
		if err == nil {
			if !b.empty() {
				h.generation = max(h.generation+1, 1)
			}
			return nil
		}
		if !errors.Is(err, errRace) {
			return err
		}
		generation := h.generation
		// So that only what comes now is seen.
		h.tables, h.forward = true, true
		if err := c.drain(); err != nil {
			h.generation = 0
			return err
		}
		heard := note{tables: !h.tables, forward: !h.forward}
		h.tables, h.forward = tables && !heard.tables, forward && !heard.forward
		if heard.tables || heard.forward && !elementsOnly {
			return errRace
		}
		if h.generation == generation || h.generation == 0 {
			h.generation = 0
			return errRace
		}
	}
	return errRace
}
