package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/ndisc"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nft"
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
	speaker   *ndisc.Speaker
	ledger    Ledger
	checkOnly bool

	mu       sync.Mutex
	snapshot uplink.Snapshot
	// changes is the ledger's content.
	changes map[string]Change
	// chosen are the links that the networks' uplinks stood for last.
	chosen map[string]string
}

// HostConfig is what a Host is made of. All fields but CheckSysctls are required.
type HostConfig struct {
	Log     *slog.Logger
	Conn    *kernel.Conn
	Rules   *nft.Conn
	Speaker *ndisc.Speaker
	Ledger  Ledger
	// CheckSysctls writes no sysctl.
	CheckSysctls bool
}

// NewHost returns the host with the sysctl ledger of an earlier process.
func NewHost(c HostConfig) (*Host, error) {
	changes, err := c.Ledger.All()
	if err != nil {
		return nil, fmt.Errorf("read the sysctl ledger: %w", err)
	}
	return &Host{
		log: c.Log, conn: c.Conn, rules: c.Rules, speaker: c.Speaker,
		ledger: c.Ledger, checkOnly: c.CheckSysctls,
		changes: changes, chosen: make(map[string]string),
	}, nil
}

// Refresh implements Kernel.
func (h *Host) Refresh() error {
	s, err := uplink.Observe(h.conn)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.snapshot = s
	return nil
}

// observed is what the last Refresh saw.
func (h *Host) observed() uplink.Snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.snapshot
}

// Uplinks returns what the uplinks of these names are now, for the plan. A
// name that stands for no link is left out. The Speaker learns of them.
func (h *Host) Uplinks(specs []string) plan.Uplinks {
	up, found := h.uplinks(specs)
	h.speaker.SetUplinks(found)
	return up
}

func (h *Host) uplinks(specs []string) (plan.Uplinks, []uplink.Uplink) {
	h.mu.Lock()
	defer h.mu.Unlock()
	up := plan.Uplinks{For: make(map[string]plan.Uplink), RA: h.raLinks()}
	var found []uplink.Uplink
	for _, spec := range specs {
		u, err := h.snapshot.Choose(spec)
		if err != nil {
			// While the host has no default route, auto stays where it was:
			// neighbors on that link still reach the containers.
			if u, err = h.snapshot.Choose(h.chosen[spec]); err != nil {
				continue
			}
		}
		h.chosen[spec] = u.Name
		found = append(found, u)
		up.For[spec] = plan.Uplink{Name: u.Name, MTU: u.MTU, OnLink: u.OnLink}
	}
	return up, found
}

// raLinks returns the links that learn from router advertisements: those that
// have a default route from one, and those whose accept_ra was changed for
// that. The route may be gone for a while, and comes back only if the setting stays.
func (h *Host) raLinks() []string {
	links := h.snapshot.RALinks()
	for name := range h.changes {
		link, ok := linkOf(name, "accept_ra")
		if _, exists := h.snapshot.Link(link); ok && exists {
			links = append(links, link)
		}
	}
	slices.Sort(links)
	return slices.Compact(links)
}

// Choose returns the uplink that spec stands for, by the last Refresh.
func (h *Host) Choose(spec string) (uplink.Uplink, error) {
	return h.observed().Choose(spec)
}

// HasLink reports whether a link of this name exists, by the last Refresh.
func (h *Host) HasLink(name string) bool {
	_, ok := h.observed().Link(name)
	return ok
}

// Observe implements Kernel.
func (h *Host) Observe(want plan.Host) (plan.Host, error) {
	snapshot := h.observed()
	have := plan.NewHost()
	bridges := observeLinks(snapshot, have)
	for _, a := range snapshot.Addresses {
		// An address that an administrator gave our bridge is not ours.
		object := plan.Address{Link: a.Link, Prefix: a.Prefix}
		if _, ok := want.Objects[object.Key()]; ok {
			have.Add("", object)
		}
	}
	for _, r := range snapshot.Routes {
		if r.Protocol == plan.Protocol {
			have.Add("", plan.Route{Dst: r.Dst, Link: r.Link})
		}
	}
	neighbors, err := h.conn.Neighbors()
	if err != nil {
		return plan.Host{}, err
	}
	for _, n := range neighbors {
		switch {
		case n.Protocol != plan.Protocol:
		case n.Proxy:
			have.Add("", plan.Proxy{Addr: n.Addr, Link: n.Link})
		case bridges[n.Link]:
			have.Add("", plan.Neighbor{Addr: n.Addr, Link: n.Link, MAC: n.MAC})
		}
	}
	if err := h.observeSysctls(have, want); err != nil {
		return plan.Host{}, err
	}
	h.observeLedger(have)
	return have, nil
}

// observeLinks adds our links, known by their alias, and returns the bridges' names.
func observeLinks(snapshot uplink.Snapshot, have plan.Host) map[string]bool {
	bridges := make(map[string]bool)
	for _, l := range snapshot.Links {
		if id, ok := strings.CutPrefix(l.Alias, plan.AliasNetwork); ok {
			bridges[l.Name] = true
			have.Add(id, plan.Bridge{Name: l.Name, Alias: l.Alias, MAC: l.MAC, MTU: l.MTU, Up: l.Up})
		}
		if id, ok := strings.CutPrefix(l.Alias, plan.AliasEndpoint); ok {
			have.Add(id, plan.Veth{Name: l.Name, Alias: l.Alias, Master: l.Master, MTU: l.MTU, Up: l.Up})
		}
	}
	return bridges
}

// SetRules implements Kernel.
func (h *Host) SetRules(want plan.Host) (bool, error) {
	return h.rules.Ensure(firewall.Build(want.Policy))
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
		return h.setBridge(op.Verb, o)
	case plan.Address:
		return h.conn.AddAddress(o.Link, o.Prefix)
	case plan.Route:
		return h.conn.ReplaceRoute(kernel.Route{Dst: o.Dst, Link: o.Link, Protocol: plan.Protocol})
	case plan.Neighbor:
		return h.conn.SetNeighbor(kernel.Neighbor{Addr: o.Addr, Link: o.Link, MAC: o.MAC, Protocol: plan.Protocol})
	case plan.Veth:
		return h.setVeth(op.Verb, o)
	case plan.Proxy:
		return h.setProxy(o)
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
	return errors.Join(
		h.conn.SetMTU(b.Name, b.MTU),
		h.conn.SetMAC(b.Name, b.MAC),
		h.refuseRA(b.Name),
		h.conn.SetUp(b.Name, true))
}

// refuseRA keeps the host from taking a container for a router, which it would
// on a bridge that does not forward. The bridge is ours: nothing to restore.
func (h *Host) refuseRA(bridge string) error {
	if h.checkOnly {
		return nil
	}
	return h.conn.SetSysctl(linkSysctl(bridge, "accept_ra"), "0")
}

func (h *Host) setVeth(verb plan.Verb, v plan.Veth) error {
	if verb == plan.Add {
		if err := h.conn.AddVeth(kernel.Veth{
			Name: v.Name, Alias: v.Alias, Master: v.Master, MTU: v.MTU,
			Peer: v.Peer, PeerMAC: v.PeerMAC,
		}); err != nil {
			return err
		}
		return h.conn.SetUp(v.Name, true)
	}
	return errors.Join(
		h.conn.SetMaster(v.Name, v.Master),
		h.conn.SetMTU(v.Name, v.MTU),
		h.conn.SetUp(v.Name, true))
}

func (h *Host) setProxy(p plan.Proxy) error {
	if err := h.conn.SetNeighbor(kernel.Neighbor{Addr: p.Addr, Link: p.Link, Protocol: plan.Protocol, Proxy: true}); err != nil {
		return err
	}
	// The address answers already: without the announcement only a neighbor
	// that still knows it elsewhere is slow to follow.
	if err := h.speaker.Announce(p.Link, p.Addr); err != nil {
		h.log.Warn("address not announced", "addr", p.Addr, "uplink", p.Link, "err", err)
	}
	return nil
}

func (h *Host) remove(object plan.Object) error {
	switch o := object.(type) {
	case plan.Sysctl:
		return h.restoreSysctl(o.Name)
	case plan.Bridge:
		return h.conn.DeleteLink(o.Name)
	case plan.Address:
		return h.conn.DeleteAddress(o.Link, o.Prefix)
	case plan.Route:
		return h.conn.DeleteRoute(kernel.Route{Dst: o.Dst, Link: o.Link, Protocol: plan.Protocol})
	case plan.Neighbor:
		return h.conn.DeleteNeighbor(kernel.Neighbor{Addr: o.Addr, Link: o.Link, MAC: o.MAC, Protocol: plan.Protocol})
	case plan.Veth:
		return h.conn.DeleteLink(o.Name)
	case plan.Proxy:
		h.speaker.Silence(o.Addr)
		return h.conn.DeleteNeighbor(kernel.Neighbor{Addr: o.Addr, Link: o.Link, Protocol: plan.Protocol, Proxy: true})
	}
	return fmt.Errorf("no way to remove a %T", object)
}

// Watch implements Kernel.
func (h *Host) Watch(ctx context.Context, changed func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errc := make(chan error, 2)
	watch := func(run func() error) {
		go func() { // ends with ctx, and is waited for below
			errc <- run()
			cancel()
		}()
	}
	watch(func() error {
		return h.conn.Watch(ctx, func(e kernel.Event) {
			if relevant(e) {
				changed()
			}
		})
	})
	watch(func() error { return h.rules.Watch(ctx, changed) })
	return errors.Join(<-errc, <-errc)
}

// relevant reports whether an event can have lost something of ours. The ends
// of veth pairs come and go with every container, and are not made again.
func relevant(e kernel.Event) bool {
	return !strings.HasPrefix(e.Link, plan.HostSidePrefix) && !strings.HasPrefix(e.Link, plan.ContainerSidePrefix)
}
