package e2e_test

import (
	"fmt"
	"strings"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// connectDisconnect changes the networks of a running container.
func connectDisconnect(b *bed) {
	b.network("n", "--subnet", pool)
	b.network("m", "--subnet", "2001:db8:1:0:b::/80")
	c := b.web("c1", "n")
	b.docker("network", "connect", "m", "c1")
	second := b.inspect("c1", "m")
	b.reach(b.Router, c, c.addr)
	b.reach(b.neighbor, second, second.addr)
	before := b.exec(c, "ip", "-6", "route")
	b.docker("network", "disconnect", "n", "c1")
	defer func() {
		if b.Failed() {
			b.Logf("routes of the container before and after it left n:\n%s\n\n%s", before, b.exec(c, "ip", "-6", "route"))
		}
	}()
	b.silent(b.Router, c.addr)
	b.reach(b.Router, second, second.addr)
	b.reach(b.Outside, second, second.addr)
	b.exec(c, "ping", "-6", "-c1", "-W2", lab.Outside)
	b.docker("network", "connect", "n", "c1")
	again := b.inspect("c1", "n")
	b.reach(b.Router, again, again.addr)
	b.docker("network", "disconnect", "n", "c1")
	b.reach(b.Outside, second, second.addr)
	b.docker("network", "disconnect", "m", "c1")
	b.silent(b.Router, second.addr)
}

// twoNetworks starts a container on two networks at once.
func twoNetworks(b *bed) {
	b.network("n", "--subnet", pool)
	b.network("m", "--subnet", "2001:db8:1:0:b::/80")
	b.docker("create", "--stop-signal", "KILL", "--name", "c1", "--network", "n", lab.Image, "httpd", "-f", "-h", "/etc")
	b.docker("network", "connect", "m", "c1")
	b.docker("start", "c1")
	b.reach(b.neighbor, b.inspect("c1", "n"), b.inspect("c1", "n").addr)
	b.reach(b.neighbor, b.inspect("c1", "m"), b.inspect("c1", "m").addr)
	b.reach(b.Outside, b.inspect("c1", "n"), b.inspect("c1", "n").addr)
	b.reach(b.Outside, b.inspect("c1", "m"), b.inspect("c1", "m").addr)
}

// containerRestart restarts by command and by policy. Each start has a new MAC
// and with it a new address, and the old one goes.
func containerRestart(b *bed) {
	b.network("n", "--subnet", pool)
	c := b.web("c1", "n", "--restart", "always")
	b.docker("restart", "-t", "0", "c1")
	second := b.inspect("c1", "n")
	b.isMACAddress(second, pool)
	b.reach(b.Router, second, second.addr)
	if second.addr != c.addr {
		b.silent(b.Router, c.addr)
	}

	pid := b.docker("inspect", "-f", "{{.State.Pid}}", "c1")
	_, err := b.host.Exec(b.ctx(), "sh", "-c", "kill -KILL "+pid)
	b.ok(err)
	b.eventually(func() error {
		// Docker says "running" before the new process runs.
		if again := b.docker("inspect", "-f", "{{.State.Pid}}", "c1"); again == pid || again == "0" {
			return fmt.Errorf("c1 runs as process %s, before as %s", again, pid)
		}
		return nil
	})
	third := b.inspect("c1", "n")
	b.isMACAddress(third, pool)
	b.reach(b.Router, third, third.addr)
	b.reach(b.Outside, third, third.addr)

	b.docker("stop", "c1")
	b.silent(b.Router, third.addr)
	b.docker("start", "c1")
	fourth := b.inspect("c1", "n")
	b.reach(b.Router, fourth, fourth.addr)
}

// compose uses a compose file, whose IPAM options the second version drops.
func compose(b *bed) {
	const file = "/run/ndp6-lab/compose.yaml"
	const text = `
name: shop
networks:
  web:
    driver: ndp6
    enable_ipv6: true
    driver_opts:
      ndp6.inbound: open
    ipam:
      driver: ndp6
      config:
        - subnet: POOL
services:
  www:
    image: busybox
    command: [httpd, -f, -h, /etc]
    stop_signal: KILL
    networks: [web]
  fixed:
    image: busybox
    command: [httpd, -f, -h, /etc]
    stop_signal: KILL
    mac_address: 02:42:aa:bb:cc:0d
    networks: [web]
`
	b.ok(b.host.WriteFile(file, []byte(strings.ReplaceAll(text, "POOL", pool)), 0o644))
	b.docker("compose", "-f", file, "up", "-d", "--pull", "never")
	www, fixed := b.inspect("shop-www-1", "shop_web"), b.inspect("shop-fixed-1", "shop_web")
	b.isMACAddress(www, pool)
	b.isMACAddress(fixed, pool)
	b.reach(b.Router, www, www.addr)
	b.reach(b.Outside, fixed, fixed.addr)
	b.exec(www, "ping", "-6", "-c1", "-W2", "fixed")
	b.docker("compose", "-f", file, "down", "-t", "0")
}
