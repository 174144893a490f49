package ipam

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/docker/go-plugins-helpers/ipam"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/inet"
)

// Options of RequestAddress, set by Docker.
const (
	optionType  = "RequestAddressType"
	typeGateway = "com.docker.network.gateway"
	optionMAC   = "com.docker.network.endpoint.macaddress"
	optionName  = "com.docker.network.endpoint.name" // Docker 29 and newer
)

// A wish is a checked RequestAddress.
type wish struct {
	kind wishKind
	addr netip.Addr // zero when any will do
	mac  inet.MAC
	name string
}

// wishKind says what an address is for.
type wishKind int

const (
	// forEndpoint is a new endpoint: it has a MAC or a name, or no address yet.
	forEndpoint wishKind = iota
	forGateway
	// forKeeping is an address without a word: auxiliary, or a replayed endpoint's.
	forKeeping
)

// RequestAddress gives an address of a pool. Its errors wrap ErrInUse or
// alloc.ErrExhausted where that is the reason.
func (m *IPAM) RequestAddress(_ context.Context, r *ipam.RequestAddressRequest) (*ipam.RequestAddressResponse, error) {
	if r.PoolID == noIPv4ID {
		return given(noIPv4), nil
	}
	if isSwarmID(r.PoolID) {
		return m.swarm.requestAddress(r)
	}
	w, err := parseWish(r)
	if err != nil {
		return nil, err
	}
	p, err := m.find(r.PoolID)
	if err != nil {
		return nil, err
	}
	switch w.kind {
	case forGateway:
		return m.requestGateway(p, w.addr)
	case forKeeping:
		return m.keep(p, w.addr)
	default:
		return m.requestEndpoint(p, w)
	}
}

func parseWish(r *ipam.RequestAddressRequest) (wish, error) {
	var w wish
	var err error
	if r.Address != "" {
		if w.addr, err = parseAddr(r.Address); err != nil {
			return wish{}, err
		}
	}
	w.name = r.Options[optionName]
	mac, hasMAC := r.Options[optionMAC]
	if hasMAC {
		if w.mac, err = inet.ParseMAC(mac); err == nil {
			err = w.mac.CheckHost()
		}
		if err != nil {
			return wish{}, fmt.Errorf("--mac-address: %w", err)
		}
	}
	switch {
	case r.Options[optionType] == typeGateway:
		w.kind = forGateway
	case w.addr.IsValid() && !hasMAC && w.name == "":
		w.kind = forKeeping
	}
	return w, nil
}

func parseAddr(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("address %q is not an IP address: use a form like 2001:db8::2 or 10.0.0.2", s)
	}
	return addr.Unmap(), nil
}

// requestEndpoint leases an address to a new endpoint.
func (m *IPAM) requestEndpoint(p *pool, w wish) (*ipam.RequestAddressResponse, error) {
	l, err := m.lease(p, w)
	if p.is4() {
		if err == nil {
			m.expectPair(p, l)
		}
	} else {
		m.settlePair(w.mac, err)
	}
	if err != nil {
		return nil, err
	}
	return m.givenEndpoint(p, l.Addr), nil
}

// lease reserves an address in memory, then records it.
func (m *IPAM) lease(p *pool, w wish) (*lease, error) {
	l, odd, err := m.reserve(p, w)
	if err != nil {
		return nil, err
	}
	if err := m.settle(p, l); err != nil {
		return nil, err
	}
	m.tell(p, l, odd)
	return l, nil
}

// settle records a lease that was reserved, or ends it.
func (m *IPAM) settle(p *pool, l *lease) error {
	if err := m.leases.Put(l.key(), l.Lease); err != nil {
		// A disk that reports an error may have kept the record all the same.
		_ = m.leases.Delete(l.key())
		m.mu.Lock()
		m.take(p, l)
		m.mu.Unlock()
		return fmt.Errorf("record lease %s: %w", l.Addr, err)
	}
	m.mu.Lock()
	l.settled = true
	m.mu.Unlock()
	m.log.Debug("address leased", "pool_id", p.id, "address", l.Addr, "mac", l.MAC, "name", l.Name)
	return nil
}

// take takes a lease out of memory. The caller holds mu.
func (m *IPAM) take(p *pool, l *lease) {
	delete(p.leases, l.Addr)
	if m.stable[l.Endpoint] == l.Addr {
		delete(m.stable, l.Endpoint)
	}
}

// reserve makes a lease that is not recorded yet.
func (m *IPAM) reserve(p *pool, w wish) (*lease, oddity, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.closing || m.pools[p.id] != p {
		return nil, oddity{}, fmt.Errorf("pool %s is being released: create the network again", p.prefix)
	}
	if w.kind == forEndpoint {
		p.creating, p.unconfirmed = false, false
	}
	addr := w.addr
	var mode alloc.Mode
	var odd oddity
	var err error
	if addr.IsValid() {
		err = p.checkExplicit(w)
		if m.global && isMACAddress(addr) {
			mode = alloc.MAC // as a manager picks
		}
	} else {
		addr, mode, odd, err = m.pick(p, w)
	}
	if err != nil {
		return nil, oddity{}, err
	}
	l := &lease{
		Lease:   Lease{Pool: p.id, Addr: addr, MAC: w.mac, Name: w.name, Mode: mode, Since: now()},
		touched: time.Now(),
	}
	p.touched = l.touched
	p.leases[addr] = l
	return l, odd, nil
}

// checkExplicit says why the endpoint cannot have the address that it asks for.
func (p *pool) checkExplicit(w wish) error {
	if !p.prefix.Contains(w.addr) {
		return fmt.Errorf("%s %s is outside pool %s: use an address of the pool", p.addressFlag(), w.addr, p.prefix)
	}
	// What is kept Docker has already; refusing it would gain nothing.
	if why := alloc.Reserved(p.prefix, w.addr); why != "" && w.kind == forEndpoint {
		return fmt.Errorf("%s %s is %s of pool %s: use another address", p.addressFlag(), w.addr, why, p.prefix)
	}
	if who := p.holder(w.addr); who != "" {
		return fmt.Errorf("%s %s of pool %s is held by %s: use another address, or remove what holds it: %w", p.addressFlag(), w.addr, p.prefix, who, ErrInUse)
	}
	return nil
}

// givenEndpoint gives an address with the length of its pool. Where nodes share
// the pool, what is not the container's own is beyond its gateway.
func (m *IPAM) givenEndpoint(p *pool, addr netip.Addr) *ipam.RequestAddressResponse {
	if m.global && addr.Is6() {
		return given(netip.PrefixFrom(addr, addr.BitLen()).String())
	}
	return given(p.cidr(addr))
}

func given(address string) *ipam.RequestAddressResponse {
	return &ipam.RequestAddressResponse{Address: address, Data: map[string]string{}}
}
