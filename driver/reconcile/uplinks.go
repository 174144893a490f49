package reconcile

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
)

// Uplinks keep what an uplink was last, under the spec that stood for it, until
// the host's next boot. Every change is one transaction.
type Uplinks interface {
	All() (map[string]uplink.Uplink, error)
	Put(spec string, u uplink.Uplink) error
}

// Uplinks returns what the uplinks of these names are now, for the plan. A
// name that stands for no link is left out. The Speaker learns of them.
func (h *Host) Uplinks(specs []string) plan.Uplinks {
	before, up := h.uplinks(specs)
	found := slices.Collect(maps.Values(up))
	h.speaker.SetUplinks(found)
	snapshot := h.observed()
	now := plan.Uplinks{For: make(map[string]plan.Uplink), RA: h.raLinks()}
	for spec, u := range up {
		now.For[spec] = plan.Uplink{
			Name: u.Name, MTU: u.MTU, OnLink: u.OnLink, Deprecated: u.Deprecated,
			Responder: h.responders.plan(u, snapshot),
		}
		if renumbered(before[spec], u) {
			h.prefixChanges.Add(1)
		}
		h.record(spec, before[spec], u)
	}
	return now
}

// uplinks returns what specs stood for before and stand for now.
func (h *Host) uplinks(specs []string) (before, now map[string]uplink.Uplink) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, now = maps.Clone(h.last), make(map[string]uplink.Uplink)
	for _, spec := range specs {
		last := h.last[spec]
		u, err := h.snapshot.Follow(spec, last)
		if err != nil {
			continue
		}
		if news(last, u) {
			h.silent[u.Name] = true
		}
		h.last[spec], now[spec] = u, u
	}
	return before, now
}

// news reports whether neighbors of an uplink must be told where the addresses
// are: they went quiet with the link, or another MAC answers for them.
func news(last, now uplink.Uplink) bool {
	return !now.Ready() || !last.Ready() || last.MAC != now.MAC || last.Index != now.Index
}

// record keeps what an uplink is now for the next process.
func (h *Host) record(spec string, last, now uplink.Uplink) {
	if h.recorded == nil || now.Equal(last) {
		return
	}
	if err := h.recorded.Put(spec, now); err != nil {
		h.log.Warn("uplink not recorded: a restart without a default route would not find it", "uplink", now.Name, "err", err)
	}
}

// isSilent reports whether addresses on an uplink are announced later, all together.
func (h *Host) isSilent(link string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.silent[link]
}

// announceAgain announces what the host answers for on uplinks that were
// silent and can speak now. What is added from now on is announced as it is.
func (h *Host) announceAgain(have plan.Host) {
	for _, name := range h.audible() {
		var addrs []netip.Addr
		for _, o := range have.Objects {
			if p, ok := o.Object.(plan.Proxy); ok && p.Link == name {
				addrs = append(addrs, p.Addr)
			}
		}
		if len(addrs) == 0 {
			continue
		}
		slices.SortFunc(addrs, netip.Addr.Compare)
		h.log.Info("announcing again", "uplink", name, "addresses", len(addrs))
		if err := h.speaker.AnnounceAll(name, addrs); err != nil {
			h.log.Warn("addresses not announced", "uplink", name, "err", err)
		}
	}
}

// audible takes the uplinks from the silent ones that can speak now, and those
// that are none any more.
func (h *Host) audible() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ready := make(map[string]bool)
	for _, u := range h.last {
		ready[u.Name] = u.Ready()
	}
	var names []string
	for name := range h.silent {
		speaks, known := ready[name]
		if speaks || !known {
			delete(h.silent, name)
		}
		if speaks {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// raLinks returns the links that learn from router advertisements: those that
// have a default route or an address from one, those that wait for the host's
// first default route, and those whose accept_ra was changed for that. The route
// may be gone for a while, and comes back only if the setting stays.
func (h *Host) raLinks() []string {
	snapshot := h.observed()
	links := append(snapshot.RALinks(), h.waiting(snapshot)...)
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.changes {
		link, ok := linkOf(name, "accept_ra")
		if _, exists := snapshot.Link(link); ok && exists {
			links = append(links, link)
		}
	}
	slices.Sort(links)
	return slices.Compact(links)
}

// waiting returns the candidates that do not forward yet. One that does was
// deaf to routers before us, and is not ours to change.
func (h *Host) waiting(snapshot uplink.Snapshot) []string {
	var links []string
	for _, name := range snapshot.Candidates() {
		if value, err := h.conn.Sysctl(linkSysctl(name, "forwarding")); err == nil && value == "0" {
			links = append(links, name)
		}
	}
	return links
}
