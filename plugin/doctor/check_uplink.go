package doctor

import (
	"fmt"

	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/inet"
)

func uplinkChecks() []check {
	return []check{eachUplink(uplinkThere), eachUplink(uplinkIPv6), eachUplink(uplinkUp), eachUplink(defaultRoute), eachUplink(prefix), eachUplink(router)}
}

// eachUplink runs a check for each uplink.
func eachUplink(run func(*Facts, Uplink) []Finding) check {
	return func(f *Facts) []Finding {
		if f.Sysctls[conf("all", "disable_ipv6")] != "0" {
			return nil // which says it all
		}
		var out []Finding
		for _, u := range f.Uplinks {
			out = append(out, run(f, u)...)
		}
		return out
	}
}

func uplinkThere(f *Facts, u Uplink) []Finding {
	if u.Err == nil {
		return nil
	}
	finding := Finding{
		Code: UplinkMissing, Severity: Error, What: u.Err.Error(),
		Why:    "nothing leads to the router, so that nobody outside reaches containers",
		Advice: "name the link: --uplink of the plugin, or -o ndp6.uplink of the network",
	}
	if u.Spec == uplink.Auto {
		finding.Code, finding.What = NoDefaultRoute, "the host has no IPv6 default route, so that no link is its uplink"
		finding.Advice = "wait for a router advertisement, set the route that your provider gave, or name the link: --uplink of the plugin, or -o ndp6.uplink of the network"
	}
	return []Finding{finding}
}

func uplinkIPv6(f *Facts, u Uplink) []Finding {
	if u.Err != nil || f.Sysctls[conf(u.Name, "disable_ipv6")] == "0" {
		return nil
	}
	return []Finding{{
		Code: UplinkIPv6Off, Severity: Error, What: fmt.Sprintf("IPv6 is switched off on uplink %s", u.Name),
		Why:    "the link has no IPv6 address and hears no solicitation",
		Fix:    []string{command(conf(u.Name, "disable_ipv6"), "0")},
		Advice: "addresses that were set by hand are gone: have the host's network configuration set them again",
	}}
}

func uplinkUp(f *Facts, u Uplink) []Finding {
	switch {
	case u.Err != nil || u.Running:
		return nil
	case !u.Link.Up:
		return []Finding{{
			Code: UplinkDown, Severity: Error, What: fmt.Sprintf("uplink %s is down", u.Name),
			Why:    "nothing is sent or heard on it; the kernel forgot its proxy entries and routes, which a running ndp6 sets again",
			Fix:    []string{"ip link set " + u.Name + " up"},
			Advice: "a default route that was set by hand is gone, too",
		}}
	}
	return []Finding{{
		Code: UplinkNoCarrier, Severity: Error, What: fmt.Sprintf("uplink %s is up, but carries nothing", u.Name),
		Why:    "the other end of the cable, the switch's port or the virtual link's peer is down",
		Advice: "see to the other end",
	}}
}

func defaultRoute(f *Facts, u Uplink) []Finding {
	if u.Err != nil || !u.Running || u.Gateway.IsValid() || f.hasDefaultRoute() {
		return nil
	}
	p := u.Probe
	accept, forwards := f.Sysctls[conf(u.Name, "accept_ra")], f.Sysctls[conf(u.Name, "forwarding")] == "1"
	route := fmt.Sprintf("ip -6 route replace default via %s dev %s", p.Router.Addr, u.Name)
	if p.Found && p.Router.Lifetime > 0 {
		finding := Finding{
			Code: RAIgnored, Severity: Error,
			What: fmt.Sprintf("router %s advertises itself on %s, and the host has no default route", p.Router.Addr, u.Name),
			Why:  fmt.Sprintf("accept_ra of %s is %s", u.Name, accept),
			Fix:  []string{command(conf(u.Name, "accept_ra"), "2"), route},
		}
		switch {
		case accept == "1" && forwards:
			finding.Why += ": a host that forwards takes no default route from others unless it is 2"
		case accept == "0":
			finding.Why += ": the kernel leaves advertisements to a daemon, such as systemd-networkd or NetworkManager, that did not set it"
		default:
			finding.Why += ", so the route was removed, or a firewall drops advertisements"
		}
		finding.Advice = "the second command lasts until the next advertisement; keep the first in /etc/sysctl.d"
		return []Finding{finding}
	}
	finding := Finding{
		Code: NoDefaultRoute, Severity: Error, What: "the host has no IPv6 default route",
		Why:    "containers reach nothing beyond the link, and ndp6 does not know which link is the uplink",
		Advice: fmt.Sprintf("no router answers on %s: see to the router, or set the route that your provider gave, as in ip -6 route add default via fe80::1 dev %s", u.Name, u.Name),
	}
	if !p.Solicited {
		finding.Advice = "have the host's network configuration set it, or wait for a router advertisement"
	}
	if accept == "1" && forwards {
		finding.Why += fmt.Sprintf("; accept_ra of %s is 1, with which a host that forwards takes no default route from routers", u.Name)
		finding.Fix = []string{command(conf(u.Name, "accept_ra"), "2")}
	}
	return []Finding{finding}
}

func (f *Facts) hasDefaultRoute() bool {
	for _, r := range f.Host.Routes {
		if r.Dst.Bits() == 0 && r.Dst.Addr().Is6() {
			return true
		}
	}
	return false
}

func prefix(f *Facts, u Uplink) []Finding {
	if u.Err != nil || !u.Running || len(u.OnLink) > 0 || len(u.Routed) > 0 || len(f.Settings.Pools) > 0 {
		return nil
	}
	return []Finding{{
		Code: NoPrefix, Severity: Warning, What: fmt.Sprintf("uplink %s has no global prefix", u.Name),
		Why:    "new networks get unique local addresses, which leave with the host's; addresses of networks with a prefix of the link are not answered for",
		Advice: fmt.Sprintf("wait for a router advertisement, set the host's address with its prefix (ip -6 addr add 2001:db8:1::2/64 dev %s), or name a routed block with --pools", u.Name),
	}}
}

// router finds that the default route leads to nobody.
func router(_ *Facts, u Uplink) []Finding {
	if !u.Gateway.IsValid() || !u.Probe.Asked || u.Probe.Answered {
		return nil
	}
	finding := Finding{
		Code: RouterSilent, Severity: Warning,
		What:   fmt.Sprintf("router %s does not answer on %s", u.Gateway, u.Name),
		Why:    "the host's default route leads to it: without it nothing goes out, and nobody outside is let in",
		Advice: "is it up, and is this its address? A router that filters neighbor solicitations without a source shows the same and is all right",
	}
	if inet.IsGUA(u.Gateway) && !u.covers(u.Gateway) {
		finding.Why += "; its address is in no prefix of the link"
	}
	return []Finding{finding}
}
