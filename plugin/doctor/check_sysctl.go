package doctor

import (
	"fmt"
	"slices"
)

func sysctlChecks() []check {
	return []check{forwarding, eachUplink(responders), eachUplink(proxyNDP), eachUplink(raRisk)}
}

// wrong is the finding of a sysctl that has another value than it should.
func (f *Facts) wrong(code Code, severity Severity, key, want, why string) []Finding {
	value, ok := f.Sysctls[key]
	if !ok || value == want {
		return nil
	}
	return []Finding{{
		Code: code, Severity: severity,
		What:   fmt.Sprintf("sysctl %s is %s, and should be %s", dotted(key), value, want),
		Why:    why,
		Fix:    []string{command(key, want)},
		Advice: f.undone(),
	}}
}

// undone says who may undo a sysctl.
func (f *Facts) undone() string {
	if f.Daemon.Status != nil {
		return "the running ndp6 sets it within a second unless it runs with --sysctls check: who sets it back?"
	}
	return "ndp6 sets it when it runs; look in /etc/sysctl.d for who set it back"
}

func forwarding(f *Facts) []Finding {
	if !f.serves() {
		return nil
	}
	out := f.wrong(ForwardingOff, Error, conf("all", "forwarding"), "1", "the host passes no IPv6 packet on, to containers or from them")
	for _, u := range f.Uplinks {
		if u.Err == nil && len(out) == 0 {
			out = f.wrong(ForwardingOff, Error, conf(u.Name, "forwarding"), "1", "the kernel passes nothing on that comes in by "+u.Name+", and answers for nobody there")
		}
	}
	for _, n := range f.Networks {
		for _, p := range n.Pools {
			if p.Addr().Is4() && !n.Internal {
				return append(out, f.wrong(IPv4ForwardingOff, Error, "net/ipv4/ip_forward", "1", "the host passes no IPv4 packet on, to containers or from them")...)
			}
		}
	}
	return out
}

func proxyNDP(f *Facts, u Uplink) []Finding {
	if !f.proxies(u) {
		return nil
	}
	out := f.wrong(ProxyNDPOff, Error, conf(u.Name, "proxy_ndp"), "1", "the kernel answers for no container, whatever proxy entries there are: routers do not find them")
	if !f.responds(u) && !f.willRespond(u) {
		out = append(out, f.wrong(ProxyNDPUnicastOff, Error, conf("all", "proxy_ndp"), "1",
			"unicast solicitations, with which routers check every half minute that a neighbor is still there, are not answered: connections stall")...)
	}
	return append(out, f.wrong(ProxyDelay, Warning, delay(u.Name), "0",
		"the kernel waits up to that many hundredths of a second before each answer, and loses solicitations beyond 168 a second")...)
}

// raRisk finds a default route that goes at the next change of forwarding.
func raRisk(f *Facts, u Uplink) []Finding {
	if u.Err != nil || !u.Gateway.IsValid() || f.Sysctls[conf(u.Name, "accept_ra")] != "1" || f.Sysctls[conf(u.Name, "forwarding")] != "1" {
		return nil
	}
	if !slices.Contains(f.Host.RALinks(), u.Name) {
		return nil
	}
	return f.wrong(RARisk, Warning, conf(u.Name, "accept_ra"), "2",
		"with 1 a host that forwards takes no default route from routers: when this one expires there is none")
}
