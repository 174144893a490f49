package publish

import (
	"cmp"
	"errors"
	"maps"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/hostport"
)

// A spot is what can be held once.
type spot struct {
	proto uint8
	at    netip.AddrPort
}

// A held port leads to one of the container.
type held struct {
	*hostport.Port
	container uint16
}

// ports are those that an endpoint holds.
type ports map[spot]held

func (p ports) add(h *hostport.Port, container uint16) {
	p[spot{h.Proto(), h.AddrPort()}] = held{h, container}
}

// reuse adds to next what p holds already for b, if that is all that b needs.
func (p ports) reuse(next ports, b Binding) (uint16, bool) {
	for _, h := range p.sorted() {
		port := h.AddrPort().Port()
		if h.Proto() != b.Proto || h.container != b.Port || b.First != 0 && (port < b.First || b.Last < port) {
			continue
		}
		if !slices.ContainsFunc(b.HostAddrs, func(a netip.Addr) bool {
			s := spot{b.Proto, netip.AddrPortFrom(a, port)}
			return p[s].container != b.Port || next[s].Port != nil
		}) {
			for _, a := range b.HostAddrs {
				s := spot{b.Proto, netip.AddrPortFrom(a, port)}
				next[s] = p[s]
			}
			return port, true
		}
	}
	return 0, false
}

// has says whether the host port of pub is held.
func (p ports) has(pub firewall.Published) bool {
	_, ok := p[spot{pub.Proto, netip.AddrPortFrom(pub.HostAddr, pub.HostPort)}]
	return ok
}

// without returns those of p that are not in other.
func (p ports) without(other ports) ports {
	rest := maps.Clone(p)
	maps.DeleteFunc(rest, func(s spot, h held) bool { return other[s].Port == h.Port })
	return rest
}

func (p ports) close() error {
	var errs []error
	for _, h := range p.sorted() {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}

func (p ports) sorted() []held {
	return slices.SortedFunc(maps.Values(p), func(a, b held) int {
		return cmp.Or(cmp.Compare(a.Proto(), b.Proto()), a.AddrPort().Compare(b.AddrPort()))
	})
}
