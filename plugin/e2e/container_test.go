package e2e_test

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// docker runs a command that must succeed.
func (b *bed) docker(args ...string) string {
	b.Helper()
	out, err := b.host.Docker(b.ctx(), args...)
	b.ok(err)
	return strings.TrimSpace(out)
}

// refused runs a docker command that must fail with an error that holds each of the words.
func (b *bed) refused(words []string, args ...string) {
	b.Helper()
	out, err := b.host.Docker(b.ctx(), args...)
	if err == nil {
		b.Errorf("docker %s: succeeded (%s), want an error", strings.Join(args, " "), strings.TrimSpace(out))
		return
	}
	_, said, _ := strings.Cut(err.Error(), "exit status") // What comes before it is the command.
	for _, w := range words {
		if !strings.Contains(said, w) {
			b.Errorf("docker %s: the error does not say %q:\n%v", strings.Join(args, " "), w, err)
		}
	}
}

// network makes a network with both our drivers. Where the scenario is about
// something else, all ports are open.
func (b *bed) network(name string, args ...string) {
	b.Helper()
	all := append([]string{"network", "create", "-d", "ndp6", "--ipam-driver", "ndp6", "--ipv6"}, args...)
	if !b.closed && !strings.Contains(strings.Join(args, " "), "ndp6.inbound=") {
		all = append(all, "-o", "ndp6.inbound=open")
	}
	b.docker(append(all, name)...)
}

// web is `docker run -d` of a web server that answers /hostname with the
// container's short id.
func (b *bed) web(name, network string, args ...string) container {
	b.Helper()
	b.runWeb(name, network, args...)
	return b.inspect(name, network)
}

// runWeb is web without a look at the container.
func (b *bed) runWeb(name, network string, args ...string) {
	b.Helper()
	all := append([]string{"run", "-d", "--stop-signal", "KILL", "--name", name, "--network", network}, args...)
	b.docker(append(all, lab.Image, "httpd", "-f", "-h", "/etc")...)
}

// a container as docker inspect shows it on one network.
type container struct {
	name, id string
	mac      string
	addr     netip.Addr // IPv6
	addr4    netip.Addr // IPv4, zero where it has none
}

func (b *bed) inspect(name, network string) container {
	b.Helper()
	c, err := b.seen(name, network)
	b.ok(err)
	return c
}

// seen is inspect of a container that may not run yet, or not any more.
func (b *bed) seen(name, network string) (container, error) {
	const format = `{{slice .Id 0 12}} {{with index .NetworkSettings.Networks "NET"}}{{.MacAddress}} [{{.GlobalIPv6Address}}] [{{.IPAddress}}]{{end}}`
	out, err := b.host.Docker(b.ctx(), "inspect", "-f", strings.ReplaceAll(format, "NET", network), name)
	if err != nil {
		return container{}, err
	}
	fields := strings.Fields(out)
	if len(fields) != 4 {
		return container{}, fmt.Errorf("inspect %s: %q", name, fields)
	}
	c := container{name: name, id: fields[0], mac: fields[1]}
	c.addr, _ = netip.ParseAddr(strings.Trim(fields[2], "[]"))
	c.addr4, _ = netip.ParseAddr(strings.Trim(fields[3], "[]"))
	return c, nil
}

// reach wants the node to ping an address of the container's and to get its web page.
func (b *bed) reach(from *lab.Node, c container, addr netip.Addr) {
	b.Helper()
	if _, err := from.Ping(b.ctx(), addr, 3*time.Second); err != nil {
		b.Errorf("%s: %v", c.name, err)
		return
	}
	got, err := from.Get(b.ctx(), netip.AddrPortFrom(addr, 80), "/hostname")
	if err != nil || got != c.id {
		b.Errorf("web server of %s at %s answers %s with %q, %v; want %q", c.name, addr, from.Name, got, err, c.id)
	}
}

// silent wants no answer from an address.
func (b *bed) silent(from *lab.Node, addr netip.Addr) {
	b.Helper()
	if took, err := from.Ping(b.ctx(), addr, 1500*time.Millisecond); err == nil {
		b.Errorf("%s answers %s in %s, want silence", addr, from.Name, took)
	}
}

// exec runs a command in a container; it must succeed.
func (b *bed) exec(c container, args ...string) string {
	b.Helper()
	return b.docker(append([]string{"exec", c.name}, args...)...)
}
