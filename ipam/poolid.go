package ipam

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/ipam/source"
)

// Docker keeps a pool's id for the life of its network, so an id says what is
// needed to make the pool again after its record was lost:
//
//	ndp6,pool=2001:db8::/80,range=2001:db8::1:0:0/96,iid=name
const (
	idScheme = "ndp6"
	// noIPv4ID is the id of the pool that stands for "no IPv4". It has no state,
	// so every network without IPv4 shares it.
	noIPv4ID = "ndp6,ipv4=none"
)

// id is the pool's id in the store and in Docker.
func (p Pool) id() string {
	var b strings.Builder
	b.WriteString(idScheme + ",pool=" + p.Prefix.String())
	if p.Range.IsValid() {
		b.WriteString(",range=" + p.Range.String())
	}
	if p.IID != "" {
		b.WriteString(",iid=" + string(p.IID))
	}
	return b.String()
}

// parseID returns the pool that id describes. It accepts nothing that id()
// would have written otherwise.
func parseID(id string) (Pool, error) {
	var p Pool
	fields := strings.Split(id, ",")
	for _, f := range fields[1:] {
		k, v, _ := strings.Cut(f, "=")
		switch k {
		case "pool":
			p.Prefix, _ = netip.ParsePrefix(v)
		case "range":
			p.Range, _ = netip.ParsePrefix(v)
		case "iid":
			p.IID, _ = alloc.ParseMode(v)
		}
	}
	if !p.Prefix.IsValid() || p.Prefix.Addr().Is4() && p.IID != "" || p.id() != id {
		return Pool{}, fmt.Errorf("pool id %q is not one of ndp6: remove the network and create it again with --ipam-driver ndp6", id)
	}
	return p, p.check()
}

// check says why p cannot be a pool, whatever the host and the other pools.
func (p Pool) check() error {
	if p.Prefix != p.Prefix.Masked() || p.Range != p.Range.Masked() {
		return fmt.Errorf("pool %s has host bits set: use %s", p.Prefix, p.Prefix.Masked())
	}
	if err := source.CheckGiven(p.Prefix); err != nil {
		return err
	}
	if p.Range.IsValid() && (p.Range.Bits() < p.Prefix.Bits() || !p.Prefix.Contains(p.Range.Addr())) {
		return fmt.Errorf("--ip-range %s is not inside --subnet %s: use a part of the subnet", p.Range, p.Prefix)
	}
	return nil
}
