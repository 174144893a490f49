package tc

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
)

// MaxPools is how many prefixes a table of pools holds. The programs have the same number.
const MaxPools = 1 << 12

// ErrFull is wrapped by errors about more than a table of a program holds.
var ErrFull = errors.New("no room")

// Pools is a program's table of that name, empty at first. Its methods may not
// be called at the same time.
type Pools struct {
	table *ebpf.Map
	have  map[netip.Prefix]bool
}

// NewPools is the table of a program that has just been loaded.
func NewPools(table *ebpf.Map) *Pools { return &Pools{table, make(map[netip.Prefix]bool)} }

// poolKey is struct prefix of the programs.
type poolKey struct {
	Bits uint32
	Addr [16]byte
}

func keyOf(p netip.Prefix) poolKey { return poolKey{Bits: uint32(p.Bits()), Addr: p.Addr().As16()} }

// Set makes IPv6 prefixes those of the table. The error wraps ErrFull for more
// than MaxPools.
func (p *Pools) Set(prefixes []netip.Prefix) error {
	want := make(map[netip.Prefix]bool, len(prefixes))
	for _, prefix := range prefixes {
		if !prefix.IsValid() || !prefix.Addr().Is6() || prefix.Addr().Is4In6() {
			return fmt.Errorf("%q is not an IPv6 prefix", prefix)
		}
		want[prefix.Masked()] = true
	}
	if len(want) > MaxPools {
		return fmt.Errorf("%d are more than %d: %w", len(want), MaxPools, ErrFull)
	}
	for prefix := range p.have {
		if want[prefix] {
			continue
		}
		if err := p.table.Delete(keyOf(prefix)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("remove %s: %w", prefix, err)
		}
		delete(p.have, prefix)
	}
	for prefix := range want {
		if p.have[prefix] {
			continue
		}
		if err := p.table.Put(keyOf(prefix), uint32(1)); err != nil {
			return fmt.Errorf("add %s: %w", prefix, err)
		}
		p.have[prefix] = true
	}
	return nil
}
