// Package uplink chooses the link towards the router and tells what it is now.
//
// It chooses from a Snapshot of the host and keeps no opinion of its own: a
// link's name stands for that link, and Auto for the link of the IPv6 default
// route that the kernel prefers: that of the lowest metric, of those the one
// whose router has the highest preference, of those that of the link with the
// lowest index.
package uplink

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

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
	// on the link without a router, in the order in which the host would choose
	// a source from them: those with an address of the host that is not
	// deprecated, the newest such address first; those without any address;
	// those in Deprecated. What is alike in that is in the order of length,
	// shorter first, then of address.
	OnLink []netip.Prefix `json:"on_link,omitempty"`
	// Deprecated are those of OnLink in which every address of the host is
	// deprecated: they are about to go.
	Deprecated []netip.Prefix `json:"deprecated,omitempty"`
	// Routed are the global prefixes that routers send to this host as a whole,
	// so that nothing has to answer for their addresses, shorter first.
	Routed []netip.Prefix `json:"routed,omitempty"`
	// Source is an address of the link that packets of ours can come from,
	// its link-local one where it has one. The zero Addr where it has none.
	Source netip.Addr `json:"source,omitzero"`
}

// Ready reports whether packets of ours can be sent on the uplink.
func (u Uplink) Ready() bool { return u.Running && u.Source.IsValid() }

// Equal reports whether u and v are the same in everything.
func (u Uplink) Equal(v Uplink) bool {
	same := slices.Equal(u.OnLink, v.OnLink) && slices.Equal(u.Deprecated, v.Deprecated) && slices.Equal(u.Routed, v.Routed)
	for _, w := range []*Uplink{&u, &v} {
		w.OnLink, w.Deprecated, w.Routed = nil, nil, nil // as nil and empty are the same
	}
	return same && reflect.DeepEqual(u, v)
}

// A Snapshot is what the kernel said of the host at one moment.
type Snapshot struct {
	Links     []kernel.Link
	Addresses []kernel.Address
	Routes    []kernel.Route
	// Expiry is when the first of Routes expires, which the kernel tells nobody;
	// the zero Time if none does.
	Expiry time.Time
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
	return Snapshot{links, addresses, routes, expiry(routes)}, nil
}

func expiry(routes []kernel.Route) time.Time {
	var first time.Time
	for _, r := range routes {
		if at := time.Now().Add(r.Left); r.Left > 0 && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
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
	u := Uplink{
		Name: l.Name, Index: l.Index, MAC: l.MAC, MTU: l.MTU, Running: l.Running,
		Source: s.source(name),
	}
	u.OnLink, u.Deprecated = s.inOrder(name, s.onLink(name), nil)
	u.Routed = s.routed(u.OnLink)
	return u, nil
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
// advertisement, or an address from one that the kernel handled, sorted. Where
// the host has no default route, Candidates may get one so.
func (s Snapshot) RALinks() []string {
	var names []string
	for _, a := range s.Addresses {
		if a.Protocol == kernel.AddressByRA {
			names = append(names, a.Link)
		}
	}
	for _, r := range s.Routes {
		if isDefault6(r) && r.Protocol == kernel.ProtocolRA {
			names = append(names, r.Link)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Candidates returns the links that may turn out to be the uplink that Auto
// stands for: none where there is one.
func (s Snapshot) Candidates() []string {
	if _, ok := s.defaultRoute(); ok {
		return nil
	}
	var names []string
	for _, l := range s.Links {
		if canLead(l) && l.Master == "" { // the port of a bridge has no addresses
			names = append(names, l.Name)
		}
	}
	return names
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
	return slices.MinFunc(found, func(a, b kernel.Route) int {
		return cmp.Or(
			cmp.Compare(a.Metric, b.Metric),
			cmp.Compare(b.Preference, a.Preference),
			cmp.Compare(s.index(a.Link), s.index(b.Link)),
		)
	}), true
}

func (s Snapshot) index(name string) int {
	l, _ := s.Link(name)
	return l.Index
}

func isDefault6(r kernel.Route) bool {
	return r.Dst.Bits() == 0 && r.Dst.Addr().Is6() && r.Link != "" && r.Link != "lo"
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
