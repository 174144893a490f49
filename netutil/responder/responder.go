// Package responder answers neighbor solicitations in front of the kernel
// (RFC 4861 7.2.8): an eBPF program at the ingress of an uplink looks the target
// up in a hash and sends the advertisement back, at the same cost with ten
// addresses and with a hundred thousand. What it does not know how to answer it
// leaves to the kernel.
//
// The program stays attached, and answers, while the process that attached it
// is dead. The next one fills a responder of its own and attaches it in its
// place, in one step, so that no solicitation is missed.
package responder

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/tc"
)

// Config is what a Responder answers with.
type Config struct {
	// Index is that of the uplink.
	Index int
	// Name is that of the uplink, for errors.
	Name string
	// MAC is what answers say that targets are at: the uplink's.
	MAC inet.MAC
	// Source is the address that answers come from, best the uplink's link-local
	// one. Zero has each come from its target.
	Source netip.Addr
	// Global is the address that answers to global and unique local ones come
	// from. Zero is as Source.
	Global netip.Addr
}

// Responder is a program and its tables, for one uplink. Its methods may be
// called from any goroutine.
type Responder struct {
	index int
	name  string

	mu      sync.Mutex // one change at a time, and none while tables are read
	tc      *tc.Conn
	kernel  programObjects
	program tc.Program
	pools   *tc.Pools
}

// New loads the program, with no targets and no pools, for an uplink in the
// calling thread's namespace. Nothing is attached: what another process left
// there answers until Attach. The caller closes the Responder.
func New(c Config) (*Responder, error) {
	r := &Responder{index: c.Index, name: c.Name}
	if err := load(&r.kernel); err != nil {
		return nil, fmt.Errorf("load responder of uplink %q: %w", c.Name, err)
	}
	r.pools = tc.NewPools(r.kernel.Pools)
	var err error
	if r.program, err = tc.Loaded(r.kernel.Ndp6); err == nil {
		r.tc, err = tc.Open(slot)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("load responder of uplink %q: %w", c.Name, err), r.kernel.Close())
	}
	if err := r.Set(c); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Close lets go of the program. Where it is attached, it stays and answers.
func (r *Responder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tc.Close()
	if err := r.kernel.Close(); err != nil {
		return fmt.Errorf("close responder of uplink %q: %w", r.name, err)
	}
	return nil
}

// answerValue is struct answer of the program.
type answerValue struct {
	Source, Global [16]byte

	MAC inet.MAC
	_   [2]byte
}

// Set changes the MAC and the source of answers between two of them. The index
// must be that which New got: a link that was made anew needs a new Responder.
func (r *Responder) Set(c Config) error {
	if c.Index != r.index {
		return fmt.Errorf("set responder of uplink %q: link %d is not %d, which it was made for: make a new one", r.name, c.Index, r.index)
	}
	if err := c.MAC.CheckHost(); err != nil {
		return fmt.Errorf("set responder of uplink %q: %w", c.Name, err)
	}
	v := answerValue{MAC: c.MAC}
	if err := errors.Join(put(&v.Source, c.Source), put(&v.Global, c.Global)); err != nil {
		return fmt.Errorf("set responder of uplink %q: source: %w", c.Name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.kernel.Answers.Put(uint32(0), v); err != nil {
		return fmt.Errorf("set responder of uplink %q: %w", c.Name, err)
	}
	r.name = c.Name
	return nil
}

// put writes an address where the program reads it, which is zero for none.
func put(to *[16]byte, a netip.Addr) error {
	if !a.IsValid() {
		return nil
	}
	if err := host(a); err != nil {
		return err
	}
	*to = a.As16()
	return nil
}

// host says why a cannot be the address of a host, nil if it can.
func host(a netip.Addr) error {
	if !a.Is6() || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() {
		return fmt.Errorf("%q is not an IPv6 address of a host", a)
	}
	return nil
}
