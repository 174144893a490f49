package alloc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/ndp6/ndp6/netutil/inet"
)

// ErrExhausted says that a pool, or its range, has no free address left.
var ErrExhausted = errors.New("no free address left")

const (
	// macMaxLen is the longest prefix that has room for a 48-bit MAC.
	macMaxLen = 80
	// groups is how many values the low 24 bits of packed addresses take. NICs
	// filter some 64 multicast addresses before they give up or, worse, drop.
	groups = 32
	// maxRehash bounds the collision counter. Only many endpoints with one
	// identity (a shared MAC) need more than a second try.
	maxRehash = 1 << 16
	// maxProbes bounds a walk; no pool holds so many leases.
	maxProbes = 1 << 24
)

// A Request describes the address that is wanted.
type Request struct {
	// Pool is the whole prefix, without host bits.
	Pool netip.Prefix
	// Range is the part of Pool that automatic addresses come from; the zero
	// value is all of it.
	Range netip.Prefix
	// Mode is the wish; Effective tells what becomes of it.
	Mode Mode
	// MAC and Name identify the endpoint, as far as Docker gave them.
	MAC  inet.MAC
	Name string
	// Secret keys Name, Opaque and Packed.
	Secret []byte
	// After is where Sequential goes on: the last address that it gave. The zero
	// value, or an address outside the range, begins at the start.
	After netip.Addr
	// Taken reports whether an address is in use or kept.
	Taken func(netip.Addr) bool
}

// Effective is the mode that Pick uses: Sequential in an IPv4 pool, in a range
// longer than /80, and for an endpoint without a MAC; MAC for an endpoint
// without a name that Name would need.
func (r Request) Effective() Mode {
	if r.Pool.Addr().Is4() || r.span().Bits() > macMaxLen {
		return Sequential
	}
	m := r.Mode
	if m == Name {
		if r.Name != "" {
			return Name
		}
		m = MAC
	}
	if r.MAC.IsZero() {
		return Sequential
	}
	return m
}

// Pick returns a free address of the range that no standard reserves, or
// ErrExhausted.
func Pick(r Request) (netip.Addr, error) {
	span := r.span()
	first := numberOf(span.Addr())
	switch r.Effective() {
	case MAC:
		return r.walk(first.or(macNumber(r.MAC)), first, first.or(lowBits(48)))
	case Name:
		return r.hash(Name, []byte(r.Name))
	case Opaque:
		return r.hash(Opaque, r.MAC[:])
	case Packed:
		return r.hash(Packed, r.MAC[:])
	default:
		from := first
		if r.After.IsValid() && span.Contains(r.After) {
			from = numberOf(r.After).next()
		}
		return r.walk(from, first, lastOf(span))
	}
}

// span is where automatic addresses come from.
func (r Request) span() netip.Prefix {
	if r.Range.IsValid() {
		return r.Range
	}
	return r.Pool
}

func (r Request) free(addr netip.Addr) bool {
	return Reserved(r.Pool, addr) == "" && !r.Taken(addr)
}

// walk tries every address upwards from from to last, then from first.
func (r Request) walk(from, first, last number) (netip.Addr, error) {
	if last.less(from) {
		from = first
	}
	n := from
	for range maxProbes {
		if addr := n.addr(r.Pool.Addr()); r.free(addr) {
			return addr, nil
		}
		if n == last {
			n = first
		} else {
			n = n.next()
		}
		if n == from {
			break
		}
	}
	return netip.Addr{}, ErrExhausted
}

// hash tries the identifiers that mode derives from the endpoint's identity,
// counting collisions as RFC 7217 section 5 does.
func (r Request) hash(mode Mode, identity []byte) (netip.Addr, error) {
	first := numberOf(r.span().Addr())
	width := min(64, 128-r.span().Bits())
	for counter := range uint32(maxRehash) {
		iid := r.digest(mode, identity, counter) & lowBits(width)
		if mode == Packed {
			// The identifier goes above the low 24 bits, which are all that a
			// solicited-node group is made of. The 32 values are the same in every
			// pool, so that pools on one uplink share their groups.
			iid = iid&^lowBits(24) | (iid&(groups-1) + 1)
		}
		if addr := first.or(iid).addr(r.Pool.Addr()); r.free(addr) {
			return addr, nil
		}
	}
	return netip.Addr{}, ErrExhausted
}

func (r Request) digest(mode Mode, identity []byte, counter uint32) uint64 {
	pool := r.Pool.Addr().As16()
	h := hmac.New(sha256.New, r.Secret)
	// Fields of fixed length first, so that no two inputs read the same.
	h.Write(pool[:])
	h.Write([]byte{byte(r.Pool.Bits())})
	h.Write(binary.BigEndian.AppendUint32(nil, counter))
	h.Write([]byte(mode + "\x00"))
	h.Write(identity)
	return binary.BigEndian.Uint64(h.Sum(nil))
}

func macNumber(m inet.MAC) uint64 {
	var b [8]byte
	copy(b[2:], m[:])
	return binary.BigEndian.Uint64(b[:])
}
