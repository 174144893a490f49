package uplink

import (
	"slices"

	"github.com/ndp6/ndp6/netutil/inet"
)

// Foreign returns the addresses and routes that are not ours, by our protocol
// numbers and the alias of our links.
func (s Snapshot) Foreign(ours func(alias string) bool, protocols ...int) inet.Foreign {
	mine := make(map[string]bool)
	for _, l := range s.Links {
		mine[l.Name] = ours(l.Alias)
	}
	var f inet.Foreign
	for _, a := range s.Addresses {
		addr := a.Prefix.Addr()
		if !mine[a.Link] && !addr.IsLinkLocalUnicast() {
			f.Addrs = append(f.Addrs, inet.HostAddr{Addr: addr, Link: a.Link})
		}
	}
	for _, r := range s.Routes {
		if r.Dst.Bits() == 0 && r.Via.IsValid() && !r.Via.IsLinkLocalUnicast() {
			f.Routers = append(f.Routers, inet.HostAddr{Addr: r.Via, Link: r.Link})
		}
		if mine[r.Link] || slices.Contains(protocols, r.Protocol) || r.Dst.Bits() == 0 ||
			r.Dst.Addr().IsLinkLocalUnicast() || r.Dst.Addr().IsMulticast() {
			continue
		}
		f.Routes = append(f.Routes, inet.HostRoute{Dst: r.Dst, Link: r.Link})
	}
	return f
}
