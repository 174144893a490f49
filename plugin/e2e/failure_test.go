package e2e_test

import (
	"fmt"
	"strings"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// pluginKilled ends the plugin without warning, between calls.
func pluginKilled(b *bed) {
	b.network("n", "--subnet", pool)
	c := b.web("c1", "n")
	b.web("d1", "n")
	for _, signal := range []string{"KILL", "TERM"} {
		b.ok(b.host.StopPlugin(b.ctx(), signal))
		b.reach(b.Router, c, c.addr)
		b.exec(c, "ping", "-6", "-c1", "-W2", lab.Outside)
		b.startPlugin()
		b.reach(b.Outside, c, c.addr)
		b.docker("restart", "-t", "0", "d1")
		d := b.inspect("d1", "n")
		b.reach(b.Router, d, d.addr)
		e := b.web("e1", "n")
		b.reach(b.Router, e, e.addr)
		b.exec(e, "ping", "-6", "-c1", "-W2", "c1")
		b.docker("rm", "-f", "e1")
		b.silent(b.Router, e.addr)
	}
}

// running tells whether a container runs.
func (b *bed) running(name string) error {
	if got := b.docker("inspect", "-f", "{{.State.Running}} {{.State.Restarting}}", name); got != "true false" {
		return fmt.Errorf("%s running and restarting: %s", name, got)
	}
	return nil
}

// uplinkMoves changes the link of the default route under a network whose uplink is auto.
func uplinkMoves(b *bed) {
	b.network("n", "--subnet", pool, "-o", "ndp6.uplink=auto")
	c := b.web("c1", "n")
	b.ok(b.AddUplink(b.ctx(), b.host, "eth1", secondUplink))
	move := func(from, to string) {
		b.Helper()
		b.ok(b.host.IP(b.ctx(), "route replace default via "+lab.RouterLLA+" dev "+to))
		b.eventually(func() error {
			proxy, err := b.host.Exec(b.ctx(), "ip", "-6", "neigh", "show", "proxy")
			if err == nil && (!strings.Contains(proxy, c.addr.String()+" dev "+to) || strings.Contains(proxy, "dev "+from)) {
				err = fmt.Errorf("proxy entries, want %s on %s alone:\n%s", c.addr, to, proxy)
			}
			return err
		})
		b.reach(b.Outside, c, c.addr)
		d := b.web("d1", "n")
		b.reach(b.Router, d, d.addr)
		b.docker("rm", "-f", "d1")
	}
	move("eth0", "eth1")
	move("eth1", "eth0")
	b.ok(b.host.IP(b.ctx(), "link del eth1"))
	b.reach(b.Router, c, c.addr)
}

// forwardDrop wants containers to be reachable where everything else is not
// forwarded, as Docker 28 sets it on a host that did not forward before.
func forwardDrop(b *bed) {
	for tool, family := range map[string]string{"iptables": "ip", "ip6tables": "ip6"} {
		_, err := b.host.Exec(b.ctx(), "nft", "list", "table", family, "filter")
		restore := []string{"nft", "delete", "table", family, "filter"} // The tool makes the table.
		if err == nil {
			rules, err := b.host.Exec(b.ctx(), tool, "-S", "FORWARD")
			b.ok(err)
			restore = []string{tool, "-P", "FORWARD", strings.Fields(rules)[2]} // -P FORWARD POLICY
		}
		_, err = b.host.Exec(b.ctx(), tool, "-P", "FORWARD", "DROP")
		b.ok(err)
		defer func() {
			_, err := b.host.Exec(b.ctx(), restore...)
			b.ok(err)
		}()
	}
	b.network("n", "--subnet", pool)
	c, d := b.web("c1", "n"), b.web("d1", "n")
	b.reach(b.Outside, c, c.addr)
	b.exec(c, "ping", "-6", "-c1", "-W2", d.addr.String())
	b.exec(c, "ping", "-4", "-c1", "-W2", d.addr4.String())
	b.exec(c, "ping", "-6", "-c1", "-W2", lab.Outside)
	b.exec(c, "ping", "-4", "-c1", "-W2", lab.OutsideIPv4)
}
