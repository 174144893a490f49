package e2e_test

import (
	"net/netip"
	"strings"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// dualStack wants IPv4 beside IPv6, masqueraded towards the outside as on Docker's bridge.
func dualStack(b *bed) {
	b.network("n", "--subnet", pool)
	c, d := b.web("c1", "n"), b.web("d1", "n")
	if !c.addr4.Is4() || !c.addr4.IsPrivate() || c.addr4 == d.addr4 {
		b.Errorf("IPv4 addresses %s and %s, want two private ones", c.addr4, d.addr4)
	}
	if got := b.exec(d, "wget", "-qO-", "http://"+c.addr4.String()+"/hostname"); got != c.id {
		b.Errorf("d gets %q from %s, want %q", got, c.addr4, c.id)
	}
	b.exec(c, "ping", "-4", "-c1", "-W2", lab.OutsideIPv4)
	b.reach(b.Outside, c, c.addr)
	b.noGatewayBridge(c)

	const given = "10.20.30.0/24"
	b.network("m", "--subnet", "2001:db8:1:0:b::/80", "--subnet", given)
	e := b.web("e1", "m")
	if !netip.MustParsePrefix(given).Contains(e.addr4) {
		b.Errorf("IPv4 address %s, want one of %s", e.addr4, given)
	}
	b.exec(e, "ping", "-4", "-c1", "-W2", lab.OutsideIPv4)
}

// onlyIPv6 is the way of Docker 28 and newer.
func onlyIPv6(b *bed) {
	b.network("n", "--ipv4=false", "--subnet", pool)
	b.lacksIPv4("n")
}

// onlyIPv6ByOption is the way of Docker before 28.
func onlyIPv6ByOption(b *bed) {
	b.network("n", "--ipam-opt", "ndp6.ipv4=none", "--subnet", pool)
	b.lacksIPv4("n")
}

// lacksIPv4 wants containers of a network to have routed IPv6 and no IPv4.
func (b *bed) lacksIPv4(network string) {
	b.Helper()
	c, d := b.web("c1", network), b.web("d1", network)
	b.isMACAddress(c, pool)
	b.reach(b.Router, c, c.addr)
	b.reach(b.Outside, c, c.addr)
	b.exec(c, "ping", "-6", "-c1", "-W2", lab.Outside)
	b.exec(c, "ping", "-6", "-c1", "-W2", "d1")
	b.exec(c, "ping", "-6", "-c1", "-W2", d.addr.String())
	b.noGatewayBridge(c)
	if got := b.exec(c, "ip", "-4", "addr", "show", "dev", "eth0"); strings.Contains(got, "inet ") {
		b.Errorf("c has IPv4:\n%s", got)
	}
	if got := b.exec(c, "ip", "-4", "route"); strings.Contains(got, "default") {
		b.Errorf("c has IPv4 routes:\n%s", got)
	}
}

// internal networks reach themselves and nothing else.
func internal(b *bed) {
	b.network("n", "--internal", "--subnet", pool)
	c, d := b.web("c1", "n"), b.web("d1", "n")
	b.exec(c, "ping", "-6", "-c1", "-W2", d.addr.String())
	b.exec(c, "ping", "-6", "-c1", "-W2", "d1")
	b.exec(c, "ping", "-4", "-c1", "-W2", d.addr4.String())
	b.silent(b.Router, c.addr)
	if got := b.exec(c, "ip", "-6", "route"); strings.Contains(got, "default") || strings.Contains(got, "8000::/1") {
		b.Errorf("c has a way out:\n%s", got)
	}
	b.refused(nil, "exec", "c1", "ping", "-6", "-c1", "-W1", lab.Outside)
	b.noGatewayBridge(c)
}

// defaultIPAM uses Docker's own IPAM in place of ours.
func defaultIPAM(b *bed) {
	b.docker("network", "create", "-d", "ndp6", "--ipv6", "-o", "ndp6.inbound=open", "--subnet", pool, "n")
	c, d := b.web("c1", "n"), b.web("d1", "n")
	if !netip.MustParsePrefix(pool).Contains(c.addr) {
		b.Errorf("address %s, want one of %s", c.addr, pool)
	}
	b.reach(b.Router, c, c.addr)
	b.reach(b.Outside, d, d.addr)
	b.exec(c, "ping", "-6", "-c1", "-W2", "d1")
	b.exec(c, "ping", "-6", "-c1", "-W2", lab.Outside)
	b.noGatewayBridge(c)
}
