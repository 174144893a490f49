package driver

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
)

// Warning is what does not go away by trying again: an operator should act.
type Warning struct {
	// Owner is the id of a network.
	Owner string `json:"owner"`
	// Text says what is wrong, and the remedy.
	Text string `json:"text"`
}

// warnings returns those of all networks, in their order. Whoever calls holds mu.
func (d *Driver) warnings() []Warning {
	ws := []Warning{}
	for _, id := range slices.Sorted(maps.Keys(d.networks)) {
		n := d.networks[id]
		if pool, ok := plan.Renumbered(n, d.uplinks); ok {
			ws = append(ws, Warning{id, renumberedText(n, pool, d.uplinks.For[n.Uplink])})
		}
		if err := d.checkFastPath(n); err != nil {
			ws = append(ws, Warning{id, err.Error()})
		}
	}
	return ws
}

func renumberedText(n plan.Network, pool netip.Prefix, u plan.Uplink) string {
	what := "is gone from uplink " + u.Name + ", so that its containers cannot be reached"
	if slices.Contains(u.Deprecated, n.OnLink) {
		what = "is deprecated on uplink " + u.Name + ", and its containers cannot be reached when it goes"
	}
	return fmt.Sprintf("prefix %s of pool %s %s: make the network anew, with -o %s=%s for one that changes with the prefix, or with -o ndp6.mode=nptv6",
		n.OnLink, pool, what, keyRenumber, renumberFollow)
}

// follow takes what the uplinks are now. It returns the endpoints that get new
// addresses from that, with the entries to probe, and the warnings that came
// and went.
func (d *Driver) follow(up plan.Uplinks) (fresh map[string][]plan.Proxy, came, went []Warning) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.networks {
		up.Lent = append(up.Lent, n.Prefixes()...)
	}
	before, warned := d.uplinks, d.warned
	d.uplinks = up
	fresh = make(map[string][]plan.Proxy)
	for id, e := range d.endpoints {
		n := d.networks[e.Network]
		if !n.Follow || !e.Placed || n.DAD == dadOff {
			continue
		}
		old, now := before.For[n.Uplink].OnLink, up.For[n.Uplink].OnLink
		if len(old) == 0 || slices.Equal(old, now) {
			continue
		}
		had := proxies(plan.ForEndpoint(n, e, before))
		fresh[id] = slices.DeleteFunc(proxies(d.planOf(e)), func(p plan.Proxy) bool { return slices.Contains(had, p) })
	}
	d.warned = d.warnings()
	came = slices.DeleteFunc(slices.Clone(d.warned), func(w Warning) bool { return slices.Contains(warned, w) })
	went = slices.DeleteFunc(warned, func(w Warning) bool {
		return slices.ContainsFunc(d.warned, func(now Warning) bool { return now.Owner == w.Owner })
	})
	return fresh, came, went
}

// onLink returns the prefix of the uplink that the IPv6 pool of n is in, the
// zero Prefix where it is in none.
func (d *Driver) onLink(n plan.Network) netip.Prefix {
	u, err := d.config.Host.Choose(n.Uplink)
	if err != nil || n.Internal {
		return netip.Prefix{}
	}
	for _, on := range u.OnLink {
		if slices.ContainsFunc(n.Prefixes(), func(p netip.Prefix) bool { return inet.IsGUA(p.Addr()) && inet.Covers(on, p) }) {
			return on
		}
	}
	return netip.Prefix{}
}
