// Package xtables keeps one accept rule in the legacy tables of iptables, where
// they are in use.
//
// A packet crosses the legacy tables and nftables both, so where the filter
// table of iptables-legacy or ip6tables-legacy drops what is forwarded, an
// accept in a table of our own does not help. The rule accepts a bit of the
// packet's mark that only our own forward chain sets:
//
//	-A FORWARD -m mark --mark 0x10000000/0x10000000 -m comment --comment ndp6 -j ACCEPT
//
// It stands last, so that drops of whoever owns the chain come first. The
// kernel tells nobody about changes of these tables. Looking therefore costs
// two system calls a table and no process; only a change runs a command.
package xtables

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ndp6/ndp6/netutil/netns"
)

// Conn looks at and changes the legacy tables of one network namespace. It is
// safe for concurrent use.
type Conn struct {
	ns     *namespace
	tables []*table

	// turn holds a token while nobody looks or changes, so that waiting obeys a context.
	turn  chan struct{}
	asked bool // Ensure was called
	want  bool // what it was called with
}

// Open returns a Conn for the network namespace of the calling thread. The
// caller closes it.
func Open() (*Conn, error) {
	ns, err := openNamespace()
	if err != nil {
		return nil, fmt.Errorf("open legacy tables: %w", err)
	}
	c := &Conn{ns: ns, turn: make(chan struct{}, 1)}
	for _, f := range []family{ipv4, ipv6} {
		t, err := openTable(ns, f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open legacy tables: %w", err), c.Close())
		}
		c.tables = append(c.tables, t)
	}
	c.turn <- struct{}{}
	return c, nil
}

// Close releases the Conn and leaves the rule as it is. No other method may be
// running.
func (c *Conn) Close() error {
	var errs []error
	for _, t := range c.tables {
		errs = append(errs, t.close())
	}
	return errors.Join(append(errs, c.ns.file.Close())...)
}

// InUse reports whether the namespace has a legacy filter table of IPv4 or
// IPv6. It makes none: Linux makes a table for whoever looks into it, so only
// the list of tables is read.
func (c *Conn) InUse() bool {
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	for _, t := range c.tables {
		if t.inUse() {
			return true
		}
	}
	return false
}

// Ensure makes the accept rule the last of FORWARD in every legacy filter table
// that is in use, or removes it where want is false, and tells whether that
// changed anything. Watch keeps what Ensure was last called with. Where the
// command for a change is missing, the error is ErrNoCommand.
func (c *Conn) Ensure(want bool) (changed bool, err error) {
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	c.asked, c.want = true, want
	return c.ensure(context.Background(), want)
}

// ensure is Ensure by whoever has the turn.
func (c *Conn) ensure(ctx context.Context, want bool) (changed bool, err error) {
	var errs []error
	for _, t := range c.tables {
		tableChanged, err := c.ensureIn(ctx, t, want)
		changed = changed || tableChanged
		if err != nil {
			errs = append(errs, fmt.Errorf("keep accept rule of %s: %w", t.family.command, err))
		}
	}
	return changed, errors.Join(errs...)
}

// ensureIn is ensure in one table. Somebody may change the table between look
// and change, so it looks again until there is nothing to change. What a
// command says is an error only where it leaves something to change.
func (c *Conn) ensureIn(ctx context.Context, t *table, want bool) (changed bool, err error) {
	const rounds = 5
	var failure error
	for range rounds {
		if !t.inUse() {
			return changed, nil
		}
		is, err := t.look()
		if err != nil {
			return changed, err
		}
		commands := is.commands(want)
		if len(commands) == 0 {
			return changed, nil
		}
		if failure != nil && !errors.Is(failure, errTryAgain) {
			return changed, failure
		}
		t.forget()
		failure = c.ns.do(func() error { return t.family.run(ctx, commands) })
		if errors.Is(failure, ErrNoCommand) || ctx.Err() != nil {
			return changed, failure
		}
		changed = changed || failure == nil
	}
	// Without a failure somebody else keeps a rule last, too: the next look tries again.
	return changed, failure
}

// Watch looks every period and restores what Ensure was last called with. It
// calls report after each repair, and after an error that is not the one before.
// Repairs take at most a tenth of the time, so that two programs which both
// want to be last do not keep the machine busy, and what ends in an error is
// tried less and less often, at least every five seconds. Watch returns nil
// when ctx ends.
func (c *Conn) Watch(ctx context.Context, period time.Duration, report func(repaired bool, err error)) error {
	const share, most = 10, 5 * time.Second
	wait, last := period, ""
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		start := time.Now()
		repaired, err := c.repair(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			wait = max(period, min(2*wait, most))
			if repaired || err.Error() != last {
				report(repaired, err)
			}
			last = err.Error()
		default:
			wait, last = period, ""
			if repaired {
				wait = max(period, min(share*time.Since(start), most))
				report(true, nil)
			}
		}
		timer.Reset(wait)
	}
}

// repair restores what Ensure was last called with.
func (c *Conn) repair(ctx context.Context) (repaired bool, err error) {
	select {
	case <-ctx.Done():
		return false, nil
	case <-c.turn:
	}
	defer func() { c.turn <- struct{}{} }()
	if !c.asked {
		return false, nil
	}
	return c.ensure(ctx, c.want)
}

// do runs fn on a thread in the namespace.
func (ns *namespace) do(fn func() error) error {
	if err, ok := ns.here(fn); ok {
		return err
	}
	return netns.Do(ns.path(), fn)
}
