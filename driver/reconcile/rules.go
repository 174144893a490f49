package reconcile

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nft"
)

// SetRules implements Kernel.
func (h *Host) SetRules(want plan.Host) (bool, error) {
	policy := want.Policy
	var err error
	if policy.Guard, err = h.routes(want); err != nil {
		return false, err
	}
	policy.Networks = h.outside.withdraw(policy.Networks)
	ruleset := firewall.Build(policy)
	ruleset.Groups = make(map[string]nft.Group)
	for _, o := range want.Objects {
		if r, ok := o.Object.(plan.Rules); ok {
			ruleset.Groups[r.ID] = h.elements.group(r)
		}
	}
	h.elements.keep(want)
	if h.legacy != nil {
		h.rules.SetForeign(h.legacy.InUse())
	}
	changed, err := h.rules.Ensure(ruleset)
	if errors.Is(err, nft.ErrNoBridge) {
		h.unguarded.Do(func() {
			h.log.Warn("containers are not kept from sending under addresses that are not theirs", "err", err)
		})
		err = nil
	}
	if gone := h.outside.gone; err == nil && len(gone) > 0 {
		h.log.Info("prefix gone: ending its flows", "prefixes", gone)
		if err = h.conn.ForgetFlowsTo(gone...); err == nil {
			h.outside.gone = nil
		}
	}
	// Ours first: without them nobody else should let anything pass.
	return changed, errors.Join(err, h.setOthers(policy))
}

// setOthers has other firewalls let our packets pass, that of iptables-legacy
// and that of firewalld.
func (h *Host) setOthers(policy firewall.Policy) error {
	var bridges []string
	for _, n := range policy.Networks {
		bridges = append(bridges, n.Bridge)
	}
	slices.Sort(bridges)
	var errs []error
	if err := h.zone.set(bridges); err != nil {
		errs = append(errs, fmt.Errorf("firewalld: %w", err))
	}
	if h.legacy != nil {
		if _, err := h.legacy.Ensure(len(bridges) > 0); err != nil {
			errs = append(errs, fmt.Errorf("iptables-legacy: %w", err))
		}
	}
	return errors.Join(errs...)
}

// routes reports whether the host is a router only because of us.
func (h *Host) routes(want plan.Host) (bool, error) {
	if _, ok := want.Objects[plan.Sysctl{Name: allForwarding}.Key()]; !ok || h.checkOnly {
		return false, nil
	}
	if _, ours := h.change(allForwarding); ours {
		return true, nil
	}
	// What follows the rules will switch it on.
	value, err := h.conn.Sysctl(allForwarding)
	if errors.Is(err, kernel.ErrNotFound) {
		return false, nil
	}
	return value == "0", err
}

// observeRules adds the rules of endpoints that are there. Those of nobody are
// gone with SetRules.
func (h *Host) observeRules(have, want plan.Host) {
	for _, o := range want.Objects {
		r, ok := o.Object.(plan.Rules)
		if !ok {
			continue
		}
		if group, ok := h.rules.Group(r.ID); ok && group.Equal(h.elements.group(r)) {
			have.Add(o.Owner, r)
		}
	}
}

// setEndpointRules changes the rules of one endpoint. What has been let in
// through a port that is not published any more ends. An address that is gone
// says nothing of the flows of the others, and takes its own along.
func (h *Host) setEndpointRules(r plan.Rules) error {
	before, _ := h.rules.Group(r.ID)
	group := h.elements.group(r)
	if err := h.rules.SetGroup(r.ID, group); err != nil {
		return err
	}
	gone := func(e nft.GroupElement) bool {
		return !slices.ContainsFunc(group, e.Equal) && !slices.ContainsFunc(e.Element, func(v nft.Value) bool {
			a, ok := v.(nft.Addr)
			return ok && !slices.Contains(r.Addrs, netip.Addr(a))
		})
	}
	if slices.ContainsFunc(before, gone) {
		return h.conn.ForgetFlows(r.Addrs...)
	}
	return nil
}

// repaired tells what others did to the rules.
func (h *Host) repaired(what string, err error) {
	if err != nil {
		h.log.Warn("rules not repaired, tried again at the next change", "what", what, "err", err)
		return
	}
	h.ruleRepairs.Add(1)
	h.log.Info("rules repaired", "what", what)
}
