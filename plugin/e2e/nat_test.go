package e2e_test

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// natted wants -p to mean on a network whose IPv6 is translated what it means
// for IPv4, and the addresses inside to be reached in no other way.
func natted(b *bed) {
	p := b.newPlaces()
	b.network("n", "-o", "ndp6.mode=nat")
	b.network("m", "-o", "ndp6.mode=nat", "-o", "ndp6.host_ipv6="+p.addrs["host2"].String())
	p.serve("outside", "9999/tcp", "9999/udp")
	p.start("mate", "n", nil)
	p.start("cousin", "m", served, "-p", "8081:80")
	c := p.start("c1", "n", served, "-p", "8080:80", "-p", "5353:53/udp", "-p", "81")
	defer b.knowTheWay(c.addr)()
	p.want("both families", `
		outside host:8080 open
		outside host2:8080 open
		outside host.4:8080 open
		outside host:5353/udp open
		neighbor host:8080 open
		outside host:80 refused
		outside host:53/udp refused
		outside c1:80 silent
		outside c1:81 silent
		outside c1:53/udp silent
		neighbor c1:80 silent
		host host:8080 served
		host host2:8080 served
		host host.4:8080 served
		host loopback:8080 served
		host loopback.4:8080 served
		host loopback:5353/udp served
		host c1:80 served
		mate c1:80 open
		mate c1:82 refused
		mate host:8080 served
		mate host.4:8080 served
		mate host:5353/udp served
		c1 host:8080 served
		c1 host.4:8080 served
		cousin host:8080 served
		c1 outside:9999 host
		c1 outside:9999/udp host
		c1 outside.4:9999 host.4
		cousin outside:9999 host2
		cousin outside:9999/udp host2
		outside host:8081 open
		outside host2:8081 open
	`)
	p.want("ephemeral port", fmt.Sprintf("outside host:%d open\nhost loopback:%[1]d served", b.hostPort(81)))
	b.docker("rm", "-f", "c1")
	p.want("after the container went", "outside host:8080 refused\noutside host.4:8080 refused")

	p.start("c1", "n", served, "-p", "[::1]:8080:80", "-p", "[2001:db8:1::aa]:8082:80")
	p.want("addresses of the host", `
		host loopback:8080 served
		outside host:8080 refused
		outside host2:8082 open
		outside host:8082 refused
		host host2:8082 served
		mate host2:8082 served
	`)
}

// hostPort is the IPv6 port of the host that leads to this port of a container.
func (b *bed) hostPort(port uint16) uint16 {
	b.Helper()
	for _, e := range b.status().Endpoints {
		for _, p := range e.Ports {
			if p.Port == port && p.HostAddr == netip.IPv6Unspecified() {
				return p.HostPort
			}
		}
	}
	b.Fatalf("status shows no port of the host for port %d", port)
	return 0
}

// knowTheWay has the router and a neighbor send to the host what is for an
// address behind it, though nobody told them, and returns what undoes it.
func (b *bed) knowTheWay(addr netip.Addr) (undo func()) {
	b.Helper()
	c := &changes{bed: b}
	way := fmt.Sprintf("route add %s via %s dev ", netip.PrefixFrom(addr, 64).Masked(), lab.LinkLocal(hostNumber))
	c.ip(b.Router, way+"lan")
	c.ip(b.neighbor, way+"eth0")
	return c.undo
}

// mapped wants the addresses of a nptv6 network to be others outside, one to one.
func mapped(b *bed) {
	b.network("n", "--ipam-opt", "ndp6.source=ula", "-o", "ndp6.mode=nptv6")
	p := b.newPlaces()
	p.serve("outside", "9999/tcp")
	p.serve("neighbor", "9999/tcp")
	mate := p.start("mate", "n", served)
	c := p.start("c1", "n", served, "-p", "8080:80")
	defer b.knowTheWay(c.addr)()
	lan := netip.MustParsePrefix(lab.LAN)
	p.addrs["inner"] = c.addr
	p.behind(lan, map[string]container{"c1": c, "mate": mate})
	b.chose(choice{mode: "nptv6", within: "fd00::/8", bits: 80, uplink: "eth0"}, p.addrs["c1"], p.addrs["mate"])
	for _, name := range []string{"c1", "mate"} {
		if text := b.run("/run/ndp6-lab/bin/ndp6 status"); !strings.Contains(text, p.addrs[name].String()) {
			b.Errorf("status does not show %s, the outer address of %s:\n%s", p.addrs[name], name, text)
		}
	}
	p.want("from all sides", `
		outside c1:80 open
		neighbor c1:80 open
		host c1:80 served
		outside host:8080 open
		outside host.4:8080 open
		host loopback:8080 served
		outside c1:81 silent
		outside c1:53/udp silent
		outside mate:80 silent
		outside inner:80 silent
		neighbor inner:80 silent
		mate inner:80 served
		mate c1:80 served
		c1 outside:9999 open
		c1 neighbor:9999 open
		mate outside:9999 open
	`)
}
