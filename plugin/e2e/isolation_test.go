package e2e_test

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// linkLocal gives the link-local address of a container's eth0 the name
// FROM>NAME, as another container of the bridge dials it.
func (p *places) linkLocal(from, name string) {
	p.Helper()
	addr := p.exec(container{name: name}, "ip", "-6", "addr", "show", "dev", "eth0", "scope", "link")
	_, addr, _ = strings.Cut(addr, "inet6 ")
	addr, _, _ = strings.Cut(addr, "/")
	p.addrs[from+">"+name] = netip.MustParseAddr(addr + "%" + p.eth0(from))
}

// eth0 is the index of a container's eth0. The runtime remembers the names of
// links, wherever they are; an index it takes as it is.
func (p *places) eth0(name string) string {
	p.Helper()
	link, err := p.nodes[name].Exec(p.ctx(), "ip", "-o", "link", "show", "dev", "eth0")
	p.ok(err)
	index, _, _ := strings.Cut(link, ":")
	return index
}

// bridgeOf is the name of a network's bridge.
func (b *bed) bridgeOf(network string) string {
	b.Helper()
	return "nd-" + b.docker("network", "inspect", "-f", "{{slice .Id 0 12}}", network)
}

// allNodes has a container ping all nodes of its link, and tells whether another
// one saw it.
func (p *places) allNodes(from, to string) bool {
	p.Helper()
	mac := p.macOf(from)
	t, err := p.nodes[to].Tap("eth0", func(f []byte) bool { return len(f) > 14+40+1 && [6]byte(f[6:]) == mac && f[14+40] == 128 })
	p.ok(err)
	// Its own kernel answers too, so the result says nothing.
	_, _ = p.nodes[from].Ping(p.ctx(), netip.MustParseAddr("ff02::1%"+p.eth0(from)), 300*time.Millisecond)
	time.Sleep(100 * time.Millisecond) // What was sent arrives.
	seen := t.Seen() > 0
	p.ok(t.Close())
	return seen
}

// neighbors wants the containers of a network to reach each other, unless it
// was made to keep them apart.
func neighbors(b *bed) {
	b.network("n", "--subnet", pool)
	b.network("apart", "--subnet", "2001:db8:1:0:b::/80", "-o", "com.docker.network.bridge.enable_icc=false")
	p := b.newPlaces()
	for _, network := range []string{"n", "apart"} {
		p.start("c1", network, served)
		p.start("d1", network, served, "-p", "8080:80")
		p.linkLocal("c1", "d1")
		reaches, direct := "open", "open"
		if network == "apart" {
			reaches, direct = "closed", "closed"
		}
		p.want(network, fmt.Sprintf(`
			c1 d1:81 %[1]s
			c1 d1.4:81 %[1]s
			c1 d1:80 %[2]s
			c1 d1:54/udp %[1]s
			c1 c1>d1:81 %[3]s
			c1 host:8080 served
			c1 host.4:8080 served
			d1 host:8080 served
			outside d1:80 open
			outside d1:81 silent
			host d1:81 served
		`, reaches, direct, strings.ReplaceAll(reaches, "open", "served")))
		if seen := p.allNodes("c1", "d1"); seen != (network == "n") {
			b.Errorf("%s: d hears a ping to ff02::1: %t", network, seen)
		}
		b.ok(p.nodes["c1"].IP(b.ctx(), "route add "+p.addrs["d1"].String()+"/128 via "+b.bridgeLLA(network)+" dev eth0"))
		p.want(network+", by way of the gateway", fmt.Sprintf("c1 d1:81 %s\nc1 d1:54/udp %[1]s", reaches))
		b.docker("rm", "-f", "c1", "d1")
	}
}

// bridgeLLA is the first link-local address of a network's bridge.
func (b *bed) bridgeLLA(network string) string {
	b.Helper()
	out, err := b.host.Exec(b.ctx(), "ip", "-6", "-o", "addr", "show", "dev", b.bridgeOf(network), "scope", "link")
	b.ok(err)
	_, addr, _ := strings.Cut(out, "inet6 ")
	addr, _, _ = strings.Cut(addr, "/")
	return addr
}

// networks wants containers of different networks to reach each other's
// published ports and nothing else, and an internal network to reach nothing.
func networks(b *bed) {
	b.network("n", "--subnet", pool)
	b.network("m", "--subnet", "2001:db8:1:0:b::/80")
	b.network("inside", "--subnet", "2001:db8:1:0:c::/80", "--internal")
	p := b.newPlaces()
	p.serve("outside", "9999/tcp", "9999/udp")
	p.start("c1", "n", served)
	p.start("d1", "m", served, "-p", "8080:80")
	p.start("e1", "inside", served, "-p", "8081:80")
	p.start("f1", "inside", served)
	p.want("two networks", `
		c1 d1:80 open
		c1 d1:81 silent
		c1 d1:54/udp silent
		d1 c1:80 silent
		c1 d1.4:81 silent
		d1 c1.4:80 silent
		c1 host:8080 served
		c1 host.4:8080 served
		c1 outside:9999 open
		c1 outside:9999/udp open
		c1 outside.4:9999 host.4
		outside d1:80 open
	`)
	// Someone who knows a way around the missing routes and proxy entries.
	b.ok(b.neighbor.IP(b.ctx(), fmt.Sprintf("neigh replace %s lladdr %s nud permanent dev eth0", p.addrs["e1"], lab.MAC(hostNumber))))
	defer func() { b.ok(b.neighbor.IP(b.ctx(), fmt.Sprintf("neigh del %s dev eth0", p.addrs["e1"]))) }()
	p.want("internal, as it is", "e1 outside:9999 closed\ne1 d1:80 closed\ne1 f1:81 open\ne1 f1.4:81 open\nf1 e1:80 open")
	b.ok(p.nodes["e1"].IP(b.ctx(), "route add default via "+b.bridgeLLA("inside")+" dev eth0"))
	p.want("internal, with a way out", `
		e1 outside:9999 silent
		e1 outside:9999/udp silent
		e1 neighbor:9999 silent
		e1 d1:80 silent
		e1 c1:81 silent
		neighbor e1:80 silent
		neighbor e1:81 silent
		c1 e1:80 silent
		c1 e1:81 silent
		e1 f1:81 open
	`)
}

// dockerBridge wants containers of ndp6 and of Docker's own driver to meet at
// published ports, and Docker's to be as they are without ndp6.
func dockerBridge(b *bed) {
	b.docker("network", "create", "--ipv6", "--subnet", "fd00:d::/64", "--subnet", "10.78.0.0/24", "bridge6")
	p := b.newPlaces()
	p.serve("outside", "9999/tcp")
	p.start("d1", "bridge6", served, "-p", "9080:80")
	const ofDocker = `
		outside host:9080 served
		outside host.4:9080 served
		host loopback.4:9080 served
		d1 outside.4:9999 host.4
		d1 outside:9999 host
		outside host:9081 refused
	`
	p.want("Docker's container without ndp6", ofDocker)
	b.network("n", "--subnet", pool)
	p.start("c1", "n", served, "-p", "8080:80")
	p.want("Docker's container beside ndp6", ofDocker)
	p.want("between them", `
		c1 d1:81 silent
		c1 d1.4:81 silent
		d1 c1:81 silent
		d1 c1.4:81 silent
		d1 c1:54/udp silent
		c1 host:9080 served
		c1 host.4:9080 served
		d1 c1:80 served
		d1 host:8080 served
		d1 host.4:8080 served
		outside c1:80 open
		outside c1:81 silent
		c1 outside:9999 open
	`)
}

// hostAccess keeps containers from the host's own services where asked to.
func hostAccess(b *bed) {
	b.network("n", "--subnet", pool, "--gateway", "2001:db8:1:0:a::1")
	b.network("kept", "--subnet", "2001:db8:1:0:b::/80", "--gateway", "2001:db8:1:0:b::1", "-o", "ndp6.host_access=icmp")
	p := b.newPlaces()
	p.serve("host", "2222/tcp", "2222/udp")
	p.serve("outside", "9999/tcp")
	for network, gateway := range map[string]string{"n": "2001:db8:1:0:a::1", "kept": "2001:db8:1:0:b::1"} {
		c := p.start("c1", network, served, "-p", "8080:80")
		p.addrs["gateway"] = netip.MustParseAddr(gateway)
		p.addrs["gateway-lla"] = netip.MustParseAddr(b.bridgeLLA(network) + "%" + p.eth0("c1"))
		p.addrs["gateway.4"] = netip.MustParseAddr(b.docker("inspect", "-f", `{{(index .NetworkSettings.Networks "`+network+`").Gateway}}`, "c1"))
		reaches := "served"
		if network == "kept" {
			reaches = "silent"
		}
		p.want(network, strings.ReplaceAll(`
			c1 gateway:2222 REACHES
			c1 gateway:2222/udp REACHES
			c1 gateway-lla:2222 REACHES
			c1 gateway.4:2222 REACHES
			c1 host:2222 REACHES
			c1 host2:2222 REACHES
			c1 host.4:2222 REACHES
			c1 host:8080 served
			c1 host.4:8080 served
			c1 outside:9999 open
			c1 outside.4:9999 host.4
			outside c1:80 open
			host c1:81 served
		`, "REACHES", reaches))
		b.exec(c, "ping", "-6", "-c1", "-W2", gateway)
		b.exec(c, "ping", "-6", "-c1", "-W2", b.host.Addr())
		b.docker("rm", "-f", "c1")
	}
}
