package e2e_test

import (
	"net/netip"
	"strings"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// basic is the main job: a container is reachable from the router, from behind
// it and from its neighbors, and reaches them.
func basic(b *bed) {
	b.network("n", "--subnet", pool, "-o", "ndp6.inbound=published") // As it is by default.
	c := b.web("c1", "n", "-p", "80:80")
	b.isMACAddress(c, pool)
	b.reach(b.Router, c, c.addr)
	b.reach(b.Outside, c, c.addr)
	b.reach(b.neighbor, c, c.addr)
	b.exec(c, "ping", "-6", "-c1", "-W2", lab.Outside)

	d := b.web("d1", "n", "-p", "8080:80")
	b.isMACAddress(d, pool)
	if got := b.exec(d, "wget", "-qO-", "http://["+c.addr.String()+"]/hostname"); got != c.id {
		b.Errorf("d gets %q from c's address, want %q", got, c.id)
	}
	if got := b.exec(d, "nslookup", "-type=aaaa", "c1", "127.0.0.11"); !strings.Contains(got, c.addr.String()) {
		b.Errorf("the name c leads to %q, want %s", got, c.addr)
	}
	b.exec(d, "ping", "-6", "-c1", "-W2", "c1")

	// Docker before 29 shows no gateway of a given subnet unless it was given too.
	if shown := b.shownPools("n"); !strings.Contains(shown, pool+" ") {
		b.Errorf("network inspect shows %q, want pool %s", shown, pool)
	}
	const gateway = `{{(index .NetworkSettings.Networks "n").IPv6Gateway}}`
	if got := b.docker("inspect", "-f", gateway, "c1"); got != lab.RouterLLA {
		b.Errorf("inspect shows gateway %s, want %s", got, lab.RouterLLA)
	}
	b.noGatewayBridge(c)

	b.docker("rm", "-f", "c1")
	b.silent(b.Router, c.addr)
	b.reach(b.Router, d, d.addr)
}

// defaultPool lets ndp6 choose the pool: a /80 of the LAN's prefix.
func defaultPool(b *bed) {
	b.network("n")
	b.network("m")
	lan := netip.MustParsePrefix(lab.LAN)
	for _, name := range []string{"n", "m"} {
		c := b.web("in-"+name, name)
		prefix := b.pool6(name)
		if prefix.Bits() != 80 || !lan.Contains(prefix.Addr()) {
			b.Errorf("pool of %s is %s, want a /80 of %s", name, prefix, lan)
		}
		b.isMACAddress(c, prefix.String())
		b.reach(b.Router, c, c.addr)
		// Docker before 28 shows the gateway with its prefix length.
		if shown := b.shownPools(name); !strings.Contains(shown, prefix.String()+" "+lab.RouterLLA) {
			b.Errorf("network inspect shows %q, want pool %s and gateway %s", shown, prefix, lab.RouterLLA)
		}
	}
	if n, m := b.pool6("n"), b.pool6("m"); n.Overlaps(m) {
		b.Errorf("pools %s and %s overlap", n, m)
	}
}

// mtu gives a network a smaller MTU than its uplink has.
//
// Shows RFC 8201 4 (MTU).
func mtu(b *bed) {
	b.network("n", "--subnet", pool, "-o", "ndp6.mtu=1400")
	c := b.web("c1", "n")
	if got := b.exec(c, "cat", "/sys/class/net/eth0/mtu"); got != "1400" {
		b.Errorf("mtu %s, want 1400", got)
	}
	b.network("m", "--subnet", "2001:db8:1:0:b::/80")
	d := b.web("d1", "m")
	if got := b.exec(d, "cat", "/sys/class/net/eth0/mtu"); got != "1500" {
		b.Errorf("mtu %s, want the uplink's 1500", got)
	}
	b.reach(b.Outside, d, d.addr)
}

// isMACAddress wants the container's address to be the pool's prefix and its MAC.
func (b *bed) isMACAddress(c container, pool string) {
	b.Helper()
	mac, err := inet.ParseMAC(c.mac)
	b.ok(err)
	want, err := inet.EmbedMAC(netip.MustParsePrefix(pool), mac)
	b.ok(err)
	if c.addr != want {
		b.Errorf("address of %s is %s, want %s: pool %s and MAC %s", c.name, c.addr, want, pool, c.mac)
	}
	inside := b.exec(c, "ip", "-6", "addr", "show", "dev", "eth0", "scope", "global")
	if !strings.Contains(inside, c.addr.String()+"/") {
		b.Errorf("%s has not the address %s:\n%s", c.name, c.addr, inside)
	}
}

// shownPools is what network inspect shows of each pool: its prefix, a space, and its gateway.
func (b *bed) shownPools(network string) string {
	b.Helper()
	return b.docker("network", "inspect", "-f", `{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}},{{end}}`, network)
}

// pool6 is the IPv6 pool of a network, as Docker shows it.
func (b *bed) pool6(network string) netip.Prefix {
	b.Helper()
	for s := range strings.FieldsSeq(b.docker("network", "inspect", "-f", `{{range .IPAM.Config}}{{.Subnet}} {{end}}`, network)) {
		if p, err := netip.ParsePrefix(s); err == nil && p.Addr().Is6() {
			return p
		}
	}
	// Docker before 29 shows only what was asked for: the address tells.
	for s := range strings.FieldsSeq(b.docker("network", "inspect", "-f", `{{range .Containers}}{{.IPv6Address}} {{end}}`, network)) {
		if p, err := netip.ParsePrefix(s); err == nil {
			return p.Masked()
		}
	}
	b.Fatalf("network %s has no IPv6 pool", network)
	return netip.Prefix{}
}

// noGatewayBridge wants no link of Docker's docker_gwbridge in the container or on the host.
func (b *bed) noGatewayBridge(c container) {
	b.Helper()
	if links := b.exec(c, "ls", "/sys/class/net"); strings.Contains(links, "eth1") {
		b.Errorf("%s has links %s, want eth0 alone", c.name, links)
	}
	if _, err := b.host.Exec(b.ctx(), "ip", "link", "show", "docker_gwbridge"); err == nil {
		b.Error("the host has a docker_gwbridge")
	}
}
