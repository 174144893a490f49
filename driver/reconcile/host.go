package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/ndp6/ndp6/driver/ndisc"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/netutil/xtables"
)

// A Ledger keeps the sysctls that were changed, under their names. Every
// change is one transaction.
type Ledger interface {
	All() (map[string]Change, error)
	Put(name string, c Change) error
	Delete(name string) error
}

// A Host is the Kernel of the host that the process runs on.
type Host struct {
	log       *slog.Logger
	conn      *kernel.Conn
	rules     *nft.Conn
	legacy    *xtables.Conn
	zone      *zone
	listening sync.Once // to what changes from the first Refresh on
	unguarded sync.Once // said that frames are not guarded
	speaker   *ndisc.Speaker
	ledger    Ledger
	checkOnly bool
	// routeProtocol is that of announced routes.
	routeProtocol int

	recorded Uplinks
	outside  outside
	expected *expected
	elements elements
	insides  insides
	// departures are what endpoints left that the kernel takes long to remove.
	departures *departures
	// responders answer in front of the kernel.
	responders *responders
	// fastPaths forward in front of it.
	fastPaths *fastPaths

	ruleRepairs, prefixChanges atomic.Uint64

	// looking is held by Drifted.
	looking sync.Mutex
	// entries is memory for the next look.
	entries []kernel.Neighbor

	mu       sync.Mutex
	snapshot uplink.Snapshot
	// leaving is what the last Refresh may have seen although it was on its way.
	leaving []plan.Key
	// changes is the ledger's content.
	changes map[string]Change
	// last are the uplinks that the networks' specs stood for last.
	last map[string]uplink.Uplink
	// silent are the uplinks on which addresses are to be announced once
	// they can be, or again.
	silent map[string]bool
}

// HostConfig is what a Host is made of. Log, Conn, Rules, Speaker and Ledger
// are required.
type HostConfig struct {
	Log   *slog.Logger
	Conn  *kernel.Conn
	Rules *nft.Conn
	// Legacy are the tables of iptables-legacy; nil ignores them.
	Legacy *xtables.Conn
	// Firewalld puts the bridges into a zone of firewalld, where it runs.
	Firewalld bool
	Speaker   *ndisc.Speaker
	Ledger    Ledger
	// Uplinks keep what uplinks were last; nil keeps it in memory only.
	Uplinks Uplinks
	// CheckSysctls writes no sysctl.
	CheckSysctls bool
	// RouteProtocol is that of announced routes; 0 is plan.Protocol.
	RouteProtocol int
	// Answering is what answers on uplinks, the kernel where it is empty, and
	// NASource what answers come from, plan.SourceAuto where it is empty.
	Answering plan.Answering
	NASource  plan.NASource
}

// NewHost returns the host with what an earlier process recorded. The caller
// closes it.
func NewHost(c HostConfig) (*Host, error) {
	changes, err := c.Ledger.All()
	if err != nil {
		return nil, fmt.Errorf("read the sysctl ledger: %w", err)
	}
	last := make(map[string]uplink.Uplink)
	if c.Uplinks != nil {
		if last, err = c.Uplinks.All(); err != nil {
			return nil, fmt.Errorf("read the last uplinks: %w", err)
		}
	}
	responders, err := newResponders(c)
	if err != nil {
		return nil, err
	}
	h := &Host{
		log: c.Log, conn: c.Conn, rules: c.Rules, legacy: c.Legacy, speaker: c.Speaker,
		ledger: c.Ledger, checkOnly: c.CheckSysctls, routeProtocol: cmp.Or(c.RouteProtocol, plan.Protocol),
		recorded: c.Uplinks, expected: newExpected(), insides: insides{set: make(map[plan.Key]plan.Inside)}, responders: responders,
		fastPaths: newFastPaths(c.Conn),
		changes:   changes, last: last, silent: make(map[string]bool),
	}
	h.departures = newDepartures(c.Log, h.depart)
	if c.Firewalld {
		h.zone = &zone{log: c.Log}
	}
	return h, nil
}

// Close waits for what endpoints left, and lets go of what the host holds open.
// What is in the kernel stays.
func (h *Host) Close() error {
	h.departures.awaitAll()
	return errors.Join(h.responders.close(), h.fastPaths.close())
}

// Refresh implements Kernel.
func (h *Host) Refresh() error {
	var err error
	h.listening.Do(func() { err = h.conn.Listen() })
	if err != nil {
		return err
	}
	leaving := h.departures.look()
	s, err := uplink.Observe(h.conn)
	if err != nil {
		return err
	}
	if err := h.renameSettings(h.renamed(s)); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.snapshot, h.leaving = s, leaving
	return nil
}

// observed is what the last Refresh saw.
func (h *Host) observed() uplink.Snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.snapshot
}

// Choose returns the uplink that spec stands for, by the last Refresh.
func (h *Host) Choose(spec string) (uplink.Uplink, error) {
	return h.observed().Choose(spec)
}

// NextHop returns the address under which others reach this host on the link of
// the uplink that spec stands for, by the last Refresh.
func (h *Host) NextHop(spec string) (netip.Addr, error) {
	s := h.observed()
	u, err := s.Choose(spec)
	if err != nil {
		return netip.Addr{}, err
	}
	return s.NextHop(u)
}

// HasLink reports whether a link of this name exists, by the last Refresh.
func (h *Host) HasLink(name string) bool {
	_, ok := h.observed().Link(name)
	return ok
}

// Apply implements Kernel.
func (h *Host) Apply(op plan.Op) error {
	if op.Verb == plan.Del {
		return h.remove(op.Object)
	}
	switch o := op.Object.(type) {
	case plan.Sysctl:
		return h.setSysctl(o)
	case plan.Bridge:
		h.expected.changeBridge(o, false)
		err := h.setBridge(op.Verb, o)
		h.expected.changeBridge(o, err == nil)
		return err
	case plan.Address:
		return h.conn.AddAddress(o.Link, o.Prefix)
	case plan.Route:
		return h.conn.ReplaceRoute(connected(o))
	case plan.PeerRoute:
		return h.conn.ReplaceRoute(peerRoute(o))
	case plan.Rules:
		return h.setEndpointRules(o)
	case plan.Neighbor:
		h.departures.await(o.Key())
		h.expected.addNeighbor(o)
		return h.conn.SetNeighbor(kernel.Neighbor{Addr: o.Addr, Link: o.Link, MAC: o.MAC, Protocol: plan.Protocol})
	case plan.Veth:
		return h.setVeth(op.Verb, o)
	case plan.Inside:
		return h.setInside(o)
	case plan.Proxy:
		return h.setProxy(o)
	case plan.Announced:
		return h.conn.ReplaceRoute(h.announced(o))
	case plan.Responder:
		return h.setResponder(o)
	case plan.Target:
		return h.responders.add(o)
	case plan.FastLink:
		return h.fastPaths.setLink(o)
	case plan.FastPort:
		return h.fastPaths.setPort(o)
	}
	return fmt.Errorf("no way to apply a %T", op.Object)
}

func (h *Host) setBridge(verb plan.Verb, b plan.Bridge) error {
	if verb == plan.Add {
		if err := h.conn.AddBridge(kernel.Bridge{Name: b.Name, Alias: b.Alias, MTU: b.MTU, MAC: b.MAC}); err != nil {
			return err
		}
		return errors.Join(h.refuseRA(b.Name), h.conn.SetUp(b.Name, true))
	}
	var macErr error
	// A MAC that is set takes the link's permanent neighbors away, also where it is the same.
	if l, ok := h.observed().Link(b.Name); !ok || l.MAC != b.MAC {
		macErr = h.conn.SetMAC(b.Name, b.MAC)
	}
	return errors.Join(macErr,
		h.conn.SetMTU(b.Name, b.MTU),
		h.conn.SetMcastSnooping(b.Name, b.Snooping),
		h.refuseRA(b.Name),
		h.conn.SetUp(b.Name, true))
}

// refuseRA keeps the host from taking a container for a router, which it would
// on a bridge that does not forward. The bridge is ours: nothing to restore.
func (h *Host) refuseRA(bridge string) error {
	if h.checkOnly {
		return nil
	}
	return h.expected.addBridge(bridge, func() error {
		return h.conn.SetSysctl(linkSysctl(bridge, "accept_ra"), "0")
	})
}

func (h *Host) setVeth(verb plan.Verb, v plan.Veth) error {
	h.departures.await(v.Key())
	change := h.changeVeth
	if verb == plan.Add {
		change = h.makeVeth
	}
	if err := change(v); err != nil {
		return err
	}
	h.expected.addVeth(v)
	return nil
}

func (h *Host) makeVeth(v plan.Veth) error {
	return h.conn.AddVeth(kernel.Veth{
		Name: v.Name, Alias: v.Alias, Master: v.Master, MTU: v.MTU,
		Peer: v.Peer, PeerMAC: v.PeerMAC, Isolated: v.Isolated, Up: true,
	})
}

func (h *Host) changeVeth(v plan.Veth) error {
	if err := errors.Join(h.conn.SetMaster(v.Name, v.Master), h.conn.SetMTU(v.Name, v.MTU)); err != nil {
		return err
	}
	if err := h.conn.SetIsolated(v.Name, v.Isolated); err != nil {
		return err
	}
	return h.conn.SetUp(v.Name, true)
}

func (h *Host) setProxy(p plan.Proxy) error {
	err := h.expected.addProxy(p, func() error {
		return h.conn.SetNeighbor(kernel.Neighbor{Addr: p.Addr, Link: p.Link, Protocol: plan.Protocol, Proxy: true})
	})
	if err != nil || h.isSilent(p.Link) {
		return err
	}
	// The address answers already: without the announcement only a neighbor
	// that still knows it elsewhere is slow to follow.
	if err := h.speaker.Announce(p.Link, p.Addr); err != nil {
		h.log.Warn("address not announced", "addr", p.Addr, "uplink", p.Link, "err", err)
	}
	return nil
}

// setResponder takes the link as the last Refresh saw it: one that went since
// has an event, and so another pass.
func (h *Host) setResponder(p plan.Responder) error {
	l, ok := h.observed().Link(p.Link)
	if !ok {
		return fmt.Errorf("link %s: %w", p.Link, kernel.ErrNotFound)
	}
	return h.expected.change(func() error { return h.responders.set(l.Index, p) }, func() {})
}

func (h *Host) remove(object plan.Object) error {
	switch o := object.(type) {
	case plan.Sysctl:
		return h.restoreSysctl(o.Name)
	case plan.Bridge:
		h.departures.awaitAll() // what is on it
		return h.expected.removeBridge(o.Name, func() error { return h.conn.DeleteLink(o.Name) })
	case plan.Address:
		return h.conn.DeleteAddress(o.Link, o.Prefix)
	case plan.Route:
		return h.conn.DeleteRoute(connected(o))
	case plan.Stray:
		return h.conn.DeleteRoute(kernel.Route{Dst: o.Dst, Link: o.Link, Protocol: o.Protocol, Metric: o.Metric, Type: o.Type})
	case plan.Announced:
		return h.conn.DeleteRoute(h.announced(o))
	case plan.PeerRoute:
		return h.conn.DeleteRoute(peerRoute(o))
	case plan.Rules:
		h.elements.forget(o.ID)
		return h.rules.SetGroup(o.ID, nil)
	case plan.Neighbor:
		h.expected.removeNeighbor(o)
		return h.departures.begin(o)
	case plan.Veth:
		h.expected.removeVeth(o)
		return h.departures.begin(o)
	case plan.Inside:
		return h.removeInside(o)
	case plan.Proxy:
		h.speaker.Silence(o.Addr)
		return h.expected.removeProxy(o, func() error {
			return h.conn.DeleteNeighbor(kernel.Neighbor{Addr: o.Addr, Link: o.Link, Protocol: plan.Protocol, Proxy: true})
		})
	case plan.Responder:
		l, _ := h.observed().Link(o.Link)
		return h.expected.change(func() error { return h.responders.remove(l.Index, o.Link) }, func() {})
	case plan.Target:
		return h.responders.delete(o)
	case plan.FastLink:
		return h.fastPaths.removeLink(o)
	case plan.FastPort:
		return h.fastPaths.removePort(o)
	}
	return fmt.Errorf("no way to remove a %T", object)
}
