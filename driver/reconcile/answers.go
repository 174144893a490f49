package reconcile

import (
	"cmp"
	"errors"
	"maps"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/inet"
)

// errNoEthernet is why a link has no responder.
var errNoEthernet = errors.New("it is no Ethernet link")

// plan returns what the plan is to know of a responder on an uplink, nil where
// there is none.
func (r *responders) plan(u uplink.Uplink, s uplink.Snapshot) *plan.Responder {
	if by, _ := r.on(u); by != plan.AnswerBPF {
		return nil
	}
	p := &plan.Responder{Link: u.Name, MAC: u.MAC}
	if r.source != plan.SourceTarget && u.Source.IsLinkLocalUnicast() {
		p.Source = u.Source
	}
	if r.source == plan.SourceAuto {
		p.Global = global(u.Name, s)
	}
	return p
}

// global returns the address of a link that answers to global ones come from, of
// several the first in their order that lasts.
func global(link string, s uplink.Snapshot) netip.Addr {
	var first netip.Addr
	for _, a := range s.Addresses {
		addr := a.Prefix.Addr()
		if a.Link != link || !addr.Is6() || addr.IsLinkLocalUnicast() || a.Tentative || a.Deprecated || a.Temporary {
			continue
		}
		if !first.IsValid() || addr.Less(first) {
			first = addr
		}
	}
	return first
}

// on returns what answers on an uplink, and why it is not a responder where
// that was not asked for.
func (r *responders) on(u uplink.Uplink) (plan.Answering, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.mode == plan.AnswerKernel:
		return plan.AnswerKernel, nil
	case r.lacking != nil:
		return plan.AnswerKernel, r.lacking
	case u.MAC == inet.MAC{}:
		return plan.AnswerKernel, errNoEthernet
	case r.refused[u.Index] != nil:
		return plan.AnswerKernel, r.refused[u.Index]
	}
	return plan.AnswerBPF, nil
}

// An Answer says what answers solicitations on an uplink.
type Answer struct {
	Uplink string
	Asked  plan.Answering // what it was to be
	By     plan.Answering // bpf or kernel
	// Reason says why it is that one.
	Reason string
}

// Answers returns what answers on the uplinks of networks, in their order.
func (h *Host) Answers() []Answer {
	var all []Answer
	for _, u := range h.lastUplinks() {
		a := Answer{Uplink: u.Name, Asked: h.responders.mode, Reason: "--responder " + string(h.responders.mode)}
		by, err := h.responders.on(u)
		switch a.By = by; {
		case err != nil:
			a.Reason = err.Error()
		case h.responders.mode == plan.AnswerAuto:
			a.Reason = "the kernel lets it"
		}
		all = append(all, a)
	}
	return all
}

// lastUplinks returns what the uplinks of networks were last, each once, in
// the order of their names.
func (h *Host) lastUplinks() []uplink.Uplink {
	h.mu.Lock()
	defer h.mu.Unlock()
	byName := func(a, b uplink.Uplink) int { return cmp.Compare(a.Name, b.Name) }
	all := slices.SortedFunc(maps.Values(h.last), byName)
	return slices.CompactFunc(all, func(a, b uplink.Uplink) bool { return a.Name == b.Name })
}
