package doctor

import (
	"net/netip"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/hostport"
	"github.com/ndp6/ndp6/netutil/judge"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/netutil/xtables"
)

// Addresses beyond the router, for packets that are judged and never sent.
var (
	outside  = netip.MustParseAddr("2001:db8:ffff::1")
	outside4 = netip.MustParseAddr("192.0.2.1")
)

const (
	protoTCP     = uint8(nft.ProtoTCP)
	protoUDP     = uint8(nft.ProtoUDP)
	protoICMPv6  = uint8(nft.ProtoICMPv6)
	protoICMP    = uint8(1)
	echoRequest  = 128
	echoRequest4 = 8
	// highPort is one that clients send from.
	highPort = 50000
	// maxPackets is how many packets of a network are followed.
	maxPackets = 10
)

// lookAtRules follows packets of each network through the forward chains.
func (f *Facts) lookAtRules() {
	legacy, err := xtables.Open()
	if err != nil {
		f.unseen("firewall rules", err)
		return
	}
	defer legacy.Close()
	for _, n := range f.Networks {
		u, ok := f.uplink(n.Uplink)
		if n.Internal || !ok {
			continue
		}
		for _, h := range f.packets(n, u) {
			if err := h.follow(legacy); err != nil {
				f.unseen("firewall rules", err)
				return
			}
			f.Hops = append(f.Hops, h)
		}
	}
	for _, h := range f.Hops {
		is := f.Rules != nil && *f.Rules
		for _, v := range h.Verdicts {
			is = is || v.Table == nft.Owner
		}
		f.Rules = &is
	}
}

// follow finds what the chains do with the packet.
func (h *Hop) follow(legacy *xtables.Conn) (err error) {
	if h.Verdicts, err = judge.Forward(h.Packet); err != nil {
		return err
	}
	p := h.Packet
	h.Legacy, h.Used, err = legacy.Forward(xtables.Packet{
		In: p.In.Name, Out: p.Out.Name, Source: p.Source, Destination: p.Destination, Proto: p.Proto, Mark: mark(h.Verdicts),
	})
	return err
}

// mark is what our chains have set when a packet comes to those of others.
func mark(verdicts []judge.Verdict) uint32 {
	for _, v := range verdicts {
		if v.Table == nft.Owner && len(v.Way) > 0 && v.Way[len(v.Way)-1] == "carry" {
			return xtables.Bit
		}
	}
	return 0
}

// packets are echo requests in and out, and one packet to each published port.
// IPv4 comes in by the host's address only, so that its way out is what counts.
func (f *Facts) packets(n Network, u Uplink) []Hop {
	bridge, _ := f.Host.Link(n.Bridge)
	in := judge.Link{Name: u.Name, Index: u.Index, Kind: u.Link.Kind}
	out := judge.Link{Name: n.Bridge, Index: bridge.Index, Kind: "bridge"}
	var hops []Hop
	if addr, ok := n.first(netip.Addr.Is6); ok {
		hops = append(
			hops,
			Hop{Network: n, Packet: judge.Packet{In: in, Out: out, Source: outside, Destination: addr, Proto: protoICMPv6, ICMPType: echoRequest}},
			Hop{Network: n, Outward: true, Packet: judge.Packet{In: out, Out: in, Source: addr, Destination: outside, Proto: protoICMPv6, ICMPType: echoRequest}},
		)
	}
	if addr, ok := n.first(netip.Addr.Is4); ok {
		hops = append(hops, Hop{Network: n, Outward: true, Packet: judge.Packet{
			In: out, Out: in, Source: addr, Destination: outside4, Proto: protoICMP, ICMPType: echoRequest4,
		}})
	}
	for _, p := range n.Ports {
		if p.Port != 0 && p.Addr.Is6() && len(hops) < maxPackets {
			hops = append(hops, Hop{Network: n, Packet: judge.Packet{
				In: in, Out: out, Source: outside, Destination: p.Addr, Proto: p.Proto, SourcePort: highPort, Port: p.Port,
			}})
		}
	}
	return hops
}

// first returns the first address of a container that is of the kind.
func (n Network) first(is func(netip.Addr) bool) (netip.Addr, bool) {
	for _, a := range n.Addrs {
		if is(a.Addr) {
			return a.Addr, true
		}
	}
	return netip.Addr{}, false
}

// ports are an endpoint's, at its first address of each family.
func ports(e driver.EndpointStatus) []Port {
	var out []Port
	for _, p := range e.Ports {
		port := Port{HostPort: p.HostPort}
		switch p.Proto {
		case "tcp":
			port.Proto = protoTCP
		case "udp":
			port.Proto = protoUDP
		default:
			continue
		}
		for _, a := range e.Addresses {
			if a.Origin != plan.Outside && a.Addr.Is4() == p.HostAddr.Is4() {
				port.Addr = a.Addr
				break
			}
		}
		if p.Direct {
			port.Port = p.Port
		}
		out = append(out, port)
	}
	return out
}

// lookAtPorts finds processes that have a port which is published.
func (f *Facts) lookAtPorts() {
	wanted := make(map[[2]uint16]Port)
	for _, n := range f.Networks {
		for _, p := range n.Ports {
			if p.HostPort != 0 {
				wanted[[2]uint16{uint16(p.Proto), p.HostPort}] = p
			}
		}
	}
	if len(wanted) == 0 {
		return
	}
	listeners, err := hostport.Listeners()
	if err != nil {
		f.unseen("who has published ports", err)
		return
	}
	for _, l := range listeners {
		p, ok := wanted[[2]uint16{uint16(l.Proto), l.Addr.Port()}]
		if !ok || l.Addr.Addr().IsLoopback() {
			continue
		}
		pid, command, ok := l.Holder()
		if ok && pid != f.Daemon.PID {
			f.Taken = append(f.Taken, Taken{p, l, pid, command})
			delete(wanted, [2]uint16{uint16(l.Proto), l.Addr.Port()})
		}
	}
}
