package ipam

import (
	"cmp"
	"net/netip"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/inet"
)

// An oddity is what a user may wonder about in an automatic address.
type oddity struct {
	// displaced is where the MAC belongs, when another has that address.
	displaced netip.Addr
	// asked and used are modes, set the first time that they differ in a pool.
	asked, used alloc.Mode
}

// pick chooses an address for an endpoint that asks for none, and says how it
// did. The caller holds mu.
func (m *IPAM) pick(p *pool, w wish) (addr netip.Addr, used alloc.Mode, odd oddity, err error) {
	r := m.request(p, w)
	if addr, err = alloc.Pick(r); err != nil {
		return netip.Addr{}, "", oddity{}, p.exhausted(err)
	}
	used = r.Effective()
	if used != r.Mode && !p.is4() && !p.told {
		p.told = true
		odd.asked, odd.used = r.Mode, used
	}
	if used == alloc.Sequential {
		p.after = addr
	}
	if used == alloc.MAC {
		odd.displaced = displaced(r, addr)
	}
	return addr, used, odd, nil
}

// Random reports whether the address of a lease was picked in 48 bits or more
// that no other host has in practice: those of a MAC, or of a hash that a secret
// keys. It is false for an address that was asked for, counted up, or is not lent.
func (m *IPAM) Random(addr netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.poolOf(addr)
	if p == nil || p.leases[addr] == nil {
		return false
	}
	mode := p.leases[addr].Mode
	return mode != "" && mode != alloc.Sequential
}

// request is what pick asks for. The caller holds mu.
func (m *IPAM) request(p *pool, w wish) alloc.Request {
	return alloc.Request{
		Pool: p.prefix, Range: p.record.Range, Mode: cmp.Or(p.record.IID, m.iid),
		MAC: w.mac, Name: w.name, Secret: m.secret, After: p.after, Taken: p.taken,
	}
}

// displaced is the address that r's MAC makes, the zero value when addr is it.
func displaced(r alloc.Request, addr netip.Addr) netip.Addr {
	span := r.Pool
	if r.Range.IsValid() {
		span = r.Range
	}
	if want, err := inet.EmbedMAC(span, r.MAC); err == nil && want != addr {
		return want
	}
	return netip.Addr{}
}

// tell logs what is odd about the address of l.
func (m *IPAM) tell(p *pool, l *lease, odd oddity) {
	if odd.displaced.IsValid() {
		// Two containers may be given one --mac-address: the second request is not
		// the first one again.
		m.log.Warn("address of the mac is taken, next one leased", "mac", l.MAC, "taken", odd.displaced, "address", l.Addr)
	}
	if odd.asked != "" {
		m.log.Warn("mode does not fit the pool or this docker", "pool_id", p.id, "mode", odd.asked, "used", odd.used,
			"needs", "a pool or range of /80 or shorter, and for name Docker 29")
	}
}
