package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// A Change is an entry of the sysctl ledger: what a setting was before us and
// what we wrote.
type Change struct {
	Old   string `json:"old"`
	Wrote string `json:"wrote"`
	// Forwarding are the links that forwarded before all.forwarding was
	// written. Writing that back stops them too.
	Forwarding []string `json:"forwarding,omitempty"`
}

// allForwarding is the setting that writes all links' own.
var allForwarding = linkSysctl("all", "forwarding")

// allForwarding4 is its counterpart for IPv4.
const allForwarding4 = "net/ipv4/ip_forward"

// linkSysctl is the name of a link's IPv6 setting.
func linkSysctl(link, key string) string { return "net/ipv6/conf/" + link + "/" + key }

// linkOf is the link whose IPv6 setting of this key name is.
func linkOf(name, key string) (link string, ok bool) {
	link, ok = strings.CutPrefix(name, "net/ipv6/conf/")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(link, "/"+key)
}

// observeSysctls adds the current value of every wanted setting to have.
func (h *Host) observeSysctls(have, want plan.Host) error {
	for _, o := range want.Objects {
		s, ok := o.Object.(plan.Sysctl)
		if !ok {
			continue
		}
		value, err := h.conn.Sysctl(s.Name)
		if errors.Is(err, kernel.ErrNotFound) {
			continue // the link is gone, or has no IPv6
		}
		if err != nil {
			return err
		}
		have.Add(o.Owner, plan.Sysctl{Name: s.Name, Value: value})
	}
	return nil
}

// observeLedger adds the settings that were changed, with the value to go back
// to where they are not wanted any more.
func (h *Host) observeLedger(have plan.Host) {
	if h.checkOnly {
		return // an earlier process wrote; this one may not
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, c := range h.changes {
		have.Add("", plan.Sysctl{Name: name, Value: c.Old})
	}
}

// setSysctl writes a setting after noting what it was, so that a killed
// process still knows what to restore.
func (h *Host) setSysctl(s plan.Sysctl) error {
	if h.checkOnly {
		// Networks are refused while a setting is missing; one that was
		// undone later is the operator's to mend.
		return fmt.Errorf("not written because of --sysctls check: run %s", command(s))
	}
	old, err := h.conn.Sysctl(s.Name)
	if err != nil {
		return err
	}
	if old == s.Value {
		// Writing all.forwarding wrote this one too, say.
		return h.expected.set(s.Name, s.Value, func() error { return nil })
	}
	if err := h.note(s.Name, old, s.Value); err != nil {
		return err
	}
	return h.expected.set(s.Name, s.Value, func() error { return h.conn.SetSysctl(s.Name, s.Value) })
}

// note records a change before it is made. The first old value wins: a later
// one may be our own, or that of somebody who fights us.
func (h *Host) note(name, old, wrote string) error {
	if _, ok := h.change(name); ok {
		return nil
	}
	c := Change{Old: old, Wrote: wrote}
	if name == allForwarding {
		links, err := h.forwardingLinks()
		if err != nil {
			return err
		}
		c.Forwarding = links
	}
	if err := h.ledger.Put(name, c); err != nil {
		// A disk that reports an error may have kept the entry all the same.
		_ = h.ledger.Delete(name)
		return fmt.Errorf("record sysctl %s: %w", name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes[name] = c
	return nil
}

// change returns the entry of the ledger for a setting.
func (h *Host) change(name string) (Change, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.changes[name]
	return c, ok
}

// forwardingLinks returns the links that forward by a setting of their own.
func (h *Host) forwardingLinks() ([]string, error) {
	names := []string{"default"} // of links to come
	for _, l := range h.observed().Links {
		names = append(names, l.Name)
	}
	var links []string
	for _, name := range names {
		value, err := h.conn.Sysctl(linkSysctl(name, "forwarding"))
		if err != nil && !errors.Is(err, kernel.ErrNotFound) {
			return nil, err
		}
		if value == "1" {
			links = append(links, name)
		}
	}
	return links, nil
}

// restoreSysctl writes a setting back to what it was before us, if it still is
// what we wrote.
func (h *Host) restoreSysctl(name string) error {
	c, ok := h.change(name)
	if !ok {
		return nil
	}
	current, err := h.conn.Sysctl(name)
	switch {
	case errors.Is(err, kernel.ErrNotFound): // the link is gone, and its settings with it
	case err != nil:
		return err
	case current == c.Wrote:
		if err := h.expected.unset(name, func() error { return h.restoreValue(name, c) }); err != nil {
			return err
		}
	}
	if err := h.ledger.Delete(name); err != nil {
		return fmt.Errorf("forget sysctl %s: %w", name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.changes, name)
	return nil
}

func (h *Host) restoreValue(name string, c Change) error {
	if name == allForwarding || name == allForwarding4 {
		if link, ok := h.otherRouter(name == allForwarding); ok {
			h.log.Info("forwarding left on: another bridge routes as well", "sysctl", name, "link", link)
			return nil
		}
	}
	errs := []error{h.conn.SetSysctl(name, c.Old)}
	for _, link := range c.Forwarding {
		if err := h.conn.SetSysctl(linkSysctl(link, "forwarding"), "1"); !errors.Is(err, kernel.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// renamed returns the new names of links by their old ones: of those that the
// last Refresh saw, and of the uplinks that an earlier process did.
func (h *Host) renamed(now uplink.Snapshot) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := make(map[int]string)
	for _, l := range h.snapshot.Links {
		before[l.Index] = l.Name
	}
	if len(before) == 0 {
		for _, u := range h.last {
			before[u.Index] = u.Name
		}
	}
	names := make(map[string]string)
	for _, l := range now.Links {
		if name, ok := before[l.Index]; ok && name != l.Name {
			names[name] = l.Name
		}
	}
	return names
}

// renameSettings keeps the ledger's entries of links that were renamed: their
// settings went with them.
func (h *Host) renameSettings(names map[string]string) error {
	if len(names) == 0 {
		return nil
	}
	h.mu.Lock()
	before := maps.Clone(h.changes)
	h.mu.Unlock()
	after := make(map[string]Change)
	for name, c := range before {
		c.Forwarding = slices.Clone(c.Forwarding)
		for i, link := range c.Forwarding {
			c.Forwarding[i] = cmp.Or(names[link], link)
		}
		after[renameSetting(name, names)] = c
	}
	for name, c := range after {
		if reflect.DeepEqual(before[name], c) {
			continue
		}
		if err := h.ledger.Put(name, c); err != nil {
			return fmt.Errorf("record sysctl %s: %w", name, err)
		}
	}
	for name := range before {
		if _, ok := after[name]; ok {
			continue
		}
		if err := h.ledger.Delete(name); err != nil {
			return fmt.Errorf("forget sysctl %s: %w", name, err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes = after
	return nil
}

// renameSetting returns the name that a setting has now, as in
// net/ipv6/neigh/LINK/proxy_delay.
func renameSetting(name string, links map[string]string) string {
	parts := strings.Split(name, "/")
	if len(parts) != 5 {
		return name
	}
	parts[3] = cmp.Or(links[parts[3]], parts[3])
	return strings.Join(parts, "/")
}

// otherRouter returns a bridge of somebody else that has an address of the
// family, link-local ones apart: a network of Docker's own bridge driver, say,
// which relies on forwarding as well. A bridge that is an uplink does not.
func (h *Host) otherRouter(ipv6 bool) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var uplinks []string
	for _, u := range h.last {
		uplinks = append(uplinks, u.Name)
	}
	for _, a := range h.snapshot.Addresses {
		if addr := a.Prefix.Addr(); addr.Is6() != ipv6 || addr.IsLinkLocalUnicast() {
			continue
		}
		l, ok := h.snapshot.Link(a.Link)
		if ok && l.Kind == "bridge" && !ours(l.Alias) && !slices.Contains(uplinks, l.Name) {
			return l.Name, true
		}
	}
	return "", false
}

// Missing returns the commands that would write the settings that want needs
// and the host does not have, in their order.
func (h *Host) Missing(want plan.Host) ([]string, error) {
	have := plan.NewHost()
	if err := h.observeSysctls(have, want); err != nil {
		return nil, err
	}
	var commands []string
	for _, op := range plan.Diff(have, want) {
		if s, ok := op.Object.(plan.Sysctl); ok && op.Verb != plan.Del {
			commands = append(commands, command(s))
		}
	}
	return commands, nil
}

// command is how an operator writes s. sysctl(8) takes slashes, which a link
// name with a dot needs.
func command(s plan.Sysctl) string {
	return "sysctl -w " + s.Name + "=" + s.Value
}

func ours(alias string) bool {
	return strings.HasPrefix(alias, plan.AliasNetwork) || strings.HasPrefix(alias, plan.AliasEndpoint)
}

// Foreign returns what the host uses besides ndp6's own objects.
func (h *Host) Foreign() inet.Foreign {
	return h.observed().Foreign(ours, plan.Protocol, h.routeProtocol)
}
