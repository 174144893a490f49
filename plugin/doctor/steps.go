package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/judge"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/ndp"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/netutil/xtables"
)

func (t *tracer) uplinkStep(context.Context) {
	u, ok := t.facts.uplink(t.network.Uplink)
	switch {
	case t.network.Internal:
		t.add("uplink", false, "the network is internal: nothing outside reaches it")
	case !ok && t.network.Uplink != "":
		t.add("uplink", false, "there is no link %s", t.network.Uplink)
	case !ok:
		t.add("uplink", false, "the network has none")
	default:
		t.uplink = u
		t.add("uplink", u.Running, "%s, %s", u.Name, map[bool]string{true: "up", false: "carries nothing"}[u.Running])
	}
}

// onLink reports whether neighbors of the uplink look for the address there.
func (t *tracer) onLink() bool {
	return t.uplink.Name != "" && t.target.Addr.Is6() && t.network.Routed && t.uplink.covers(t.target.Addr)
}

// routerStep has the router look for the address.
func (t *tracer) routerStep(ctx context.Context) {
	u := t.uplink
	if !t.onLink() || t.silent || !u.Ready() || !u.Source.IsLinkLocalUnicast() || !u.Gateway.IsValid() {
		return
	}
	link := ndp.Link{Index: u.Index, Name: u.Name, MAC: u.MAC, Source: u.Source}
	conn, err := ndp.Open(link)
	if err != nil {
		t.unseen("router", reason(err))
		return
	}
	defer conn.Close()
	owners, err := probeAll(ctx, conn, []netip.Addr{t.target.Addr, u.Gateway})
	if err != nil {
		t.unseen("router", reason(err))
		return
	}
	if mac, ok := owners[t.target.Addr]; ok {
		t.add("router", false, "the host with MAC %s answers for the address as well", mac)
	}
	mac, ok := owners[u.Gateway]
	if !ok {
		t.unseen("router", fmt.Sprintf("%s does not answer", u.Gateway))
		return
	}
	e, err := ndp.Ask(ctx, link, t.target.Addr, u.Gateway, mac, askTime)
	switch {
	case err != nil:
		t.unseen("router", reason(err))
	case e.Replied && e.Solicited:
		t.add("router", true, "%s asked who has the address, and found it here", u.Gateway)
	case e.Replied:
		t.add("router", true, "%s knows that the address is here", u.Gateway)
	case e.Solicited && !e.Answered:
		t.add("router", false, "%s asked who has the address, and this host did not answer", u.Gateway)
	default:
		t.unseen("router", fmt.Sprintf("%s neither answered nor asked for the address", u.Gateway))
	}
}

func reason(err error) string {
	if errors.Is(err, os.ErrPermission) {
		return "only root may ask"
	}
	return err.Error()
}

func (t *tracer) proxyStep(context.Context) {
	if t.uplink.Name == "" || t.target.Addr.Is4() {
		return
	}
	if !t.onLink() {
		t.add("proxy entry", true, "not needed: the address is in no prefix of %s", t.uplink.Name)
		return
	}
	has := t.facts.has(kernel.Neighbor{Addr: t.target.Addr, Link: t.uplink.Name, Proxy: true})
	t.add("proxy entry", has, "%s on %s", map[bool]string{true: "there", false: "missing"}[has], t.uplink.Name)
	t.sysctl(conf(t.uplink.Name, "proxy_ndp"))
	if t.facts.responds(t.uplink) {
		t.add("responder", true, "there on %s", t.uplink.Name)
		return
	}
	t.sysctl(conf("all", "proxy_ndp"))
}

func (t *tracer) sysctl(key string) {
	value, ok := t.facts.Sysctls[key]
	if !ok {
		value = "not there"
	}
	t.add("sysctl", value == "1", "%s is %s", dotted(key), value)
}

func (t *tracer) forwardingStep(context.Context) {
	if t.target.Addr.Is4() {
		t.sysctl("net/ipv4/ip_forward")
		return
	}
	t.sysctl(conf("all", "forwarding"))
	if t.uplink.Name != "" {
		t.sysctl(conf(t.uplink.Name, "forwarding"))
	}
}

func (t *tracer) routeStep(context.Context) {
	r, ok := t.facts.route(t.target.Addr)
	if !ok {
		t.add("route", false, "there is none to %s", t.target.Addr)
		return
	}
	t.add("route", r.Link == t.network.Bridge, "%s", strings.TrimPrefix(r.String(), "route "))
}

// fastPathStep says where the rules that follow are asked only about what the
// fast path leaves to the kernel.
func (t *tracer) fastPathStep(context.Context) {
	s := t.facts.Daemon.Status
	if s == nil || !t.target.Addr.Is6() {
		return
	}
	fast := slices.ContainsFunc(s.Networks, func(n driver.NetworkStatus) bool {
		return n.ID == t.network.ID && n.Datapath == driver.DatapathBPF
	})
	published := slices.ContainsFunc(s.Endpoints, func(e driver.EndpointStatus) bool {
		return e.ID == t.addr.Endpoint && slices.ContainsFunc(e.Ports, func(p driver.PortStatus) bool {
			return p.Direct && p.Port == t.target.Port && p.Proto == nft.Proto(t.target.Proto).String()
		})
	})
	if fast && published {
		t.add("fast path", true, "forwards it, in front of the rules, unless it has to leave it to the kernel")
	}
}

// chainSteps are the forward chains, ours and others'.
func (t *tracer) chainSteps(context.Context) {
	if t.uplink.Name == "" {
		return
	}
	legacy, err := xtables.Open()
	if err != nil {
		t.unseen("firewall", reason(err))
		return
	}
	defer legacy.Close()
	bridge, _ := t.facts.Host.Link(t.network.Bridge)
	h := Hop{Network: t.network, Packet: judge.Packet{
		In:     judge.Link{Name: t.uplink.Name, Index: t.uplink.Index, Kind: t.uplink.Link.Kind},
		Out:    judge.Link{Name: t.network.Bridge, Index: bridge.Index, Kind: "bridge"},
		Source: outside, Destination: t.target.Addr, Proto: t.target.Proto,
		SourcePort: highPort, Port: t.target.Port, ICMPType: echoRequest,
	}}
	if t.target.Addr.Is4() {
		h.Packet.Source, h.Packet.ICMPType = outside4, echoRequest4
	}
	if err := h.follow(legacy); err != nil {
		t.unseen("firewall", reason(err))
		return
	}
	ours := false
	for _, v := range h.Verdicts {
		ours = ours || v.Table == nft.Owner
		t.chain(v)
	}
	if !ours && (len(h.Verdicts) == 0 || !h.Verdicts[len(h.Verdicts)-1].Drop) {
		t.unseen("firewall", "the rules of ndp6 are gone: nothing of ours filters")
	}
	if h.Used {
		by := "by a rule"
		if h.Legacy.Policy {
			by = "by its policy"
		}
		t.add("firewall", !h.Legacy.Drop, "%s FORWARD: %s %s", h.Legacy.Command, word(h.Legacy.Drop), by)
	}
}

// chain adds the step of one chain.
func (t *tracer) chain(v judge.Verdict) {
	detail := fmt.Sprintf("%s %s, chain %s: %s", v.Family, v.Table, strings.Join(v.Way, " > "), word(v.Drop))
	if v.Policy {
		detail += " by its policy"
	}
	if v.Counter != "" {
		detail += ", counter " + v.Counter
	}
	if v.Unsure {
		detail += ", unless a rule before it does not"
	}
	if v.Table == nft.Owner && v.Drop && v.Counter == "inbound" && t.target.Port != 0 {
		detail += fmt.Sprintf(": port %d is not published", t.target.Port)
	}
	t.add("firewall", !v.Drop, "%s", detail)
	if v.Counted {
		t.Steps[len(t.Steps)-1].Packets = &v.Packets
	}
}

func word(drop bool) string {
	if drop {
		return "drop"
	}
	return "accept"
}

func (t *tracer) neighborStep(context.Context) {
	if _, ok := t.facts.Host.Link(t.network.Bridge); !ok {
		return
	}
	for _, n := range t.facts.Neighbors {
		if n.Addr == t.addr.Addr && n.Link == t.network.Bridge && !n.Proxy {
			t.add("neighbor", t.addr.MAC.IsZero() || n.MAC == t.addr.MAC, "%s is at %s on %s", n.Addr, n.MAC, n.Link)
			return
		}
	}
	t.add("neighbor", true, "no permanent entry on %s: the container is asked where it is", t.network.Bridge)
}

// portStep finds the host side of the container's veth pair.
func (t *tracer) portStep(context.Context) {
	l, ok := t.facts.Host.Link(t.network.Bridge)
	if !ok || !l.Up {
		t.add("bridge", false, "%s is %s", t.network.Bridge, map[bool]string{true: "down", false: "gone"}[ok])
		return
	}
	if t.addr.Endpoint == "" {
		t.unseen("port", "no ndp6 answers that knows which it is")
		return
	}
	for _, port := range t.facts.Host.Links {
		if port.Alias != plan.AliasEndpoint+t.addr.Endpoint {
			continue
		}
		state := "up"
		switch {
		case port.Master != t.network.Bridge:
			state = "no port of " + t.network.Bridge
		case !port.Up:
			state = "down"
		case !port.Running:
			state = "up, but its other end is down"
		}
		t.add("port", state == "up", "%s is %s", port.Name, state)
		return
	}
	t.add("port", false, "there is no link of the container")
}

// containerStep asks the container on the bridge for its address.
func (t *tracer) containerStep(ctx context.Context) {
	l, ok := t.facts.Host.Link(t.network.Bridge)
	if t.silent || !ok || !l.Running || t.target.Addr.Is4() {
		return
	}
	conn, err := ndp.Open(ndp.Link{Index: l.Index, Name: l.Name, MAC: l.MAC, Source: inet.LinkLocal(l.MAC)})
	if err != nil {
		t.unseen("container", reason(err))
		return
	}
	defer conn.Close()
	owners, err := probeAll(ctx, conn, []netip.Addr{t.addr.Addr})
	if err != nil {
		t.unseen("container", reason(err))
		return
	}
	mac, ok := owners[t.addr.Addr]
	switch {
	case !ok:
		t.add("container", false, "it does not say on %s that it has the address", l.Name)
	case !t.addr.MAC.IsZero() && mac != t.addr.MAC:
		t.add("container", false, "%s says that it has the address, and should be %s", mac, t.addr.MAC)
	default:
		t.add("container", true, "%s has the address", mac)
	}
}

// listenStep connects to the container's port from the host.
func (t *tracer) listenStep(ctx context.Context) {
	if t.silent || t.target.Port == 0 || t.target.Proto != protoTCP || !t.Arrives() {
		return
	}
	dialer := net.Dialer{Timeout: 2 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(t.addr.Addr, t.target.Port).String())
	switch {
	case err == nil:
		conn.Close()
		t.add("service", true, "something listens on port %d", t.target.Port)
	case errors.Is(err, syscall.ECONNREFUSED):
		t.add("service", false, "nothing in the container listens on port %d of this address", t.target.Port)
	default:
		t.add("service", false, "port %d does not answer the host: %v", t.target.Port, err)
	}
}
