package e2e_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// stableNames wants the second address of a container, which its name decides,
// to be always the same.
func stableNames(b *bed) {
	b.network("n", "--subnet", pool, "-o", "ndp6.stable=name")
	run := func() (container, time.Time) {
		b.Helper()
		b.docker("run", "-d", "--stop-signal", "KILL", "--restart", "always", "--name", "c1", "--network", "n", "-p", "8080:80", lab.Image, "httpd", "-f", "-h", "/etc")
		since := time.Now()
		return b.inspect("c1", "n"), since
	}
	c, since := run()
	stable := b.stableOf(c)
	p := b.places(b.host.Addr())
	p.addrs["stable"] = stable
	again := func(event string, c container, since time.Time) {
		b.Helper()
		b.answersSoon(event, stable, since)
		b.holds(c, stable)
		b.reach(b.Outside, c, stable)
		b.reach(b.Outside, c, c.addr)
		if got := b.stableOf(c); got != stable {
			b.Errorf("%s: the stable address of c1 is %s, want %s as before", event, got, stable)
		}
	}
	again("first start", c, since)
	p.want("unpublished", "outside stable:81 silent")
	b.docker("rm", "-f", "c1")
	b.silent(b.Router, stable)
	c, since = run()
	again("created anew", c, since)
	b.docker("restart", "-t", "0", "c1")
	since = time.Now()
	again("restarted", b.inspect("c1", "n"), since)
	b.stableInCompose()

	b.ok(b.host.StopEngine(b.ctx(), "TERM"))
	b.startEngine(b.flags...)
	b.eventually(func() error { return b.running("c1") })
	again("dockerd restarted", b.inspect("c1", "n"), time.Now())

	b.ok(b.Reboot(b.ctx(), b.host))
	b.startPlugin()
	b.startEngine(b.flags...)
	b.eventually(func() error { return b.running("c1") })
	again("host rebooted", b.inspect("c1", "n"), time.Now())
}

// stableInCompose has Compose create a container anew, and removes it.
func (b *bed) stableInCompose() {
	b.Helper()
	const file = "/run/ndp6-lab/compose.yaml"
	const text = `
version: "2.4"
networks:
  web:
    driver: ndp6
    enable_ipv6: true
    driver_opts:
      ndp6.stable: name
    ipam:
      driver: ndp6
services:
  www:
    image: busybox
    container_name: www
    command: [httpd, -f, -h, /etc]
    stop_signal: KILL
    networks: [web]
    ports: ["8081:80"]
`
	b.ok(b.host.WriteFile(file, []byte(text), 0o644))
	compose := b.compose() + " -p shop -f " + file + " "
	b.run(compose + "up -d")
	since := time.Now()
	first := b.inspect("www", "shop_web")
	stable := b.stableOf(first)
	b.answersSoon("compose up", stable, since)
	b.holds(first, stable)
	b.run(compose + "up -d --force-recreate")
	since = time.Now()
	second := b.inspect("www", "shop_web")
	b.answersSoon("compose up --force-recreate", stable, since)
	b.reach(b.Outside, second, stable)
	if got := b.stableOf(second); got != stable || second.id == first.id {
		b.Errorf("created anew, %s has the stable address %s, want that of %s, %s", second.id, got, first.id, stable)
	}
	b.run(compose + "down -t 0")
}

// stableOf is the stable address of a container, as status shows it.
func (b *bed) stableOf(c container) (stable netip.Addr) {
	b.Helper()
	b.within(2*time.Second, func() error {
		for _, e := range b.status().Endpoints {
			for _, a := range e.Addresses {
				if slices.Contains(e.Addrs, c.addr) && a.Origin == plan.Stable {
					stable = a.Addr
					return nil
				}
			}
		}
		return fmt.Errorf("status shows no stable address of %s, %s", c.name, c.addr)
	})
	return stable
}

// holds wants a container to have its stable address, beside the first.
func (b *bed) holds(c container, stable netip.Addr) {
	b.Helper()
	if inside := b.exec(c, "ip", "-6", "addr", "show", "dev", "eth0"); !strings.Contains(inside, stable.String()+"/") || stable == c.addr {
		b.Errorf("%s has not the stable address %s beside %s:\n%s", c.name, stable, c.addr, inside)
	}
}

// answersSoon tells how long after since an address answers, and wants it to
// within some seconds, however busy the machine is.
func (b *bed) answersSoon(event string, addr netip.Addr, since time.Time) {
	b.Helper()
	for {
		_, err := b.Router.Ping(b.ctx(), addr, 20*time.Millisecond)
		took := time.Since(since).Round(time.Millisecond)
		switch {
		case err == nil:
			b.Logf("%s: %s answers after %s", event, addr, took)
			return
		case took > 10*time.Second:
			b.Errorf("%s: %s does not answer after %s: %v", event, addr, took, err)
			return
		}
	}
}
