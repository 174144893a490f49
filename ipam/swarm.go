package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/docker/go-plugins-helpers/ipam"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/inet"
)

// In a swarm with networks of global scope, the manager that leads asks for the
// addresses of all nodes, in the global address space; each node asks again for
// its own, by their values, in the local one. So each address passes here, on
// the leader, and on its node through what this package does for all networks.
//
// Nothing of the leader's part is recorded. The swarm keeps what it was
// answered, and asks again for each pool and address, by their values, when
// another manager leads. An address is the pool's prefix and a random MAC: a
// process that forgot who has which meets one of n others with probability n/2^46.

// swarmScheme is what ids of a swarm's pools begin with, instead of idScheme.
const swarmScheme = "ndp6-swarm"

// A swarm is the part of a manager that leads. The zero value is ready.
type swarm struct {
	mu    sync.Mutex
	pools map[string]*swarmPool // by their ids
}

type swarmPool struct {
	Pool

	taken map[netip.Addr]bool
	// earlier holds from when dockerd or a new leader began until it asked for the pool.
	earlier bool
}

// expectReplay lets every pool be asked for once more, by a leader that begins.
func (s *swarm) expectReplay() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pools {
		p.earlier = true
	}
}

// requestPool lends a pool to a network of the swarm.
func (s *swarm) requestPool(r *ipam.RequestPoolRequest, o poolOptions) (*ipam.RequestPoolResponse, error) {
	switch {
	case r.V6: // Managers leave that out.
		return nil, errors.New("with --scope global (NDP6_SCOPE) networks are those of a swarm: make them on a manager, or use local")
	case r.Pool == "":
		return nil, errors.New("a network of a swarm needs a pool that is right on all nodes: give it one --subnet, of IPv6, such as 2001:db8:1:0:a::/80")
	case o != poolOptions{} && o != poolOptions{iid: alloc.MAC}:
		return nil, fmt.Errorf("--ipam-opt: a network of a swarm has the pool of its --subnet and addresses of random MACs: leave out what begins with %s", optionSpace)
	}
	want, err := parseWanted(&ipam.RequestPoolRequest{Pool: r.Pool, SubPool: r.SubPool, V6: true}, poolOptions{})
	if err != nil {
		return nil, err
	}
	if bits := want.span().Bits(); bits > maxMACBits {
		return nil, fmt.Errorf("pool %s has no room for a MAC: a swarm's nodes make addresses of them: use a --subnet and --ip-range of /%d or shorter", want.span(), maxMACBits)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, p := range s.pools {
		switch {
		case !p.Prefix.Overlaps(want.Prefix):
		case p.earlier: // What a manager that leads has, it asks for again.
			delete(s.pools, id)
		default:
			return nil, inet.CheckOverlap(want.Prefix, []netip.Prefix{p.Prefix})
		}
	}
	p := s.add(want)
	return &ipam.RequestPoolResponse{PoolID: swarmID(p.Pool), Pool: p.Prefix.String(), Data: map[string]string{dataGateway: linkLocalGateway}}, nil
}

// add makes a pool known. The caller holds mu.
func (s *swarm) add(record Pool) *swarmPool {
	p := &swarmPool{Pool: record, taken: map[netip.Addr]bool{}}
	if s.pools == nil {
		s.pools = map[string]*swarmPool{}
	}
	s.pools[swarmID(record)] = p
	return p
}

// maxMACBits is the longest prefix with room for a MAC.
const maxMACBits = 80

// span is where automatic addresses come from.
func (p Pool) span() netip.Prefix {
	if p.Range.IsValid() {
		return p.Range
	}
	return p.Prefix
}

// requestAddress gives an address to a gateway, or to a task on some node.
func (s *swarm) requestAddress(r *ipam.RequestAddressRequest) (*ipam.RequestAddressResponse, error) {
	var addr netip.Addr
	var err error
	if r.Address != "" {
		if addr, err = parseAddr(r.Address); err != nil {
			return nil, err
		}
	}
	gateway := r.Options[optionType] == typeGateway
	switch {
	case gateway && !addr.IsValid():
		return given(linkLocalGateway), nil
	case gateway && addr.Is6() && addr.IsLinkLocalUnicast():
		return given(netip.PrefixFrom(addr, 64).String()), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(r.PoolID)
	if err != nil {
		return nil, err
	}
	if addr, err = p.choose(addr); err != nil {
		return nil, err
	}
	p.taken[addr] = true
	return given(netip.PrefixFrom(addr, p.Prefix.Bits()).String()), nil
}

// choose returns addr if nobody has it, or any other where it is the zero value.
func (p *swarmPool) choose(addr netip.Addr) (netip.Addr, error) {
	switch {
	case !addr.IsValid():
		return alloc.Pick(alloc.Request{
			Pool: p.Prefix, Range: p.Range, Mode: alloc.MAC, MAC: inet.RandomMAC(),
			Taken: func(a netip.Addr) bool { return p.taken[a] },
		})
	case !p.Prefix.Contains(addr):
		return addr, fmt.Errorf("address %s is outside pool %s: use an address of the pool", addr, p.Prefix)
	case alloc.Reserved(p.Prefix, addr) != "":
		return addr, fmt.Errorf("address %s is %s of pool %s: use another address", addr, alloc.Reserved(p.Prefix, addr), p.Prefix)
	case p.taken[addr]:
		return addr, fmt.Errorf("address %s of pool %s is held by another task of the swarm: use another address: %w", addr, p.Prefix, ErrInUse)
	}
	return addr, nil
}

// releaseAddress takes an address back. What is not known succeeds.
func (s *swarm) releaseAddress(r *ipam.ReleaseAddressRequest) error {
	addr, err := parseAddr(r.Address)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.pools[r.PoolID]; ok {
		delete(p.taken, addr)
	}
	return nil
}

// releasePool takes a pool back. What is not known succeeds.
func (s *swarm) releasePool(r *ipam.ReleasePoolRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pools, r.PoolID)
}

// find returns the pool of id, made again from the id by a process that does
// not know it. The caller holds mu.
func (s *swarm) find(id string) (*swarmPool, error) {
	if p, ok := s.pools[id]; ok {
		return p, nil
	}
	p, err := parseID(idScheme + strings.TrimPrefix(id, swarmScheme))
	if err != nil {
		return nil, err
	}
	return s.add(p), nil
}

func swarmID(p Pool) string { return swarmScheme + strings.TrimPrefix(p.id(), idScheme) }

func isSwarmID(id string) bool { return strings.HasPrefix(id, swarmScheme+",") }

// isMACAddress reports whether addr can be one that a manager picked: the
// address of a MAC that a host may make up.
func isMACAddress(addr netip.Addr) bool {
	mac := inet.LowMAC(addr)
	return addr.Is6() && mac[0]&0x03 == 0x02
}
