package ipam

import (
	"errors"
	"net/netip"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
)

// Docker asks for an endpoint's IPv4 address, then for its IPv6 address. When
// the second is refused it forgets the first without releasing it, in every
// version, so a container that keeps failing would eat the IPv4 pool. We refused,
// so we know: the IPv4 lease of that MAC is given back.
//
// It must be the lease of that very attempt. A MAC is no proof, as two
// containers may have been given one --mac-address: an endpoint whose IPv6
// request was answered is out of reach, and so is one that is older than
// pairWindow, because an endpoint without IPv6 stays unpaired for ever. For the
// same reason a MAC that asks for IPv4 again gets another address, not the one
// that it holds.
//
// What remains is 20.10 refusing an --ip6 outside every pool by itself, after it
// asked us for IPv4: we never hear of that, and the lease stays until Sweep.

// pairWindow is how long after the IPv4 request the IPv6 request belongs to the
// same attempt. dockerd sends it at once.
const pairWindow = 10 * time.Second

// An unpaired lease is an IPv4 lease whose endpoint has not asked for IPv6 yet.
type unpaired struct {
	pool *pool
	addr netip.Addr
	at   time.Time
}

// expectPair notes that the IPv6 request of l's endpoint comes next.
func (m *IPAM) expectPair(p *pool, l *lease) {
	if l.MAC.IsZero() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unpaired[l.MAC] = unpaired{pool: p, addr: l.Addr, at: time.Now()}
}

// settlePair ends the wait after the IPv6 request of mac, and gives the IPv4
// lease back when that was refused.
func (m *IPAM) settlePair(mac inet.MAC, refused error) {
	m.mu.Lock()
	u, ok := m.unpaired[mac]
	delete(m.unpaired, mac)
	m.mu.Unlock()
	if !ok || refused == nil || time.Since(u.at) > pairWindow {
		return
	}
	if err := m.release(u.pool, u.addr); err != nil && !errors.Is(err, errNotLeased) {
		m.log.Warn("ipv4 lease of a refused endpoint kept", "address", u.addr, "error", err)
		return
	}
	m.log.Debug("ipv4 lease of a refused endpoint given back", "address", u.addr, "mac", mac)
}
