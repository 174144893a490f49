// Package uplink chooses the link towards the router and tells what it is now.
//
// It chooses from a Snapshot of the host and keeps no opinion of its own: a
// link's name stands for that link, and Auto for the link of the IPv6 default
// route with the lowest metric.
package uplink

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// Auto stands for the link of the IPv6 default route.
const Auto = "auto"

// ErrNotFound is wrapped by Choose where no link fits. One may appear later.
var ErrNotFound = errors.New("no such uplink")

// aliasPrefix starts the aliases of ndp6's own links, which lead to no router.
const aliasPrefix = "ndp6:"

// An Uplink is a host link towards the router. It can be recorded.
type Uplink struct {
	Name  string   `json:"name"`
	Index int      `json:"index"`
	MAC   inet.MAC `json:"mac"`
	MTU   int      `json:"mtu"`
	// Running is whether the link carries packets now.
	Running bool `json:"running,omitempty"`
	// OnLink are the global and unique local prefixes that the kernel reaches
	// on the link without a router.
	OnLink []netip.Prefix `json:"on_link,omitempty"`
	// Source is an address of the link that packets of ours can come from,
	// its link-local one where it has one. The zero Addr where it has none.
	Source netip.Addr `json:"source,omitzero"`
}

// Ready reports whether packets of ours can be sent on the uplink.
func (u Uplink) Ready() bool { return u.Running && u.Source.IsValid() }

// Equal reports whether u and v are the same in everything.
func (u Uplink) Equal(v Uplink) bool {
	same := slices.Equal(u.OnLink, v.OnLink)
	u.OnLink, v.OnLink = nil, nil
	return same && reflect.DeepEqual(u, v)
}

// A Snapshot is what the kernel said of the host at one moment.
type Snapshot struct {
	Links     []kernel.Link
	Addresses []kernel.Address
	Routes    []kernel.Route
}

// Observe reads a Snapshot. It dumps tables: not for the path of docker run.
func Observe(conn *kernel.Conn) (Snapshot, error) {
	links, err := conn.Links()
	if err != nil {
		return Snapshot{}, err
	}
	addresses, err := conn.Addresses()
	if err != nil {
		return Snapshot{}, err
	}
	routes, err := conn.Routes()
	if err != nil {
		return Snapshot{}, err
	}
	return Snapshot{links, addresses, routes}, nil
}

// Choose returns the uplink that spec stands for in s.
func (s Snapshot) Choose(spec string) (Uplink, error) {
	name := spec
	if spec == Auto {
		r, ok := s.defaultRoute()
		if !ok {
			return Uplink{}, fmt.Errorf("the host has no IPv6 default route: wait for a router advertisement, or name the link with -o ndp6.uplink=NAME: %w", ErrNotFound)
		}
		name = r.Link
	}
	l, ok := s.Link(name)
	switch {
	case !ok:
		return Uplink{}, fmt.Errorf("uplink %q does not exist: %s: %w", name, s.advice(), ErrNotFound)
	case !canLead(l):
		return Uplink{}, fmt.Errorf("uplink %q leads to no router: %s: %w", name, s.advice(), ErrNotFound)
	}
	return Uplink{
		Name: l.Name, Index: l.Index, MAC: l.MAC, MTU: l.MTU, Running: l.Running,
		OnLink: s.onLink(name), Source: s.source(name),
	}, nil
}

// Follow is Choose for a spec that stood for the uplink last before. What
// goes for a while changes nothing, because neighbors still send to where the
// containers are:
//
//   - Without a default route, Auto stays where it was.
//   - A link that was renamed is the same link.
//   - A link that loses its on-link routes keeps the prefixes as long as it
//     has an address in them, or no others take their place.
func (s Snapshot) Follow(spec string, last Uplink) (Uplink, error) {
	u, err := s.Choose(spec)
	if err != nil {
		again, ok := s.again(last)
		if !ok {
			return Uplink{}, err
		}
		if u, err = s.Choose(again.Name); err != nil {
			return Uplink{}, err
		}
	}
	if u.Index != last.Index && u.Name != last.Name {
		return u, nil
	}
	var kept []netip.Prefix
	for _, p := range last.OnLink {
		if len(u.OnLink) == 0 || s.hasAddress(u.Name, p) {
			kept = append(kept, p)
		}
	}
	u.OnLink = slices.Concat(u.OnLink, kept)
	slices.SortFunc(u.OnLink, netip.Prefix.Compare)
	u.OnLink = slices.Compact(u.OnLink)
	return u, nil
}

// again returns the link that was last, under whatever name it has now, or
// another that took its name.
func (s Snapshot) again(last Uplink) (kernel.Link, bool) {
	i := slices.IndexFunc(s.Links, func(l kernel.Link) bool { return l.Index == last.Index && l.MAC == last.MAC })
	if i >= 0 {
		return s.Links[i], true
	}
	return s.Link(last.Name)
}

func (s Snapshot) hasAddress(link string, p netip.Prefix) bool {
	return slices.ContainsFunc(s.Addresses, func(a kernel.Address) bool {
		return a.Link == link && p.Contains(a.Prefix.Addr())
	})
}

// Link returns the link of this name.
func (s Snapshot) Link(name string) (kernel.Link, bool) {
	i := slices.IndexFunc(s.Links, func(l kernel.Link) bool { return l.Name == name })
	if i < 0 {
		return kernel.Link{}, false
	}
	return s.Links[i], true
}

// RALinks returns the links whose default route came from a router
// advertisement that the kernel handled, sorted.
func (s Snapshot) RALinks() []string {
	var names []string
	for _, r := range s.Routes {
		if isDefault6(r) && r.Protocol == kernel.ProtocolRA {
			names = append(names, r.Link)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Foreign returns the addresses and routes that are not ours, by our protocol
// number and the alias of our links.
func (s Snapshot) Foreign(ours func(alias string) bool, protocol int) inet.Foreign {
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
		if mine[r.Link] || r.Protocol == protocol || r.Dst.Bits() == 0 ||
			r.Dst.Addr().IsLinkLocalUnicast() || r.Dst.Addr().IsMulticast() {
			continue
		}
		f.Routes = append(f.Routes, inet.HostRoute{Dst: r.Dst, Link: r.Link})
	}
	return f
}

// defaultRoute returns the IPv6 default route that the kernel prefers.
func (s Snapshot) defaultRoute() (kernel.Route, bool) {
	var found []kernel.Route
	for _, r := range s.Routes {
		if isDefault6(r) {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return kernel.Route{}, false
	}
	return slices.MinFunc(found, func(a, b kernel.Route) int { return cmp.Compare(a.Metric, b.Metric) }), true
}

func isDefault6(r kernel.Route) bool {
	return r.Dst.Bits() == 0 && r.Dst.Addr().Is6() && r.Link != "" && r.Link != "lo"
}

// onLink returns the prefixes that are reached on the link without a router.
func (s Snapshot) onLink(name string) []netip.Prefix {
	var on []netip.Prefix
	for _, r := range s.Routes {
		a := r.Dst.Addr()
		if r.Link == name && !r.Via.IsValid() && a.Is6() && r.Dst.Bits() > 0 && r.Dst.Bits() < 128 &&
			!a.IsLinkLocalUnicast() && !a.IsMulticast() {
			on = append(on, r.Dst)
		}
	}
	slices.SortFunc(on, netip.Prefix.Compare)
	return slices.Compact(on)
}

func (s Snapshot) source(name string) netip.Addr {
	var source netip.Addr
	for _, a := range s.Addresses {
		addr := a.Prefix.Addr()
		if a.Link != name || !addr.Is6() || a.Tentative {
			continue
		}
		if addr.IsLinkLocalUnicast() {
			return addr
		}
		if !source.IsValid() {
			source = addr
		}
	}
	return source
}

// canLead reports whether l can lead towards a router.
func canLead(l kernel.Link) bool {
	return l.Name != "lo" && !strings.HasPrefix(l.Alias, aliasPrefix)
}

// advice names what an operator may have meant.
func (s Snapshot) advice() string {
	var links, veths []string
	for _, l := range s.Links {
		switch {
		case !canLead(l):
		case l.Kind == "veth":
			veths = append(veths, l.Name)
		default:
			links = append(links, l.Name)
		}
	}
	// A veth may be an uplink in a laboratory, but is noise among real ones.
	if len(links) == 0 {
		links = veths
	}
	return "use one of " + strings.Join(append([]string{Auto}, links...), ", ")
}
