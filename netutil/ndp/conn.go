// Package ndp sends and hears neighbor discovery packets on a link (RFC 4861,
// RFC 4862): it announces an address, asks whether another host has it, whether
// routers are there, and whether they find an address.
//
// It does not answer solicitations; the kernel's proxy entries do, or netutil/responder.
package ndp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/inet"
)

// retransmit is RetransTimer of RFC 4861 10.
const retransmit = time.Second

// A Link is where a Conn sends and hears.
type Link struct {
	Index int
	Name  string
	MAC   inet.MAC
	// Source is the address that advertisements come from, best the link-local one.
	Source netip.Addr
}

// A DuplicateError says that another host on the link has an address, or is
// about to take it.
type DuplicateError struct {
	Addr netip.Addr
	// Owner is the other host's MAC.
	Owner inet.MAC
}

// Error names the address and its owner.
func (e *DuplicateError) Error() string {
	return fmt.Sprintf("address %s is in use by the host with MAC %s", e.Addr, e.Owner)
}

// Conn is a packet socket on one link. Its methods may be called from any
// goroutine. It hears nothing, and costs nothing, while no probe runs.
type Conn struct {
	link   Link
	socket *packet.Conn
	closed atomic.Bool
	// ended is closed when the reader ends, after err is set.
	ended chan struct{}
	err   error

	mu     sync.Mutex // also orders changes of the filter
	probes map[*probe]struct{}
}

// A probe waits for another host that has its target.
type probe struct {
	target netip.Addr
	nonce  []byte
	// answers is set where only an answer counts, not that another host asks.
	answers bool
	owner   chan inet.MAC // has room for one
}

// Open opens a socket on a link of the calling thread's namespace. The caller
// closes the Conn.
func Open(l Link) (*Conn, error) {
	if err := l.MAC.CheckHost(); err != nil {
		return nil, fmt.Errorf("open link %s for neighbor discovery: %w", l.Name, err)
	}
	if !l.Source.Is6() || l.Source.Is4In6() || l.Source.IsUnspecified() || l.Source.IsMulticast() {
		return nil, fmt.Errorf("open link %s for neighbor discovery: the source %q is not an IPv6 address of a host", l.Name, l.Source)
	}
	l.Source = l.Source.WithZone("")
	ifi := &net.Interface{Index: l.Index, Name: l.Name, HardwareAddr: l.MAC.HardwareAddr()}
	socket, err := packet.Listen(ifi, packet.Raw, unix.ETH_P_IPV6, &packet.Config{Filter: hearNothing})
	if err != nil {
		return nil, fmt.Errorf("open link %s for neighbor discovery: %w", l.Name, err)
	}
	c := &Conn{link: l, socket: socket, ended: make(chan struct{}), probes: map[*probe]struct{}{}}
	go c.read()
	return c, nil
}

// Close closes the socket and ends all probes. It takes some milliseconds.
func (c *Conn) Close() error {
	c.closed.Store(true)
	err := c.socket.Close()
	<-c.ended
	if err != nil {
		return fmt.Errorf("close link %s for neighbor discovery: %w", c.link.Name, err)
	}
	return nil
}

// Announce tells all nodes on the link that target is at the link's MAC now,
// and that what they knew of it is void (RFC 4861 7.2.6).
func (c *Conn) Announce(target netip.Addr) error {
	na := &ndp.NeighborAdvertisement{
		// The caller took the address over, so unlike in a proxy's answers its word counts most.
		Override:      true,
		TargetAddress: target,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: c.link.MAC.HardwareAddr()}},
	}
	if err := c.send(na, c.link.Source, inet.AllNodes); err != nil {
		return fmt.Errorf("announce %s dev %s: %w", target, c.link.Name, c.cause(err))
	}
	return nil
}

// Probe asks whether another host on the link has target, as a host does before
// it takes an address (RFC 4862 5.4). It returns nil when nobody objects for
// the length of wait, a *DuplicateError when somebody does, and the error of
// ctx when that ends first.
func (c *Conn) Probe(ctx context.Context, target netip.Addr, wait time.Duration) error {
	err := c.probe(ctx, target, wait)
	if duplicate := (*DuplicateError)(nil); err == nil || errors.As(err, &duplicate) {
		return err
	}
	return fmt.Errorf("probe %s dev %s: %w", target, c.link.Name, c.cause(err))
}

func (c *Conn) probe(ctx context.Context, target netip.Addr, wait time.Duration) error {
	target = target.WithZone("")
	p := &probe{target: target, nonce: newNonce(), owner: make(chan inet.MAC, 1)}
	ns := &ndp.NeighborSolicitation{TargetAddress: target, Options: []ndp.Option{&ndp.RawOption{Type: optNonce, Length: 1, Value: p.nonce}}}
	// RFC 4862 5.4.2: a source would make others believe that the address is ours.
	owner, found, err := c.ask(ctx, p, ns, netip.IPv6Unspecified(), wait)
	if found && err == nil {
		return &DuplicateError{Addr: target, Owner: owner}
	}
	return err
}

// Find asks where target is, as a host does that has a packet for it (RFC 4861
// 7.2.2), and reports whether a host answered within wait, with its MAC. Unlike
// Probe it may be called by several hosts at once. It returns the error of ctx
// when that ends first.
func (c *Conn) Find(ctx context.Context, target netip.Addr, wait time.Duration) (owner inet.MAC, found bool, err error) {
	target = target.WithZone("")
	p := &probe{target: target, answers: true, owner: make(chan inet.MAC, 1)}
	ns := &ndp.NeighborSolicitation{
		TargetAddress: target,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: c.link.MAC.HardwareAddr()}},
	}
	owner, found, err = c.ask(ctx, p, ns, c.link.Source, wait)
	if err != nil {
		err = fmt.Errorf("find %s dev %s: %w", target, c.link.Name, c.cause(err))
	}
	return owner, found, err
}

// ask sends ns again and again until p has an owner, or for the length of wait.
func (c *Conn) ask(ctx context.Context, p *probe, ns *ndp.NeighborSolicitation, source netip.Addr, wait time.Duration) (owner inet.MAC, found bool, err error) {
	if err := ctx.Err(); err != nil {
		return owner, false, err
	}
	if target := p.target; !target.Is6() || target.Is4In6() || target.IsMulticast() || target.IsUnspecified() {
		return owner, false, errors.New("not an IPv6 address of a host")
	}
	group := inet.SolicitedNode(p.target)
	if err := c.listen(p, group); err != nil {
		return owner, false, err
	}
	defer func() {
		if left := c.unlisten(p, group); left != nil {
			err = errors.Join(err, left)
		}
	}()

	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	again := time.NewTicker(retransmit)
	defer again.Stop()
	for {
		if err := c.send(ns, source, group); err != nil {
			return owner, false, err
		}
		select {
		case owner := <-p.owner:
			return owner, true, nil
		case <-timeout.C:
			return owner, false, nil
		case <-ctx.Done():
			return owner, false, ctx.Err()
		case <-c.ended:
			return owner, false, c.err
		case <-again.C:
		}
	}
}

// newNonce returns six random octets (RFC 7527 4.1): a looped-back solicitation has
// the nonce that it was sent with, one of another host has not.
func newNonce() []byte {
	nonce := make([]byte, 6)
	rand.Read(nonce) // It never returns an error.
	return nonce
}

// listen makes the reader hear for p. Another host that asks for the same
// address does so on the target's group.
func (c *Conn) listen(p *probe, group netip.Addr) error {
	if err := c.socket.JoinGroup(inet.MulticastMAC(group).HardwareAddr()); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.probes) == 0 {
		if err := c.socket.SetBPF(hearNeighbors); err != nil {
			return errors.Join(err, c.socket.LeaveGroup(inet.MulticastMAC(group).HardwareAddr()))
		}
	}
	c.probes[p] = struct{}{}
	return nil
}

func (c *Conn) unlisten(p *probe, group netip.Addr) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.probes, p)
	var errs []error
	if len(c.probes) == 0 {
		errs = append(errs, c.socket.SetBPF(hearNothing))
	}
	errs = append(errs, c.socket.LeaveGroup(inet.MulticastMAC(group).HardwareAddr()))
	if err := errors.Join(errs...); err != nil && !gone(err) && !c.closed.Load() {
		return err
	}
	return nil
}

// gone reports whether err comes from a link that does not exist any more.
func gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO)
}

// cause returns net.ErrClosed for the many errors of a closed socket, and else err.
func (c *Conn) cause(err error) error {
	if err != nil && c.closed.Load() {
		return net.ErrClosed
	}
	return err
}

func (c *Conn) send(m ndp.Message, source, destination netip.Addr) error {
	frame, err := marshalFrame(m, c.link.MAC, source, destination)
	if err != nil {
		return err
	}
	_, err = c.socket.WriteTo(frame, &packet.Addr{HardwareAddr: inet.MulticastMAC(destination).HardwareAddr()})
	return err
}

// read hands what it hears to the probes until the socket is closed.
func (c *Conn) read() {
	defer close(c.ended)
	buf := make([]byte, maxFrame)
	for {
		n, _, err := c.socket.ReadFrom(buf)
		switch {
		case errors.Is(err, unix.ENETDOWN):
			continue // The kernel says it once when the link goes down; it may come up again.
		case err != nil:
			c.err = c.cause(err)
			return
		}
		m, err := parseFrame(buf[:n])
		if err != nil || m.from == c.link.MAC {
			continue // What the link sent itself may come back over a switch or a bond.
		}
		c.dispatch(m)
	}
}

func (c *Conn) dispatch(m neighborMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.probes {
		if !m.claims(p.target, p.nonce) || p.answers && !m.advertisement {
			continue
		}
		select {
		case p.owner <- m.owner:
		default: // One objection is enough.
		}
	}
}
