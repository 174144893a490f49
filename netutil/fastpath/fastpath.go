// Package fastpath forwards what containers' published ports receive and send,
// in front of the kernel's own forwarding: eBPF programs at the ingress of
// uplinks and of containers' links. They know the addresses of containers, the
// published ports of each, and nothing of flows. What they do not know, and what
// the kernel has to answer for, such as a packet that is too big, they leave to
// the kernel.
//
// What is forwarded here is not seen by nftables, iptables and conntrack of the
// host. It is as closed as those leave it only where no translation takes part.
package fastpath

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/tc"
)

// slot is behind that of the responder, which takes what is not forwarded.
var slot = tc.Slot{Name: "ndp6_fast", Priority: 7, Handle: 0x6e647037}

// ErrUnavailable is wrapped by errors of Available and New about a kernel that
// does not run the programs, or not for this process.
var ErrUnavailable = errors.New("the kernel does not run the fast path")

// Available says why the kernel does not run the programs here: its version, a
// capability that lacks, a policy. It is nil where it does. It takes some
// milliseconds and leaves nothing behind.
func Available() error {
	var objects programObjects
	if err := load(&objects); err != nil {
		return err
	}
	return objects.Close()
}

// load loads the programs and their tables. bpf_check_mtu is since 5.12.
func load(objects *programObjects) error {
	err := tc.Load(tc.Release{Major: 5, Minor: 12}, func() error { return loadProgramObjects(objects, nil) })
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// A Port is a published port of a container.
type Port struct {
	Proto  uint8 // IANA's number: 6 TCP, 17 UDP; others are the kernel's
	Number uint16
}

// An Endpoint is a container's link to a bridge.
type Endpoint struct {
	Port, Bridge int // indexes of the host side of the link, and of the bridge
	MAC, Gateway inet.MAC
	Ports        []Port
}

// Path is the programs and their tables. Its methods may be called from any
// goroutine.
type Path struct {
	mu                sync.Mutex
	tc                *tc.Conn
	kernel            programObjects
	entering, leaving tc.Program
	// ports are what the table of that name has for an address.
	ports map[netip.Addr]map[Port]bool
	pools *tc.Pools
}

// New loads the programs, for links of the calling thread's namespace. Nothing
// is attached: what another process left works on. The caller closes the Path.
func New() (*Path, error) {
	p := &Path{ports: make(map[netip.Addr]map[Port]bool)}
	if err := load(&p.kernel); err != nil {
		return nil, err
	}
	p.pools = tc.NewPools(p.kernel.Pools)
	var errs [2]error
	p.entering, errs[0] = tc.Loaded(p.kernel.Entering)
	p.leaving, errs[1] = tc.Loaded(p.kernel.Leaving)
	err := errors.Join(errs[:]...)
	if err == nil {
		p.tc, err = tc.Open(slot)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("load the fast path: %w", err), p.kernel.Close())
	}
	return p, nil
}

// Close lets go of the programs. Where they are attached they stay, and work.
func (p *Path) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tc.Close()
	if err := p.kernel.Close(); err != nil {
		return fmt.Errorf("close the fast path: %w", err)
	}
	return nil
}

// AttachUplink has the path take what enters by a link, and may leave by it.
func (p *Path) AttachUplink(index int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.kernel.Uplinks.Put(uint32(index), uint32(1))
	if err == nil {
		err = p.tc.Attach(index, p.entering)
	}
	if err != nil {
		return fmt.Errorf("attach the fast path to link %d: %w", index, err)
	}
	return nil
}

// UplinkAttached reports whether AttachUplink still holds. It costs one request.
func (p *Path) UplinkAttached(index int) (bool, error) { return p.attached(index, &p.entering) }

// PortAttached reports whether the path takes what a container sends, as Put
// has it do. It costs one request.
func (p *Path) PortAttached(index int) (bool, error) { return p.attached(index, &p.leaving) }

func (p *Path) attached(index int, program *tc.Program) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	attached, err := p.tc.Attached(index, *program)
	if err != nil {
		return false, fmt.Errorf("look for the fast path on link %d: %w", index, err)
	}
	return attached, nil
}

// DetachUplink ends that. A link that is gone is no error.
func (p *Path) DetachUplink(index int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.kernel.Uplinks.Delete(uint32(index))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		err = nil
	}
	if err = errors.Join(err, p.tc.Detach(index)); err != nil {
		return fmt.Errorf("detach the fast path from link %d: %w", index, err)
	}
	return nil
}

// DetachPort ends what Put has the path do on a link. One that is gone is no error.
func (p *Path) DetachPort(index int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.tc.Detach(index); err != nil {
		return fmt.Errorf("detach the fast path from link %d: %w", index, err)
	}
	return nil
}

// Links returns the indexes of the links of the calling thread's namespace that
// a fast path is on, whichever process attached it.
func Links() ([]int, error) {
	links, err := slot.Links()
	if err != nil {
		return nil, fmt.Errorf("look for the fast path: %w", err)
	}
	return links, nil
}

// Detach takes whatever fast path there is off the link, and the qdisc with it
// when no filter of others is there. A link that is gone or has none is no error.
func Detach(index int) error {
	if err := slot.Detach(index); err != nil {
		return fmt.Errorf("detach the fast path from link %d: %w", index, err)
	}
	return nil
}
