package reconcile

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// lookAt is how many settings of our bridges one look reads: with more
// bridges, it takes several looks to see them all.
const lookAt = 32

// expected is what Observe and Apply left of what vanishes without an event:
// the kernel tells nothing of proxy entries, and of sysctls only forwarding
// and proxy_ndp.
type expected struct {
	mu sync.Mutex
	// changes counts the beginnings and ends of our own changes, so that who
	// looks knows whether one came between.
	changes, pending int
	proxies          map[plan.Proxy]bool
	// neighbors are the permanent ones on our bridges. The kernel tells of their
	// end, but also when it was we who removed them.
	neighbors map[plan.Key]bool
	// veths are the host sides of endpoints by name, and suspects those that
	// an event was about: each start of a container causes some, too many for
	// a pass each time.
	veths    map[string]plan.Veth
	suspects map[string]bool
	// settings are the values of wanted sysctls, by name.
	settings map[string]string
	// accepting are our bridges, and whether they accept router advertisements.
	accepting map[string]bool
	// whole are those of them that are as they were left, but for that setting.
	whole map[string]plan.Bridge
	// bridges are their names, and turn is the one to look at next.
	bridges []string
	turn    int
}

func newExpected() *expected {
	e := &expected{}
	e.reset(plan.NewHost(), plan.NewHost())
	return e
}

// change notes what do does to a proxy entry or a sysctl, if it succeeds.
func (e *expected) change(do func() error, note func()) error {
	e.mu.Lock()
	e.changes++
	e.pending++
	e.mu.Unlock()
	err := do()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changes++
	e.pending--
	if err == nil {
		note()
	}
	return err
}

func (e *expected) addProxy(p plan.Proxy, do func() error) error {
	return e.change(do, func() { e.proxies[p] = true })
}

func (e *expected) removeProxy(p plan.Proxy, do func() error) error {
	return e.change(do, func() { delete(e.proxies, p) })
}

// addNeighbor notes a neighbor on a bridge.
func (e *expected) addNeighbor(n plan.Neighbor) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.neighbors[n.Key()] = true
}

// removeNeighbor notes that a neighbor is about to go.
func (e *expected) removeNeighbor(n plan.Neighbor) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.neighbors, n.Key())
}

// hasNeighbor reports whether a neighbor is there, unless others removed it.
func (e *expected) hasNeighbor(n plan.Neighbor) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.neighbors[n.Key()]
}

// proxiesByLink returns how many proxy entries there are on each link.
func (e *expected) proxiesByLink() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	links := make(map[string]int)
	for p := range e.proxies {
		links[p.Link]++
	}
	return links
}

// addVeth notes a host side that is complete.
func (e *expected) addVeth(v plan.Veth) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.veths[v.Name] = v
}

// removeVeth notes that a host side is about to go.
func (e *expected) removeVeth(v plan.Veth) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.veths, v.Name)
}

// suspect has the next look see a link.
func (e *expected) suspect(link string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.suspects[link] = true
}

func (e *expected) set(sysctl, value string, do func() error) error {
	return e.change(do, func() { e.settings[sysctl] = value })
}

func (e *expected) unset(sysctl string, do func() error) error {
	return e.change(do, func() { delete(e.settings, sysctl) })
}

func (e *expected) addBridge(name string, do func() error) error {
	return e.change(do, func() {
		if _, ok := e.accepting[name]; !ok {
			e.bridges = append(e.bridges, name)
		}
		e.accepting[name] = false
	})
}

func (e *expected) removeBridge(name string, do func() error) error {
	return e.change(do, func() {
		delete(e.accepting, name)
		delete(e.whole, name)
		e.bridges = slices.DeleteFunc(e.bridges, func(b string) bool { return b == name })
	})
}

// changeBridge notes a bridge before it is changed, or when it is complete: what
// is told of it meanwhile may be anything.
func (e *expected) changeBridge(b plan.Bridge, complete bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.whole, b.Name)
	if complete {
		b.AcceptRA = false
		e.whole[b.Name] = b
	}
}

// hasBridge reports whether a bridge is as it was left.
func (e *expected) hasBridge(b plan.Bridge) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	whole, ok := e.whole[b.Name]
	return ok && whole == b
}

// reset begins anew with what was observed.
func (e *expected) reset(have, want plan.Host) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changes++
	e.proxies, e.veths, e.suspects = make(map[plan.Proxy]bool), make(map[string]plan.Veth), make(map[string]bool)
	e.whole = make(map[string]plan.Bridge)
	e.settings, e.accepting, e.neighbors = make(map[string]string), make(map[string]bool), make(map[plan.Key]bool)
	for k, o := range have.Objects {
		switch o := o.Object.(type) {
		case plan.Proxy:
			e.proxies[o] = true
		case plan.Neighbor:
			e.neighbors[k] = true
		case plan.Veth:
			e.veths[o.Name] = o
		case plan.Sysctl:
			if _, ok := want.Objects[k]; ok {
				e.settings[o.Name] = o.Value
			}
		case plan.Bridge:
			e.accepting[o.Name] = o.AcceptRA
			o.AcceptRA = false
			e.whole[o.Name] = o
		}
	}
	e.bridges = slices.Sorted(maps.Keys(e.accepting))
}

// A look is what to compare with the host.
type look struct {
	veths     []plan.Veth
	settings  map[string]string
	accepting map[string]bool
	// changes tells whether it is still what is expected.
	changes int
}

// next returns what to look at now.
func (e *expected) next() look {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := look{settings: maps.Clone(e.settings), accepting: make(map[string]bool), changes: e.changes}
	for name := range e.suspects {
		if v, ok := e.veths[name]; ok {
			l.veths = append(l.veths, v)
		}
	}
	clear(e.suspects)
	for range min(lookAt, len(e.bridges)) {
		e.turn = (e.turn + 1) % len(e.bridges)
		name := e.bridges[e.turn]
		l.accepting[name] = e.accepting[name]
	}
	return l
}

// again has the next look see what l should have.
func (e *expected) again(l look) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v := range l.veths {
		e.suspects[v.Name] = true
	}
}

// valid reports whether nothing of ours changed since l was taken.
func (e *expected) valid(l look) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changes == l.changes && e.pending == 0
}

// holds reports whether entries are the proxy entries that are expected.
func (e *expected) holds(entries []kernel.Neighbor) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	count := 0
	for _, n := range entries {
		if n.Protocol != plan.Protocol {
			continue
		}
		if !e.proxies[plan.Proxy{Addr: n.Addr, Link: n.Link}] {
			return false
		}
		count++
	}
	return count == len(e.proxies)
}

// Drifted implements Kernel.
func (h *Host) Drifted() (bool, error) {
	h.looking.Lock()
	defer h.looking.Unlock()
	if expiry := h.observed().Expiry; !expiry.IsZero() && time.Now().After(expiry) || h.departures.stays() {
		return true, nil
	}
	look := h.expected.next()
	same, err := h.has(look)
	if err != nil || same {
		return false, err
	}
	if !h.expected.valid(look) {
		h.expected.again(look)
		return false, nil
	}
	return true, nil
}

func (h *Host) has(look look) (bool, error) {
	if same, err := h.hasSettings(look); err != nil || !same {
		return false, err
	}
	for _, v := range look.veths {
		l, err := h.conn.Link(v.Name)
		if errors.Is(err, kernel.ErrNotFound) {
			continue // nobody could make it again
		}
		if err != nil || l.Master != v.Master || l.Up != v.Up || l.Isolated != v.Isolated {
			return false, err
		}
	}
	if same, err := h.responders.same(); err != nil || !same {
		return false, err
	}
	if same, err := h.fastPaths.same(); err != nil || !same {
		return false, err
	}
	entries, err := h.conn.Proxies(h.entries)
	h.entries = entries
	return err == nil && h.expected.holds(entries), err
}

func (h *Host) hasSettings(look look) (bool, error) {
	for name, value := range look.settings {
		current, err := h.conn.Sysctl(name)
		// The settings of a link go with the link, which is told.
		if err != nil && !errors.Is(err, kernel.ErrNotFound) {
			return false, err
		}
		if err == nil && current != value {
			return false, nil
		}
	}
	for name, value := range look.accepting {
		if current, err := h.acceptsRA(name); err != nil || current != value {
			return false, err
		}
	}
	return true, nil
}

// acceptsRA reports whether a bridge of ours accepts router advertisements. It
// does not where that is the operator's business, or the bridge is gone.
func (h *Host) acceptsRA(bridge string) (bool, error) {
	if h.checkOnly {
		return false, nil
	}
	value, err := h.conn.Sysctl(linkSysctl(bridge, "accept_ra"))
	if errors.Is(err, kernel.ErrNotFound) {
		return false, nil
	}
	return value != "0", err
}
