package ipam

import (
	"fmt"
	"net/netip"

	"github.com/docker/go-plugins-helpers/ipam"

	"github.com/ndp6/ndp6/ipam/alloc"
)

// requestGateway gives the network's gateway its address. A link-local one is
// on every link and is no part of the pool, so it is given to all who ask.
func (m *IPAM) requestGateway(p *pool, addr netip.Addr) (*ipam.RequestAddressResponse, error) {
	switch {
	case !p.is4() && !addr.IsValid():
		return given(linkLocalGateway), nil
	case isLinkLocalGateway(p, addr):
		return given(netip.PrefixFrom(addr, 64).String()), nil
	}
	m.changes.Lock()
	defer m.changes.Unlock()
	m.mu.Lock()
	have := p.record.Gateway
	m.mu.Unlock()
	if have.IsValid() && (addr == have || !addr.IsValid()) { // replayed
		return given(p.cidr(have)), nil
	}
	err := m.change(p, func(r *Pool) error {
		if !addr.IsValid() {
			var err error
			if addr, err = p.firstFree(); err != nil {
				return err
			}
		}
		if err := p.checkGateway(addr); err != nil {
			return err
		}
		r.Gateway = addr
		return nil
	})
	if err != nil {
		return nil, err
	}
	return given(p.cidr(addr)), nil
}

func (p *pool) checkGateway(addr netip.Addr) error {
	if !p.prefix.Contains(addr) {
		return fmt.Errorf("--gateway %s is outside pool %s: use an address of the pool, or leave --gateway out", addr, p.prefix)
	}
	if why := alloc.Reserved(p.prefix, addr); why != "" {
		return fmt.Errorf("--gateway %s is %s of pool %s: use another address", addr, why, p.prefix)
	}
	if who := p.holder(addr); who != "" {
		return fmt.Errorf("--gateway %s of pool %s is held by %s: use another address: %w", addr, p.prefix, who, ErrInUse)
	}
	return nil
}

// isLinkLocalGateway reports whether addr is link-local and p is IPv6.
func isLinkLocalGateway(p *pool, addr netip.Addr) bool {
	return !p.is4() && addr.Is6() && addr.IsLinkLocalUnicast()
}
