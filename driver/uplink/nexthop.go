package uplink

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/netutil/kernel"
)

// NextHop returns the address under which others on the uplink's link reach this
// host: one in its on-link prefixes that stays, else the link-local one.
func (s Snapshot) NextHop(u Uplink) (netip.Addr, error) {
	for _, on := range u.OnLink {
		if i := slices.IndexFunc(s.Addresses, func(a kernel.Address) bool {
			return a.Link == u.Name && on.Contains(a.Prefix.Addr()) && !a.Temporary && !a.Tentative && !a.Deprecated
		}); i >= 0 {
			return s.Addresses[i].Prefix.Addr(), nil
		}
	}
	if u.Source.IsLinkLocalUnicast() {
		return u.Source.WithZone(""), nil
	}
	return netip.Addr{}, fmt.Errorf("uplink %q has no IPv6 address: wait until it comes up, or name another with --uplink (NDP6_UPLINK)", u.Name)
}
