package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ndp6/ndp6/ipam/alloc"
)

// A pool is a Pool at work. IPAM.mu guards what may change: all but id and prefix.
type pool struct {
	id     string
	prefix netip.Prefix

	record Pool
	leases map[netip.Addr]*lease
	// after is the last address that was given in sequence.
	after netip.Addr
	// creating holds from RequestPool until the first endpoint: what is asked
	// for without a MAC meanwhile is an auxiliary address.
	creating bool
	// unconfirmed holds from dockerd's start until it asked for the pool again.
	unconfirmed bool
	// closing holds while the record is being deleted.
	closing bool
	// touched is when Docker last asked for the pool or a lease in it.
	touched time.Time
	// told holds once the log says that addresses are of another mode than asked.
	told bool
}

// A lease is a Lease at work. Its address counts as taken from before its
// record is written until after it is deleted, so two calls never write one
// record.
type lease struct {
	Lease
	// settled holds once the record is written.
	settled bool
	// leaving holds while the record is being deleted.
	leaving bool
	// touched is when Docker last asked for it.
	touched time.Time
}

func newPool(record Pool, touched time.Time) *pool {
	return &pool{id: record.id(), prefix: record.Prefix, record: record, leases: map[netip.Addr]*lease{}, touched: touched}
}

// taken reports whether addr is held.
func (p *pool) taken(addr netip.Addr) bool {
	return p.leases[addr] != nil || addr == p.record.Gateway || slices.Contains(p.record.Aux, addr)
}

// holder says who has addr, nothing when it is free.
func (p *pool) holder(addr netip.Addr) string {
	if l, ok := p.leases[addr]; ok {
		switch {
		case l.Name != "" && l.MAC.IsZero():
			return fmt.Sprintf("container %q", l.Name)
		case l.Name != "":
			return fmt.Sprintf("container %q (MAC %s)", l.Name, l.MAC)
		case !l.MAC.IsZero():
			return "the container with MAC " + l.MAC.String()
		}
		return "another container"
	}
	switch {
	case addr == p.record.Gateway:
		return "the network's gateway"
	case slices.Contains(p.record.Aux, addr):
		return "--aux-address"
	}
	return ""
}

// cidr is addr as Docker wants it: with the length of the pool.
func (p *pool) cidr(addr netip.Addr) string {
	return netip.PrefixFrom(addr, p.prefix.Bits()).String()
}

// is4 reports whether the pool is IPv4.
func (p *pool) is4() bool { return p.prefix.Addr().Is4() }

// addressFlag is the flag of docker run that asks for an address of the pool.
func (p *pool) addressFlag() string {
	if p.is4() {
		return "--ip"
	}
	return "--ip6"
}

// firstFree is the lowest address that can be a gateway.
func (p *pool) firstFree() (netip.Addr, error) {
	addr, err := alloc.Pick(alloc.Request{Pool: p.prefix, Mode: alloc.Sequential, Taken: p.taken})
	if err != nil {
		return netip.Addr{}, p.exhausted(err)
	}
	return addr, nil
}

func (p *pool) exhausted(err error) error {
	part, remedy := "", "create the network with a shorter --subnet"
	if p.record.Range.IsValid() {
		part, remedy = fmt.Sprintf("--ip-range %s of ", p.record.Range), "create the network with a shorter --ip-range"
	}
	return fmt.Errorf("%spool %s: %w, %d leased: remove containers, or %s", part, p.prefix, err, len(p.leases), remedy)
}
