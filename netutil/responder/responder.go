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
	"net/netip"

	"github.com/ndp6/ndp6/netutil/inet"
)

// MaxTargets is how many addresses one Responder holds.
const MaxTargets = 1 << 17

// MaxPools is how many pools one Responder holds.
const MaxPools = 1 << 12

var errLater = errors.New("not there yet")

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
}

// Responder is a program and its tables, for one uplink. Its methods may be
// called from any goroutine.
type Responder struct{}

// Available says why the kernel does not run the program here: its version, a
// capability that lacks, lockdown. It is nil where it does. It takes some
// milliseconds and leaves nothing behind.
func Available() error { return errLater }

// New loads the program, with no targets and no pools, for an uplink in the
// calling thread's namespace. Nothing is attached: what another process left
// there answers until Attach. The caller closes the Responder.
func New(c Config) (*Responder, error) { return nil, errLater }

// Set changes the MAC and the source of answers between two of them. The index
// must be that which New got: a link that was made anew needs a new Responder.
func (r *Responder) Set(c Config) error { return errLater }

// Add has the responder answer for addresses. Those it answers for already stay.
func (r *Responder) Add(addrs ...netip.Addr) error { return errLater }

// Remove ends that. Those it does not answer for are no error.
func (r *Responder) Remove(addrs ...netip.Addr) error { return errLater }

// Targets returns what the responder answers for, in order.
func (r *Responder) Targets() ([]netip.Addr, error) { return nil, errLater }

// SetPools says which prefixes are ours alone: solicitations for an address of
// one that is neither a target nor the host's own are dropped, and no longer
// wake the kernel. The host's own addresses need no mention.
func (r *Responder) SetPools(pools []netip.Prefix) error { return errLater }

// Attach puts the program on the uplink, in place of what another process left
// there: one step, in which no solicitation is lost. Call it when the targets
// are added. Where this program is attached already it changes nothing. It makes
// a clsact qdisc where the uplink has none; filters of others stay, and see what
// the responder leaves to the kernel.
func (r *Responder) Attach() error { return errLater }

// Attached reports whether this program is on the uplink. It is not after
// another process attached its own, somebody removed the filter or its qdisc,
// or the link went. It costs one request.
func (r *Responder) Attached() (bool, error) { return false, errLater }

// Counts returns what the program did since New.
func (r *Responder) Counts() (Counts, error) { return Counts{}, errLater }

// Detach takes the program off the uplink. Where it is not attached, nothing
// changes, though another process's is.
func (r *Responder) Detach() error { return errLater }

// Close lets go of the program. Where it is attached, it stays and answers.
func (r *Responder) Close() error { return errLater }

// Counts is numbers of solicitations.
type Counts struct {
	// Answers are those that were answered, by their kind: "multicast", "unicast",
	// or "probe" for one that asks whether an address is taken (RFC 4862 5.4).
	Answers map[string]uint64
	// Drops are those that were dropped, by the reason. "unassigned" is an address
	// of a pool that nobody has, "limited" one more of a source that asks for
	// too many unknown ones. The others break RFC 4861 7.1.1: "hop limit",
	// "code", "length", "checksum", "option", "source", "destination".
	Drops map[string]uint64
}

// Links returns the indexes of the links of the calling thread's namespace
// that a responder is on, whichever process attached it.
func Links() ([]int, error) { return nil, errLater }

// Detach takes whatever responder there is off the link, and the qdisc with it
// when no filter of others is there. A link that is gone or has none is no error.
func Detach(index int) error { return errLater }
