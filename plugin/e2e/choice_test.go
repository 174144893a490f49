package e2e_test

import (
	"net/netip"
	"strings"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// chosenAddresses gives containers an address, a MAC, and both.
func chosenAddresses(b *bed) {
	b.network("n", "--subnet", pool)
	const chosen, mac = "2001:db8:1:0:a:0:1:2", "02:42:aa:bb:cc:01"

	c := b.web("c1", "n", "--ip6", chosen)
	if c.addr.String() != chosen {
		b.Errorf("address %s, want %s", c.addr, chosen)
	}
	b.reach(b.Router, c, c.addr)

	d := b.web("d1", "n", "--mac-address", mac)
	if d.mac != mac {
		b.Errorf("MAC %s, want %s", d.mac, mac)
	}
	b.isMACAddress(d, pool)
	b.reach(b.Router, d, d.addr)
	b.docker("restart", "-t", "0", "d1")
	if again := b.inspect("d1", "n"); again.addr != d.addr {
		b.Errorf("address %s after a restart, want %s as before", again.addr, d.addr)
	}
	b.reach(b.Outside, d, d.addr)

	e := b.web("e1", "n", "--ip6", "2001:db8:1:0:a:0:1:3", "--mac-address", "02:42:aa:bb:cc:02")
	if e.addr.String() != "2001:db8:1:0:a:0:1:3" || e.mac != "02:42:aa:bb:cc:02" {
		b.Errorf("address %s and MAC %s, want those chosen", e.addr, e.mac)
	}
	b.reach(b.Router, e, e.addr)

	b.refused([]string{chosen}, "run", "--rm", "--network", "n", "--ip6", chosen, lab.Image, "true")
}

// gatewayRangeAux limits what a pool gives.
func gatewayRangeAux(b *bed) {
	const gateway, aux = "2001:db8:1:0:a::1", "2001:db8:1:0:a:0:1:2"
	within := netip.MustParsePrefix("2001:db8:1:0:a:0:1:0/126")
	b.network("n", "--subnet", pool, "--gateway", gateway, "--ip-range", within.String(), "--aux-address", "printer="+aux)
	for _, name := range []string{"c1", "d1"} {
		c := b.web(name, "n")
		if !within.Contains(c.addr) || c.addr.String() == aux {
			b.Errorf("address %s, want one of %s other than %s", c.addr, within, aux)
		}
		b.reach(b.Router, c, c.addr)
		if route := b.exec(c, "ip", "-6", "route"); !strings.Contains(route, "default via "+gateway+" ") {
			b.Errorf("the default gateway of %s is not %s:\n%s", name, gateway, route)
		}
		b.exec(c, "ping", "-6", "-c1", "-W2", gateway)
	}
	b.exec(container{name: "c1"}, "ping", "-6", "-c1", "-W2", lab.Outside)
}

// duplicateAddress asks for an address that another host of the LAN has.
//
// Shows RFC 4862 5.4 (before use).
func duplicateAddress(b *bed) {
	const taken = "2001:db8:1:0:a::99"
	b.ok(b.neighbor.IP(b.ctx(), "addr add "+taken+"/128 dev eth0 nodad"))
	defer func() { b.ok(b.neighbor.IP(b.ctx(), "addr del "+taken+"/128 dev eth0")) }()
	b.network("n", "--subnet", pool)
	b.refused([]string{taken, lab.MAC(neighborNumber)},
		"run", "--rm", "--network", "n", "--ip6", taken, lab.Image, "true")
	c := b.web("c1", "n")
	b.reach(b.Router, c, c.addr)
}
