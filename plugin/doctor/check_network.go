package doctor

import (
	"fmt"
	"net/netip"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/kernel"
)

func networkChecks() []check {
	return []check{eachNetwork(bridge), eachNetwork(routes), eachNetwork(neighbors), eachNetwork(proxies), eachNetwork(mtu)}
}

// eachNetwork runs a check for each network.
func eachNetwork(run func(*Facts, Network) []Finding) check {
	return func(f *Facts) []Finding {
		var out []Finding
		for _, n := range f.Networks {
			out = append(out, run(f, n)...)
		}
		return out
	}
}

// short is how Docker shows an id.
func short(id string) string { return id[:min(len(id), 12)] }

// ours says that a running ndp6 mends it, so that it must come again and again.
func (f *Facts) ours(advice string) string {
	if f.Daemon.Status == nil {
		return "ndp6 sets it again when it runs" + advice
	}
	return "the running ndp6 should have set it again: ndp6 status says why it does not" + advice
}

func bridge(f *Facts, n Network) []Finding {
	l, ok := f.Host.Link(n.Bridge)
	switch {
	case !ok:
		return []Finding{{
			Code: BridgeMissing, Severity: Error, What: fmt.Sprintf("bridge %s of network %s is gone", n.Bridge, short(n.ID)),
			Why:    "all of its containers are cut off",
			Advice: f.ours(". Containers that ran have lost their links: start them again"),
		}}
	case !l.Up:
		return []Finding{{
			Code: BridgeDown, Severity: Error, What: fmt.Sprintf("bridge %s of network %s is down", n.Bridge, short(n.ID)),
			Why:    "all of its containers are cut off, and the kernel forgot their neighbor entries and routes",
			Fix:    []string{"ip link set " + n.Bridge + " up"},
			Advice: f.ours(""),
		}}
	case l.McastSnooping:
		return []Finding{{
			Code: BridgeSnooping, Severity: Warning, What: fmt.Sprintf("bridge %s looks into multicast (mcast_snooping)", n.Bridge),
			Why:    "without a querier on the bridge it loses solicitations between containers",
			Fix:    []string{"ip link set " + n.Bridge + " type bridge mcast_snooping 0"},
			Advice: f.ours(""),
		}}
	}
	return nil
}

// works reports whether the network's bridge carries packets.
func (f *Facts) works(n Network) bool {
	l, ok := f.Host.Link(n.Bridge)
	return ok && l.Up
}

func routes(f *Facts, n Network) []Finding {
	if !f.works(n) {
		return nil
	}
	var out []Finding
	for _, a := range n.Addrs {
		if r, ok := f.route(a.Addr); ok && r.Link == n.Bridge {
			continue
		}
		p := netip.PrefixFrom(a.Addr, a.Addr.BitLen())
		for _, pool := range n.Pools {
			if pool.Contains(a.Addr) && (!n.Shared || a.Addr.Is4()) {
				p = pool
			}
		}
		family := "-6"
		if p.Addr().Is4() {
			family = "-4"
		}
		own, metric := plan.ConnectedMark(p)
		mark := fmt.Sprintf(" proto %d", own)
		if metric != 0 {
			mark += fmt.Sprintf(" metric %d", metric)
		}
		kind := "pool"
		if p.IsSingleIP() {
			kind = "address"
		}
		what := fmt.Sprintf("there is no route to %s %s of network %s", kind, p, short(n.ID))
		if r, ok := f.route(a.Addr); ok && r.Dst.Bits() > 0 && r.Link != "" {
			what = fmt.Sprintf("%s %s of network %s is routed to %s", kind, p, short(n.ID), r.Link)
		}
		finding := Finding{
			Code: RouteMissing, Severity: Error, What: what,
			Why:    "packets to its containers go elsewhere, or back to the router",
			Fix:    []string{fmt.Sprintf("ip %s route replace %s dev %s%s", family, p, n.Bridge, mark)},
			Advice: f.ours(""),
		}
		if len(out) == 0 || out[len(out)-1].What != finding.What {
			out = append(out, finding)
		}
	}
	return out
}

// route returns the most specific route to an address in the main table.
func (f *Facts) route(addr netip.Addr) (kernel.Route, bool) {
	var best kernel.Route
	found := false
	for _, r := range f.Host.Routes {
		if r.Dst.Contains(addr) && (!found || r.Dst.Bits() > best.Dst.Bits() || r.Dst.Bits() == best.Dst.Bits() && r.Metric < best.Metric) {
			best, found = r, true
		}
	}
	return best, found
}

func neighbors(f *Facts, n Network) []Finding {
	if !f.works(n) {
		return nil
	}
	var fix []string
	first := ""
	for _, a := range n.Addrs {
		if !f.has(kernel.Neighbor{Addr: a.Addr, Link: n.Bridge, MAC: a.MAC}) {
			fix = append(fix, fmt.Sprintf("ip neigh replace %s lladdr %s dev %s nud permanent protocol %d", a.Addr, a.MAC, n.Bridge, protocol))
			if first == "" {
				first = a.Addr.String()
			}
		}
	}
	if len(fix) == 0 {
		return nil
	}
	return []Finding{{
		Code: NeighborMissing, Severity: Warning,
		What: fmt.Sprintf("bridge %s has no permanent neighbor entry for %s", n.Bridge, others(first, len(fix))),
		Why:  "the first packet waits for the container to say where it is, up to a second while it starts",
		Fix:  fix, Advice: f.ours(""),
	}}
}

// others names one of several.
func others(first string, n int) string {
	if n == 1 {
		return first
	}
	return fmt.Sprintf("%s and %d others", first, n-1)
}

func (f *Facts) has(want kernel.Neighbor) bool {
	for _, n := range f.Neighbors {
		if n.Addr == want.Addr && n.Link == want.Link && n.Proxy == want.Proxy && (want.MAC.IsZero() || n.MAC == want.MAC) {
			return true
		}
	}
	return false
}

func proxies(f *Facts, n Network) []Finding {
	u, ok := f.uplink(n.Uplink)
	if !ok || !u.Running {
		return nil
	}
	var fix []string
	first, severity := "", Error
	for _, addr := range n.Exposed {
		if !u.covers(addr) || f.has(kernel.Neighbor{Addr: addr, Link: u.Name, Proxy: true}) {
			continue
		}
		fix = append(fix, fmt.Sprintf("ip -6 neigh replace proxy %s dev %s protocol %d", addr, u.Name, protocol))
		if first == "" {
			first = addr.String()
		}
		if u.Probe.Echoes[addr].Replied {
			severity = Warning
		}
	}
	if len(fix) == 0 {
		return nil
	}
	finding := Finding{
		Code: ProxyMissing, Severity: severity,
		What: fmt.Sprintf("uplink %s has no proxy entry for %s", u.Name, others(first, len(fix))),
		Why:  "nobody answers when the router asks for it, so that the container is not reached from outside",
		Fix:  fix, Advice: f.ours(""),
	}
	if severity == Warning {
		finding.Why = "the router still knows where it is, or routes the pool to this host; once it asks, nobody answers"
	}
	if f.Daemon.Status == nil {
		finding.Advice += ", unless the network has -o ndp6.ndp=off"
	}
	return []Finding{finding}
}

func mtu(f *Facts, n Network) []Finding {
	l, ok := f.Host.Link(n.Bridge)
	u, has := f.uplink(n.Uplink)
	if !ok || !has || n.Internal || l.MTU <= u.MTU {
		return nil
	}
	fix := []string{fmt.Sprintf("ip link set %s mtu %d", n.Bridge, u.MTU)}
	for _, port := range f.Host.Links {
		if port.Master == n.Bridge && port.MTU > u.MTU && len(port.Alias) > 0 && port.Kind == "veth" {
			fix = append(fix, fmt.Sprintf("ip link set %s mtu %d", port.Name, u.MTU))
		}
	}
	return []Finding{{
		Code: MTUTooLarge, Severity: Warning,
		What:   fmt.Sprintf("network %s has MTU %d, and its uplink %s %d", short(n.ID), l.MTU, u.Name, u.MTU),
		Why:    "each connection from a container first sends packets that are too large; where an answer to that is filtered, it hangs",
		Fix:    fix,
		Advice: "for good, make the network without ndp6.mtu and com.docker.network.driver.mtu, or with a smaller one; containers keep theirs until they are started again",
	}}
}
