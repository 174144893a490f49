package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/docker/go-plugins-helpers/ipam"
)

// keep answers for an address that comes without a MAC, a name or a type. It is
// either an --aux-address, at network create and again at each replay, or the
// address of a stored endpoint, at replay. Nothing in the request tells which.
//
// What is recorded is confirmed. What is not is an auxiliary address while its
// network is being created, that is from RequestPool to the first endpoint in
// one session of dockerd: it goes to the pool's record, which outlives the boot.
// Any other is the endpoint of a lost or outlived lease, and becomes a lease
// again until Docker releases it. The worst mistake left is an endpoint kept as
// auxiliary, after both stores were lost; Docker's release ends that too.
//
// A swarm's nodes get each endpoint's IPv6 address so, and no auxiliary one.
func (m *IPAM) keep(p *pool, addr netip.Addr) (*ipam.RequestAddressResponse, error) {
	m.mu.Lock()
	creating, who, l := p.creating, p.holder(addr), p.leases[addr]
	leaving := l != nil && l.leaving
	if l != nil {
		l.touched = time.Now()
	}
	m.mu.Unlock()
	switch {
	case leaving:
		return nil, fmt.Errorf("address %s of pool %s is being released: ask again: %w", addr, p.prefix, ErrInUse)
	case who != "" && creating:
		return nil, fmt.Errorf("--aux-address %s of pool %s is held by %s: use another address: %w", addr, p.prefix, who, ErrInUse)
	case who != "":
		return m.givenEndpoint(p, addr), nil
	case creating:
		return m.keepAux(p, addr)
	}
	if _, err := m.lease(p, wish{kind: forKeeping, addr: addr}); err != nil {
		return nil, err
	}
	return m.givenEndpoint(p, addr), nil
}

func (m *IPAM) keepAux(p *pool, addr netip.Addr) (*ipam.RequestAddressResponse, error) {
	if !p.prefix.Contains(addr) {
		return nil, fmt.Errorf("--aux-address %s is outside pool %s: use an address of the pool", addr, p.prefix)
	}
	m.changes.Lock()
	defer m.changes.Unlock()
	err := m.change(p, func(r *Pool) error {
		r.Aux = append(slices.Clone(r.Aux), addr)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return given(p.cidr(addr)), nil
}
