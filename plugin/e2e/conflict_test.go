package e2e_test

import (
	"net/netip"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// portConflicts asks for host ports that somebody has.
func portConflicts(b *bed) {
	b.network("n", "--subnet", pool)
	p := b.newPlaces()
	p.start("c1", "n", served, "-p", "8080:80")
	daemon := p.serve("host", "8081/tcp")
	onBridge := func(ports ...string) []string {
		return append(append([]string{"run", "-d", "--rm", "--stop-signal", "KILL"}, ports...), lab.Image, "sleep", "1h")
	}
	asks := func(ports ...string) []string {
		return append(append([]string{"run", "-d", "--rm", "--stop-signal", "KILL", "--network", "n"}, ports...), lab.Image, "sleep", "1h")
	}
	b.docker(onBridge("--name", "bridged", "-p", "8090:80")...)
	for _, tt := range []struct {
		name string
		args []string
		port string
	}{
		{"port of another container", asks("-p", "8080:80"), "8080"},
		{"one address of it", asks("-p", "[2001:db8:1::aa]:8080:80"), "8080"},
		{"port of a daemon", asks("-p", "8081:80"), "8081"},
		{"port of a container on Docker's bridge", asks("-p", "8090:80"), "8090"},
		{"our port, on Docker's bridge", onBridge("-p", "8080:80"), "8080"},
		{"range with a port that is taken", asks("-p", "8079-8081:8000-8002"), "808"},
		{"range of two for one, both taken", asks("-p", "8080-8081:80"), "808"},
		{"twice in one command", asks("-p", "8085:80", "-p", "8085:81"), "8085"},
	} {
		b.Logf("%s", tt.name)
		b.refused([]string{tt.port}, tt.args...)
	}
	if t, err := b.host.Tell(b.ctx(), netip.IPv6Unspecified(), "8080/tcp"); err == nil {
		b.Error("a daemon could bind a published port")
		b.ok(t.Close())
	}
	p.want("after the conflicts", `
		outside c1:80 open
		outside host:8080 open
		outside host.4:8080 open
		outside host:8081 open
		outside host:8079 refused
		outside host:8085 refused
	`)

	p.start("d1", "n", served, "-p", "8080-8085:80", "-p", "8080:53/udp")
	p.want("range for one port", "outside d1:80 open\noutside host:8082 open\noutside host.4:8082 open\noutside host:8080/udp open")
	b.ok(daemon.Close())

	b.docker("stop", "c1")
	p.want("stopped", "outside host:8080 refused\noutside host.4:8080 refused")
	p.start("e1", "n", served, "-p", "8080:81", "-p", "8081:80")
	p.want("ports taken over at once", "outside host:8080 open\noutside host:8081 open\noutside e1:81 open")
	b.refused([]string{"8080"}, "start", "c1")
	b.docker("rm", "-f", "e1")
	b.docker("start", "c1")
	p.settle("c1", "n", served...)
	p.want("started again", "outside c1:80 open\noutside host:8080 open\noutside host.4:8080 open")
}
