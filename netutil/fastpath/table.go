package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/ndp6/ndp6/netutil/inet"
)

// endpointValue is struct endpoint of the programs.
type endpointValue struct {
	Port, Bridge uint32
	MAC, Gateway inet.MAC
}

// portKey is struct published of the programs.
type portKey struct {
	Addr  [16]byte
	Port  [2]byte // in network order
	Proto uint8
	_     [5]uint8
}

func keyOf(a netip.Addr, p Port) portKey {
	k := portKey{Addr: a.As16(), Proto: p.Proto}
	binary.BigEndian.PutUint16(k.Port[:], p.Number)
	return k
}

// Put has the path forward for addresses of an endpoint, IPv6 and global or
// unique local, in place of what it did for them, and takes what the endpoint
// sends.
func (p *Path) Put(e Endpoint, addrs ...netip.Addr) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range addrs {
		if err := p.put(e, a); err != nil {
			return fmt.Errorf("forward for %s: %w", a, err)
		}
	}
	if err := p.tc.Attach(e.Port, p.leaving); err != nil {
		return fmt.Errorf("attach the fast path to link %d: %w", e.Port, err)
	}
	return nil
}

// put closes first what is not open any more, and opens last.
func (p *Path) put(e Endpoint, a netip.Addr) error {
	if !a.Is6() || a.Is4In6() {
		return fmt.Errorf("%s is no IPv6 address", a)
	}
	want := make(map[Port]bool, len(e.Ports))
	for _, port := range e.Ports {
		want[port] = true
	}
	if err := p.shut(a, want); err != nil {
		return err
	}
	v := endpointValue{Port: uint32(e.Port), Bridge: uint32(e.Bridge), MAC: e.MAC, Gateway: e.Gateway}
	if err := p.kernel.Endpoints.Put(a.As16(), v); err != nil {
		return err
	}
	have := p.ports[a]
	if have == nil {
		have = make(map[Port]bool, len(want))
		p.ports[a] = have
	}
	for port := range want {
		if err := p.kernel.Ports.Put(keyOf(a, port), uint32(1)); err != nil {
			return err
		}
		have[port] = true
	}
	return nil
}

// shut closes the ports of an address that are not among those to keep.
func (p *Path) shut(a netip.Addr, keep map[Port]bool) error {
	for port := range p.ports[a] {
		if keep[port] {
			continue
		}
		if err := p.kernel.Ports.Delete(keyOf(a, port)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		delete(p.ports[a], port)
	}
	return nil
}

// Remove ends that for addresses. Those that it does not forward for are no error.
func (p *Path) Remove(addrs ...netip.Addr) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range addrs {
		err := p.kernel.Endpoints.Delete(a.As16())
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			err = nil
		}
		if err = errors.Join(err, p.shut(a, nil)); err != nil {
			return fmt.Errorf("forward no more for %s: %w", a, err)
		}
		delete(p.ports, a)
	}
	return nil
}

// SetPools says which IPv6 prefixes are of networks here: nobody outside has an
// address of them.
func (p *Path) SetPools(pools []netip.Prefix) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.pools.Set(pools); err != nil {
		return fmt.Errorf("set pools of the fast path: %w", err)
	}
	return nil
}
