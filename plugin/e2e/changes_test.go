package e2e_test

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// firstPrefix is what the router advertises at first.
var firstPrefix = netip.MustParsePrefix("2001:db8:f1::/64")

// changes are what a scenario does to the lab, and how it is undone.
type changes struct {
	*bed
	undos []func()
}

// bareHost takes the host's IPv6 addresses and its default route.
func (b *bed) bareHost() *changes {
	b.Helper()
	c := &changes{bed: b}
	c.ip(b.host.Node, "addr del "+b.host.Addr()+"/64 dev eth0 nodad", "route del default via "+lab.RouterLLA+" dev eth0")
	return c
}

// undo undoes the changes, the last one first.
func (c *changes) undo() {
	c.Helper()
	for len(c.undos) > 0 {
		last := len(c.undos) - 1
		do := c.undos[last]
		c.undos = c.undos[:last]
		do()
	}
}

// after has undo do this.
func (c *changes) after(do func()) { c.undos = append(c.undos, do) }

// ip runs ip(8) commands that add or del something.
func (c *changes) ip(n *lab.Node, lines ...string) {
	c.Helper()
	for _, line := range lines {
		c.ok(n.IP(c.ctx(), line))
		object, rest, _ := strings.Cut(line, " ")
		verb, what, _ := strings.Cut(rest, " ")
		opposite := map[string]string{"add": "del", "del": "add"}[verb]
		c.after(func() { c.ok(n.IP(c.ctx(), object+" "+opposite+" "+what)) })
	}
}

func (c *changes) sysctl(n *lab.Node, key, value string) {
	c.Helper()
	c.after(c.setSysctl(n, key, value))
}

// pluginFlags starts the plugin with other flags.
func (c *changes) pluginFlags(flags ...string) {
	c.Helper()
	c.ok(c.host.StopPlugin(c.ctx(), "TERM"))
	c.ok(c.plug(flags...))
	c.after(func() {
		c.ok(c.host.StopPlugin(c.ctx(), "TERM"))
		c.startPlugin()
	})
}

// secondUplink gives the host another link to the router, which it prefers.
func (c *changes) secondUplink() {
	c.Helper()
	c.ok(c.AddRouterLink(c.ctx(), c.host, "eth1"))
	c.after(func() { c.ok(c.host.IP(c.ctx(), "link del eth1")) })
	c.ok(c.Router.IP(c.ctx(), "addr add 2001:db8:6::1/64 dev "+c.host.Name+"-eth1 nodad"))
	c.ok(c.host.IP(c.ctx(), "addr add 2001:db8:6::a/64 dev eth1 nodad", "route add default via "+lab.RouterLLA+" dev eth1 metric 100"))
}

// advertise has the host learn its default route and prefixes from the router,
// which advertises these, and waits until it has an address in the first.
func (c *changes) advertise(prefixes ...lab.Advertised) *lab.Radvd {
	c.Helper()
	c.sysctl(c.neighbor, "net/ipv6/conf/eth0/accept_ra", "0") // It is none of its business.
	for _, p := range prefixes {
		c.routed(p.Prefix)
	}
	r, err := c.Advertise(c.ctx(), prefixes...)
	c.ok(err)
	c.after(func() {
		c.ok(r.Close())
		c.run("ip -6 addr flush dev eth0 scope global dynamic; ip -6 route flush dev eth0 proto ra; ip -6 route flush root 2001:db8::/32 dev eth0")
	})
	c.eventually(func() error {
		if c.run("ip -6 route show default dev eth0 proto ra") == "" {
			return fmt.Errorf("the host has no default route from a router advertisement")
		}
		_, err := c.Router.Ping(c.ctx(), lab.SLAAC(prefixes[0].Prefix, hostNumber), answerTime/100)
		return err
	})
	return r
}

// routed makes a prefix one of the router's on the LAN.
func (c *changes) routed(p netip.Prefix) {
	c.Helper()
	c.ip(c.Router, fmt.Sprintf("addr add %s/64 dev lan nodad", p.Addr().Next()))
}
