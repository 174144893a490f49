package nft

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// sendBuffer holds the largest transaction: all of a host's endpoints.
const sendBuffer = 16 << 20

// attempts is how often a transaction is made anew when what it builds on
// changed meanwhile, as it does while a firewall restarts.
const attempts = 5

// Conn changes and watches the nftables of one network namespace. One
// goroutine may use it, and another may run Watch meanwhile.
type Conn struct {
	nf     *nftables.Conn
	socket *netlink.Conn // nf's
	events *netlink.Conn
	port   uint32 // netlink's name for nf's socket
	right  proof
}

// proof is that the kernel held a ruleset, and has done so until another
// transaction comes.
type proof struct {
	ruleset    string
	generation uint32
}

// Open opens the nftables of the network namespace of the calling thread,
// and stays there whatever thread uses the Conn later. The caller closes it.
func Open() (*Conn, error) {
	c := &Conn{}
	var err error
	c.nf, err = nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(s *netlink.Conn) error {
		c.socket = s
		return errors.Join(s.SetWriteBuffer(sendBuffer), s.SetReadBuffer(sendBuffer))
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	if c.port, err = portOf(c.socket); err != nil {
		return nil, errors.Join(fmt.Errorf("open nftables: %w", err), c.nf.CloseLasting())
	}
	c.events, err = netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open nftables events: %w", err), c.nf.CloseLasting())
	}
	return c, nil
}

// Close closes the Conn. The rules stay. End a Watch before.
func (c *Conn) Close() error {
	if err := errors.Join(c.nf.CloseLasting(), c.events.Close()); err != nil {
		return fmt.Errorf("close nftables: %w", err)
	}
	return nil
}

// Apply makes the kernel hold r, whatever it held before, in one transaction:
// no packet meets a part of it.
func (c *Conn) Apply(r Ruleset) error {
	_, err := c.change(r, true)
	return err
}

// Ensure makes the kernel hold r and reports whether that took a change.
// Where the kernel holds r already there is no transaction, so nobody who
// watches nftables is woken. Tables are replaced as a whole when anything in
// them differs: chain, rule, element or flag, but not a count.
func (c *Conn) Ensure(r Ruleset) (changed bool, err error) {
	before, err := c.generation()
	if err != nil {
		return false, err
	}
	now := proof{ruleset: r.String(), generation: before}
	if c.right == now {
		return false, nil
	}
	changed, err = c.change(r, false)
	if err != nil || changed {
		return changed, err
	}
	after, err := c.generation()
	if err != nil {
		return false, err
	}
	if before == after {
		c.right = now
	}
	return false, nil
}

// Remove removes everything of ours; where nothing is, it succeeds.
func (c *Conn) Remove() error {
	_, err := c.change(Ruleset{}, false)
	return err
}

func (c *Conn) change(r Ruleset, force bool) (changed bool, err error) {
	if err = r.check(); err == nil {
		for range attempts {
			if changed, err = c.changeOnce(r, force); !isRace(err) {
				break
			}
		}
	}
	if err != nil {
		return false, fmt.Errorf("apply nftables rules: %w", err)
	}
	return changed, nil
}

// changeOnce looks at everything before it queues the first message.
func (c *Conn) changeOnce(r Ruleset, force bool) (changed bool, err error) {
	have, err := c.observe()
	if err != nil {
		return false, err
	}
	for _, f := range families() {
		i := slices.IndexFunc(r.Tables, func(t Table) bool { return t.Family == f })
		image, present := have.tables[f]
		switch {
		case i >= 0:
			t, err := r.Tables[i].compile()
			if err != nil {
				return false, err
			}
			same, err := t.is(image)
			if err != nil {
				return false, err
			}
			if same && !force {
				continue
			}
			if err := t.queue(c.nf); err != nil {
				return false, err
			}
		case present:
			c.nf.DelTable(f.table())
		default:
			continue
		}
		changed = true
	}
	for _, chain := range have.foreign {
		moved, err := chain.queue(c.nf, r.Accept)
		if err != nil {
			return false, err
		}
		changed = changed || moved
	}
	if !changed {
		return false, nil
	}
	if err := c.nf.Flush(); err != nil {
		return false, errors.Join(err, c.drain())
	}
	return true, nil
}

// isRace reports whether err says that a rule, chain or table that was there
// a moment ago is gone, or that somebody else's transaction came between.
func isRace(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EBUSY) ||
		errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}
