package e2e_test

import (
	"net/netip"
)

// Numbers of hosts that have a firewall of their own.
const (
	ufwHost = 40 + iota
	legacyHost
	firewalldHost
	coexistHost
)

// ufw runs beside ufw, which denies what the host routes.
func ufw(b *bed) {
	b.elsewhere(ufwHost, nil, func(b *bed) {
		p := b.besideDocker()
		b.run("sed -i 's/^IPV6=.*/IPV6=yes/' /etc/default/ufw; ufw default deny incoming; ufw default deny routed; ufw allow 22/tcp")
		const closed = "outside host:22 refused\noutside host.4:22 refused\noutside host:23 silent\nhost loopback:8080 served"
		for _, e := range []foreignEvent{
			{"ufw enable", func() { b.run("ufw --force enable") }},
			{"ufw reload", func() { b.run("ufw reload") }},
		} {
			b.endures(p, e)
			p.wantSoon("after "+e.name, besideDocker+closed)
		}
		// What the administrator denies by name stays denied.
		rule := "proto tcp to " + p.addrs["c1"].String() + " port 80"
		b.run("ufw route deny " + rule)
		p.wantSoon("route denied", "outside c1:80 silent\noutside c1:81 silent\nc1 outside:9999 open")
		b.run("ufw --force route delete deny " + rule)
		p.wantSoon("route not denied", besideDocker+closed)
		b.endures(p, foreignEvent{"ufw disable", func() { b.run("ufw disable") }})
		p.wantSoon("without ufw", besideDocker)
	})
}

// firewalld runs beside firewalld, which rejects what no zone lets through.
func firewalld(b *bed) {
	prepare := func(b *bed) {
		b.run("mkdir -p /run/dbus")
		b.ok(b.host.StartDaemon(b.ctx(), "dbus", "dbus-daemon", "--system", "--nofork", "--nopidfile"))
		b.eventually(func() error {
			_, err := b.host.Exec(b.ctx(), "test", "-S", "/run/dbus/system_bus_socket")
			return err
		})
		b.ok(b.host.StartDaemon(b.ctx(), "firewalld", "firewalld", "--nofork", "--nopid"))
		b.eventually(func() error {
			_, err := b.host.Exec(b.ctx(), "firewall-cmd", "--state")
			return err
		})
	}
	b.elsewhere(firewalldHost, prepare, func(b *bed) {
		b.run("firewall-cmd --zone=public --add-interface=eth0")
		p := b.besideDocker()
		for _, e := range []foreignEvent{
			{"firewall-cmd --reload", func() { b.run("firewall-cmd --reload") }},
			{"firewall-cmd --complete-reload", func() { b.run("firewall-cmd --complete-reload") }},
		} {
			b.endures(p, e)
			p.wantSoon("after "+e.name, besideDocker)
		}
		if _, err := b.Outside.Ask(b.ctx(), "tcp", netip.AddrPortFrom(p.addrs["host"], 23), silenceTime); err == nil {
			b.Error("firewalld lets port 23 of the host through")
		}
	})
}
