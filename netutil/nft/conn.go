package nft

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
)

// attempts is how often a transaction is made anew when what it builds on
// changed meanwhile, as it does while a firewall restarts.
const attempts = 20

// Conn changes and watches the nftables of one network namespace. Several
// goroutines may use it. Nobody else may change tables of ours while it is
// open, where the kernel can tell (Linux 6.9).
type Conn struct {
	seed maphash.Seed
	wake chan struct{} // Watch is to look, whatever events say

	// mu is held while the kernel works, for microseconds but where all is
	// read or made anew: whoever comes meanwhile builds on the outcome.
	mu       sync.Mutex
	socket   *socket
	events   *events
	features *features // nil: not asked for yet
	foreign  bool      // SetForeign
	asked    *compiled // what Ensure wants
	groups   map[string]Group
	held     held
}

// held is what the kernel is known to hold.
type held struct {
	generation uint32 // as of which; 0: not known
	tables     bool   // the tables of active, with all elements of index
	forward    bool   // the accept rule, where it belongs
	beside     bool   // there are FORWARD chains of others
	active     []*kernelTable
	index      *index // of active's elements and the groups'; nil: to be made
}

// Open opens the nftables of the network namespace of the calling thread,
// and stays there whatever thread uses the Conn later. The caller closes it.
// The error is ErrNoNftables where the kernel has none.
func Open() (*Conn, error) {
	c := &Conn{
		seed: maphash.MakeSeed(), wake: make(chan struct{}, 1),
		asked: &compiled{}, groups: make(map[string]Group),
	}
	var err error
	if c.socket, err = openSocket(); err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	if c.events, err = listen(c.socket.port); err != nil {
		return nil, errors.Join(fmt.Errorf("open nftables events: %w", err), c.socket.close())
	}
	return c, nil
}

// Close closes the Conn. The rules stay. End a Watch before.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := errors.Join(c.socket.close(), c.events.file.Close()); err != nil {
		return fmt.Errorf("close nftables: %w", err)
	}
	return nil
}

// Apply makes the kernel hold r, whatever it held before, in one transaction:
// no packet meets a part of it.
func (c *Conn) Apply(r Ruleset) error {
	_, err := c.ensure(r, true)
	return err
}

// Ensure makes the kernel hold r and reports whether that took a change.
// Where the kernel holds r already there is no transaction, so nobody who
// watches nftables is woken. Where only groups differ, only their elements
// are changed; otherwise tables are replaced as a whole. All is one transaction.
//
// The error is ErrNoBridge where everything but the Bridge tables is in place.
// After other errors Watch goes on trying.
func (c *Conn) Ensure(r Ruleset) (changed bool, err error) { return c.ensure(r, false) }

// Remove removes everything of ours; where nothing is, it succeeds.
func (c *Conn) Remove() error {
	_, err := c.ensure(Ruleset{}, false)
	return err
}

// SetForeign tells that somebody filters forwarded packets where nftables do
// not show it, as legacy iptables do. Watch, or the next Ensure, follows.
func (c *Conn) SetForeign(foreign bool) {
	c.mu.Lock()
	changed := c.foreign != foreign
	c.foreign = foreign
	c.mu.Unlock()
	if changed {
		c.wakeWatch()
	}
}

func (c *Conn) wakeWatch() {
	select {
	case c.wake <- struct{}{}:
	default: // it is to look already
	}
}

func (c *Conn) ensure(r Ruleset, force bool) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changes := c.differences(r.Groups)
	asked, err := c.asked.compile(r)
	switch {
	case err != nil:
	case asked == c.asked:
		err = asked.check(changes)
	default:
		err = asked.check(r.Groups)
	}
	if err != nil {
		return false, fmt.Errorf("apply nftables rules: %w", err)
	}
	if asked == c.asked && len(changes) == 0 && !force && c.isCurrent() {
		return false, c.incomplete()
	}
	if asked != c.asked || force {
		c.asked = asked
		c.held.forward = false // the accept rule may be another
	}
	what, err := c.sync(task{changes: changes, force: force})
	if err != nil {
		// What was asked for holds, also if it comes to be later.
		c.merge(changes)
		c.held.index = nil
		return false, fmt.Errorf("apply nftables rules: %w", err)
	}
	return len(what) > 0, c.incomplete()
}

// isCurrent reports whether the kernel holds what was asked for last, by the
// number of its last transaction.
func (c *Conn) isCurrent() bool {
	h := &c.held
	if !h.tables || !h.forward || h.generation == 0 || !c.rightVariant() {
		return false
	}
	generation, err := c.socket.generation()
	return err == nil && generation == h.generation
}

// incomplete returns ErrNoBridge if that kept anything from being done.
func (c *Conn) incomplete() error {
	if c.features == nil || c.features.bridge {
		return nil
	}
	for _, t := range c.asked.alone {
		if t.source.Family == Bridge {
			return ErrNoBridge
		}
	}
	return nil
}

// compiled is a ruleset without its groups, ready for the kernel.
type compiled struct {
	text          string
	accept        Rule
	alone, beside []*kernelTable
	sets          map[setKey]Set // of both
	noLabels      bool           // made for a kernel without labels of flows
}

// compile returns r compiled, the receiver if that is the same.
func (c *compiled) compile(r Ruleset) (*compiled, error) {
	r.Groups = nil
	text := r.String()
	if text == c.text {
		return c, nil
	}
	out := &compiled{text: text, accept: r.Accept, sets: make(map[setKey]Set)}
	var err error
	if out.alone, err = compileTables(r.Tables); err != nil {
		return nil, err
	}
	out.beside = out.alone
	if r.Beside != nil {
		if out.beside, err = compileTables(r.Beside); err != nil {
			return nil, err
		}
	}
	for _, tables := range [][]*kernelTable{out.alone, out.beside} {
		for _, t := range tables {
			for _, s := range t.source.Sets {
				out.sets[setKey{t.source.Family, s.Name}] = s
				for _, e := range s.Elements {
					if _, err := s.compileElement(e); err != nil {
						return nil, fmt.Errorf("set %s: %w", s.Name, err)
					}
				}
			}
		}
	}
	return out, nil
}

// unlabel makes c what a kernel without labels of flows takes.
func (c *compiled) unlabel() error {
	if c.noLabels {
		return nil
	}
	for _, tables := range []*[]*kernelTable{&c.alone, &c.beside} {
		left := make([]*kernelTable, len(*tables))
		for i, t := range *tables {
			var err error
			if left[i], err = t.source.unlabeled().compile(); err != nil {
				return err
			}
		}
		*tables = left
	}
	c.noLabels = true
	return nil
}

// check finds what the kernel would refuse without saying why, or cut off.
func (c *compiled) check(groups map[string]Group) error {
	for owner, g := range groups {
		for _, e := range g {
			s, ok := c.sets[setKey{e.Family, e.Set}]
			if !ok {
				return fmt.Errorf("group %s: there is no set %s %s", owner, e.Family, e.Set)
			}
			if _, err := s.compileElement(e.Element); err != nil {
				return fmt.Errorf("group %s: set %s: %w", owner, e.Set, err)
			}
		}
	}
	return nil
}
