package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/netutil/responder"
)

// protocol marks what is ours in the kernel.
const protocol = plan.Protocol

// Look sees what there is, in the network namespace of the calling thread. What
// it cannot see it says in Unseen.
func Look(ctx context.Context, c Config) Facts {
	f := Facts{Settings: c.Settings, Sysctls: make(map[string]string)}
	f.Kernel.Release = c.Release
	f.lookAtKernel()
	f.lookAtDaemon(ctx)
	f.lookAtCapabilities()
	if err := f.lookAtHost(); err != nil {
		f.unseen("links, addresses, routes", err)
	}
	f.lookAtRules()
	f.lookAtPorts()
	if !c.Silent {
		f.probe(ctx)
		f.askForName(ctx, c.Resolver)
	}
	f.askDocker(ctx)
	return f
}

func (f *Facts) unseen(what string, err error) {
	if errors.Is(err, os.ErrPermission) {
		f.Unseen = append(f.Unseen, what+": only root may")
		return
	}
	f.Unseen = append(f.Unseen, what+": "+err.Error())
}

// lookAtKernel tries what the kernel can do in a namespace that goes with the try.
func (f *Facts) lookAtKernel() {
	if f.Kernel.Release == "" {
		b, err := os.ReadFile("/proc/sys/kernel/osrelease")
		if err != nil {
			f.unseen("the kernel's release", err)
		}
		f.Kernel.Release = strings.TrimSpace(string(b))
	}
	if err := netns.Allowed(); err != nil {
		f.unseen("what the kernel can do", err)
		return
	}
	err := netns.Private(func() error {
		conn, err := kernel.Open()
		if err != nil {
			return err
		}
		defer conn.Close()
		f.Kernel.Bridge = conn.AddBridge(kernel.Bridge{Name: "ndp6-try"})
		f.Kernel.Responder = responder.Available()
		f.Kernel.Veth = conn.AddVeth(kernel.Veth{Name: "ndp6-try0", Peer: "ndp6-try1"})
		rules, err := nft.Open()
		if err != nil {
			f.Kernel.Rules = err
			return nil
		}
		f.Kernel.Rules = rules.Missing()
		return rules.Close()
	})
	if err != nil {
		f.unseen("what the kernel can do", err)
	}
	f.lookAtNeighborTable()
}

// lookAtNeighborTable reads the table that all namespaces share.
func (f *Facts) lookAtNeighborTable() {
	b, err := os.ReadFile("/proc/self/net/stat/ndisc_cache")
	if err != nil {
		return // not where IPv6 is off
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) < 2 {
		return
	}
	if fields := strings.Fields(lines[1]); len(fields) > 0 {
		if n, err := strconv.ParseUint(fields[0], 16, 31); err == nil {
			f.Kernel.Entries = int(n)
		}
	}
	if b, err := os.ReadFile("/proc/sys/net/ipv6/neigh/default/gc_thresh3"); err == nil {
		f.Kernel.Limit, _ = strconv.Atoi(strings.TrimSpace(string(b)))
	}
}

// lookAtHost reads the tables of the kernel and the sysctls.
func (f *Facts) lookAtHost() error {
	conn, err := kernel.Open()
	if err != nil {
		return err
	}
	defer conn.Close()
	if f.Settings.SysctlDir != "" {
		conn.SysctlDir = f.Settings.SysctlDir
	}
	if f.Host, err = uplink.Observe(conn); err != nil {
		return err
	}
	if f.Neighbors, err = conn.Neighbors(); err != nil {
		return err
	}
	if f.Daemon.Status != nil {
		f.networksOfStatus()
	} else {
		f.networksOfKernel()
	}
	f.chooseUplinks()
	if f.Responders, err = responder.Links(); err != nil {
		f.unseen("responders", err)
	}
	return f.readSysctls(conn)
}

// readSysctls reads what reaches containers depends on.
func (f *Facts) readSysctls(conn *kernel.Conn) error {
	links := []string{"all", "default"}
	for _, u := range f.Uplinks {
		if u.Err == nil {
			links = append(links, u.Name)
		}
	}
	for _, n := range f.Networks {
		links = append(links, n.Bridge)
	}
	keys := []string{"net/ipv4/ip_forward"}
	for _, link := range links {
		for _, key := range []string{"forwarding", "proxy_ndp", "accept_ra", "disable_ipv6"} {
			keys = append(keys, conf(link, key))
		}
		keys = append(keys, delay(link))
	}
	for _, key := range keys {
		value, err := conn.Sysctl(key)
		if errors.Is(err, kernel.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		f.Sysctls[key] = value
	}
	return nil
}

func conf(link, key string) string { return "net/ipv6/conf/" + link + "/" + key }
func delay(link string) string     { return "net/ipv6/neigh/" + link + "/proxy_delay" }

// networksOfStatus takes the networks from what the daemon says.
func (f *Facts) networksOfStatus() {
	s := f.Daemon.Status
	for _, ns := range s.Networks {
		n := Network{ID: ns.ID, Bridge: ns.Bridge, Uplink: ns.Uplink, Internal: ns.Internal, Shared: ns.Shared, Routed: ns.Mode == plan.Routed}
		for _, p := range ns.Pools {
			n.Pools = append(n.Pools, p.Prefix)
		}
		for _, e := range s.Endpoints {
			if e.Network != ns.ID || !e.Joined {
				continue
			}
			for _, a := range e.Addresses {
				if a.Origin != plan.Outside {
					n.Addrs = append(n.Addrs, Addr{a.Addr, e.MAC, e.ID})
				}
				exposed := n.Routed && !n.Internal || a.Origin == plan.Outside
				if ns.NDP != plan.NDPOff && exposed && a.Addr.Is6() && !slices.Contains(e.Withdrawn, a.Addr) {
					n.Exposed = append(n.Exposed, a.Addr)
				}
			}
			n.Ports = append(n.Ports, ports(e)...)
		}
		f.Networks = append(f.Networks, n)
	}
}

// networksOfKernel takes the networks from what is tagged as ours.
func (f *Facts) networksOfKernel() {
	up, err := f.Host.Choose(f.Settings.Uplink)
	for _, l := range f.Host.Links {
		id, ok := strings.CutPrefix(l.Alias, plan.AliasNetwork)
		if !ok {
			continue
		}
		n := Network{ID: id, Bridge: l.Name, Routed: true}
		if err == nil {
			n.Uplink = up.Name
		}
		for _, r := range f.Host.Routes {
			if own, metric := plan.ConnectedMark(r.Dst); r.Link == l.Name && r.Protocol == own && r.Metric == metric {
				n.Pools = append(n.Pools, r.Dst)
			}
		}
		for _, e := range f.Neighbors {
			if e.Link != l.Name || e.Protocol != protocol || e.Proxy {
				continue
			}
			n.Addrs = append(n.Addrs, Addr{Addr: e.Addr, MAC: e.MAC})
			if e.Addr.Is6() && !e.Addr.IsPrivate() {
				n.Exposed = append(n.Exposed, e.Addr)
			}
		}
		f.Networks = append(f.Networks, n)
	}
}

// chooseUplinks finds the links that the networks and the setting stand for.
func (f *Facts) chooseUplinks() {
	specs := []string{}
	if s := f.Daemon.Status; s != nil {
		for _, n := range s.Networks {
			if !n.Internal {
				specs = append(specs, n.UplinkOption)
			}
		}
	}
	if len(specs) == 0 {
		specs = append(specs, f.Settings.Uplink)
	}
	slices.Sort(specs)
	for _, spec := range slices.Compact(specs) {
		u := Uplink{Spec: spec}
		u.Uplink, u.Err = f.Host.Choose(spec)
		if u.Err != nil {
			f.remembered(&u)
		}
		u.Link, _ = f.Host.Link(u.Name)
		u.Gateway = f.gateway(u.Name)
		f.Uplinks = append(f.Uplinks, u)
	}
}

// remembered finds the link of a host without a default route: the daemon
// remembers it, and proxy entries are still there.
func (f *Facts) remembered(u *Uplink) {
	var names []string
	for _, n := range f.Networks {
		names = append(names, n.Uplink)
	}
	for _, e := range f.Neighbors {
		if e.Proxy && e.Protocol == protocol {
			names = append(names, e.Link)
		}
	}
	names = append(append(names, f.Host.RALinks()...), f.onlyLink())
	for _, name := range names {
		if found, err := f.Host.Choose(name); name != "" && err == nil && u.Spec == uplink.Auto {
			u.Uplink, u.Err = found, nil
			return
		}
	}
}

// onlyLink is the one link that can lead to a router, empty where there are several.
func (f *Facts) onlyLink() string {
	candidates := f.Host.Candidates()
	var hardware []string
	for _, name := range candidates {
		if l, ok := f.Host.Link(name); ok && l.Kind == "" {
			hardware = append(hardware, name)
		}
	}
	switch {
	case len(hardware) == 1:
		return hardware[0]
	case len(candidates) == 1:
		return candidates[0]
	}
	return ""
}

func (f *Facts) gateway(link string) netip.Addr {
	for _, r := range f.Host.Routes {
		if r.Link == link && r.Dst.Bits() == 0 && r.Dst.Addr().Is6() {
			return r.Via
		}
	}
	return netip.Addr{}
}

// command is how an operator sets a sysctl.
func command(key, value string) string { return fmt.Sprintf("sysctl -w %s=%s", dotted(key), value) }

// dotted is a sysctl's key as people write it. A link's name may have a dot: then
// slashes stay, which sysctl takes as well.
func dotted(key string) string {
	if strings.Contains(key, ".") {
		return key
	}
	return strings.ReplaceAll(key, "/", ".")
}
