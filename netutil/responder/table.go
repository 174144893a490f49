package responder

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/tc"
)

// How much one Responder holds. The program has the same numbers.
const (
	MaxTargets = 1 << 17
	MaxPools   = tc.MaxPools
)

// ErrFull is wrapped by errors of Add and SetPools beyond MaxTargets and MaxPools.
var ErrFull = tc.ErrFull

// Add has the responder answer for addresses. Those it answers for already stay.
func (r *Responder) Add(addrs ...netip.Addr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range addrs {
		if err := host(a); err != nil {
			return fmt.Errorf("answer on uplink %q: %w", r.name, err)
		}
		err := r.kernel.Targets.Put(a.As16(), uint32(1))
		if errors.Is(err, unix.E2BIG) {
			return fmt.Errorf("answer for %s on uplink %q, which has %d addresses: %w", a, r.name, MaxTargets, ErrFull)
		}
		if err != nil {
			return fmt.Errorf("answer for %s on uplink %q: %w", a, r.name, err)
		}
	}
	return nil
}

// Remove ends that. Those it does not answer for are no error.
func (r *Responder) Remove(addrs ...netip.Addr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range addrs {
		if err := r.kernel.Targets.Delete(a.As16()); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("end answers for %s on uplink %q: %w", a, r.name, err)
		}
	}
	return nil
}

// Targets returns what the responder answers for, in no order.
func (r *Responder) Targets() ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var addrs []netip.Addr
	var key [16]byte
	var value uint32
	all := r.kernel.Targets.Iterate()
	for all.Next(&key, &value) {
		addrs = append(addrs, netip.AddrFrom16(key))
	}
	if err := all.Err(); err != nil {
		return nil, fmt.Errorf("read addresses of the responder of uplink %q: %w", r.name, err)
	}
	return addrs, nil
}

// SetPools says which prefixes are ours alone: solicitations for an address of
// one that is neither a target nor the host's own are dropped, and no longer
// wake the kernel. The host's own addresses need no mention. While the uplink
// does not forward, or the host has no route to the pool, none is dropped.
func (r *Responder) SetPools(pools []netip.Prefix) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.pools.Set(pools); err != nil {
		return fmt.Errorf("set pools of the responder of uplink %q: %w", r.name, err)
	}
	return nil
}
