package publish

import (
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/hostport"
)

// Options say how a network or a request differs from the usual. The zero
// value is the usual.
type Options struct {
	// NoHostPorts6 is host_publish=off: IPv6 ports are open at the container's
	// own address only, as in the routed mode of Docker's bridge.
	NoHostPorts6 bool
	// NAT6 says that nobody outside reaches the container's own IPv6 address:
	// ports are the host's only, as in the nat mode of Docker's bridge. With
	// NoHostPorts6, which contradicts it, nothing is published for IPv6.
	NAT6 bool
	// HostBinding4 is the host's address for ports that name none; the zero
	// Addr is all of them. One IPv4 address publishes nothing for IPv6, as on
	// Docker's bridge: who sets it wants ports to be private.
	HostBinding4 netip.Addr
	// IPv4Only is Docker's no_proxy_6to4: another endpoint of the container
	// has its IPv6, and its driver publishes that.
	IPv4Only bool
	// IPv4MayBeTaken keeps a port for IPv6 alone where another has it for
	// IPv4. Docker does not tell when another endpoint of the container has
	// its IPv4 and has published there already.
	IPv4MayBeTaken bool
}

// A Binding is what one mapping, or several that want the same host port, come to.
type Binding struct {
	Proto uint8
	Port  uint16 // in the container
	// First to Last is the range of host ports; 0 leaves the choice to the host.
	First, Last uint16
	// HostAddrs are where the host port is held and relayed. None: no host port.
	HostAddrs []netip.Addr
	// Direct opens the port at the container's own IPv6 addresses.
	Direct bool
}

// Decide returns what publishing mappings of a container with these addresses
// comes to where its IPv4 is translated, and the mappings that come to nothing.
// Mappings are as Parse returns them. IPv6 is routed or, with Options.NAT6,
// translated, too. Where its prefix is (NPTv6), that counts as routed.
//
//	-p                   IPv6, routed                 IPv6, NAT6            IPv4
//	8080:80              own address, and [::]:8080   [::]:8080             0.0.0.0:8080
//	80                   own address                  [::], ephemeral port  0.0.0.0, the same
//	[::]:8080:80         own address, and [::]:8080   [::]:8080             -
//	[::]::80             own address                  [::], ephemeral port  -
//	0.0.0.0:8080:80      -                            -                     0.0.0.0:8080
//	[2001:db8::1]:80:80  that address                 that address          -
//	[::1]:8080:80        relayed only                 relayed only          -
//	127.0.0.1:8080:80    -                            -                     relayed only
//
// Ports are held only in the families where somebody is served. A container
// without IPv4 gets no 0.0.0.0:8080 from -p 8080:80, as on Docker's bridge: it
// could only be relayed, which hides every client behind the host, and whoever
// wants that says so with -p 0.0.0.0:8080:80. A container without IPv6 is
// relayed to from [::]:8080 because Docker does that too, unless Options say
// that another endpoint has its IPv6.
//
// With host_publish=off a port for one IPv6 address of the host comes to
// nothing. Docker's routed mode opens it at the container's own address, but
// somebody who named ::1 did not mean the whole Internet.
func Decide(addrs []netip.Addr, mappings []Mapping, o Options) (bindings []Binding, left []Mapping) {
	has := families{six: target(addrs, netip.IPv6Unspecified()).Is6(), four: target(addrs, netip.IPv4Unspecified()).Is4()}
	for _, m := range mappings {
		hosts, direct := has.decide(m, o)
		if m.Proto == hostport.SCTP {
			hosts = slices.DeleteFunc(hosts, has.relayedOnly)
		}
		if len(hosts) == 0 && !direct {
			left = append(left, m)
			continue
		}
		b := Binding{Proto: m.Proto, Port: m.Port, First: m.HostPort, Last: m.HostPortEnd, HostAddrs: hosts, Direct: direct}
		if n := len(bindings); n == 0 || !bindings[n-1].join(b) {
			bindings = append(bindings, b)
		}
	}
	return bindings, left
}

// families are those that a container has addresses of.
type families struct{ four, six bool }

func (f families) decide(m Mapping, o Options) (hosts []netip.Addr, direct bool) {
	all6 := !m.HostAddr.IsValid() && o.default4().IsUnspecified() || m.HostAddr == netip.IPv6Unspecified()
	if all6 && f.six && !o.IPv4Only {
		direct = !o.NAT6
		if (m.HostPort != 0 || o.NAT6) && !o.NoHostPorts6 {
			hosts = append(hosts, netip.IPv6Unspecified())
		}
	}
	may6 := !o.IPv4Only && !o.NoHostPorts6
	switch {
	case !m.HostAddr.IsValid():
		if may6 && all6 && f.four && !f.six {
			hosts = append(hosts, netip.IPv6Unspecified())
		}
		if f.four {
			hosts = append(hosts, o.default4())
		}
	case m.HostAddr.Is4():
		if f.four || f.six && !o.IPv4Only {
			hosts = append(hosts, m.HostAddr)
		}
	case !direct && may6 && (f.four || f.six) && len(hosts) == 0:
		hosts = append(hosts, m.HostAddr)
	}
	return hosts, direct
}

// default4 is where IPv4 ports are held that name no address.
func (o Options) default4() netip.Addr {
	if o.HostBinding4.IsValid() {
		return o.HostBinding4
	}
	return netip.IPv4Unspecified()
}

// relayedOnly says whether the firewall can not bring what comes to a host's
// address to the container.
func (f families) relayedOnly(host netip.Addr) bool {
	return host.IsLoopback() || host.Is4() && !f.four || host.Is6() && !f.six
}

// join adds what n wants to b, if both can have one host port: so clients
// find the same at every address of a name.
func (b *Binding) join(n Binding) bool {
	if b.Proto != n.Proto || b.Port != n.Port || b.First != n.First || b.Last != n.Last {
		return false
	}
	for _, x := range b.HostAddrs {
		if slices.ContainsFunc(n.HostAddrs, func(y netip.Addr) bool { return overlap(x, y) }) {
			return false
		}
	}
	b.HostAddrs = append(b.HostAddrs, n.HostAddrs...)
	b.Direct = b.Direct || n.Direct
	return true
}

// overlap says whether one port can not be bound at both addresses.
func overlap(a, b netip.Addr) bool {
	return a == b || a.Is4() == b.Is4() && (a.IsUnspecified() || b.IsUnspecified())
}

// published returns what the firewall is to know of b once it has a host port.
func (b Binding) published(port uint16) []firewall.Published {
	var all []firewall.Published
	direct := b.Direct
	for _, a := range b.HostAddrs {
		p := firewall.Published{Proto: b.Proto, Port: b.Port, HostAddr: a, HostPort: port}
		if a == netip.IPv6Unspecified() {
			p.Direct, direct = direct, false
		}
		all = append(all, p)
	}
	if direct {
		all = append(all, firewall.Published{Proto: b.Proto, Port: b.Port, HostAddr: netip.IPv6Unspecified(), Direct: true})
	}
	return all
}

// target returns the container's address that a host's address leads to: the
// first of its family, else of the other. It is zero where there is none.
func target(addrs []netip.Addr, host netip.Addr) (found netip.Addr) {
	for _, a := range addrs {
		a = a.Unmap()
		if !a.IsValid() || a.IsLinkLocalUnicast() {
			continue
		}
		if a.Is4() == host.Is4() {
			return a
		}
		if !found.IsValid() {
			found = a
		}
	}
	return found
}
