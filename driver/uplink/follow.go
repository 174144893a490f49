package uplink

import (
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// Follow is Choose for a spec that stood for the uplink last before. What
// goes for a while changes nothing, because neighbors still send to where the
// containers are:
//
//   - Without a default route, Auto stays where it was.
//   - A link that was renamed is the same link.
//   - A link that loses its on-link routes keeps the prefixes as long as it
//     has an address in them, or no others take their place: a global prefix
//     takes that of global ones, a unique local prefix that of unique local ones.
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
	replaced := make(map[bool]bool)
	for _, p := range u.OnLink {
		replaced[inet.IsULA(p)] = true
	}
	on := u.OnLink
	for _, p := range last.OnLink {
		if !replaced[inet.IsULA(p)] || s.hasAddress(u.Name, p) {
			on = append(on, p)
		}
	}
	u.OnLink, u.Deprecated = s.inOrder(u.Name, on, last.Deprecated)
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
