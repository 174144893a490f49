package e2e_test

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// renumbering has the provider replace its prefix under load. A container that
// is mapped to it and one that follows it can be reached there at once, and
// where they were for as long as the old prefix lasts.
func renumbering(b *bed) {
	const lasts = 10 * time.Second // after the last advertisement of the old one
	second := netip.MustParsePrefix("2001:db8:f2::/64")
	old := lab.Advertised{Prefix: firstPrefix, Valid: lasts, Preferred: lasts}
	current := lab.Advertised{Prefix: second, Valid: time.Hour, Preferred: time.Hour}
	c := b.bareHost()
	defer c.undo()
	radvd := c.advertise(old)
	c.routed(second)

	p := b.places(lab.SLAAC(firstPrefix, hostNumber).String())
	p.serve("outside", "9999/tcp")
	b.network("m", "--ipam-opt", "ndp6.source=ula", "-o", "ndp6.mode=nptv6")
	b.network("f", "-o", "ndp6.renumber=follow")
	all := map[string]container{"mapped": p.startEcho("mapped", "m"), "follower": p.startEcho("follower", "f")}
	starts := b.starts(all)
	p.behind(firstPrefix, all)
	const access = `
		outside mapped:80 open
		outside mapped:81 silent
		mapped outside:9999 open
		outside follower:80 open
		outside follower:81 silent
		follower outside:9999 open
	`
	p.want("before", access)

	was, will := map[string]*lab.Requests{}, map[string]*lab.Requests{}
	flows := map[string]net.Conn{}
	for name, c := range all {
		was[name] = b.request(inet.WithPrefix(c.addr, firstPrefix))
		will[name] = b.request(inet.WithPrefix(c.addr, second))
		flows[name] = b.echoed(b.Outside, netip.AddrPortFrom(inet.WithPrefix(c.addr, firstPrefix), lab.EchoPort))
	}
	heard := b.heard(second)
	old.Preferred = 0
	b.ok(radvd.Advertise(old, current))
	for name := range all {
		b.eventually(func() error {
			if will[name].First().IsZero() {
				return fmt.Errorf("%s does not answer at %s", name, inet.WithPrefix(all[name].addr, second))
			}
			return nil
		})
	}
	p.behind(second, all)
	p.wantSoon("with both prefixes", access)
	for name, flow := range flows {
		if err := echo(flow); err != nil {
			b.Errorf("connection to %s at the old prefix, while it lasts: %v", name, err)
		}
		met := was[name].Stop()
		b.Logf("%s, at the old prefix: %s", name, met)
		if met.Failed > 0 || met.Answered == 0 {
			b.Errorf("%s at the old prefix, while it lasts: %s: %v", name, met, met.Err)
		}
	}

	b.ok(radvd.Advertise(current))
	b.eventually(func() error {
		if addrs := b.run("ip -6 addr show dev eth0"); strings.Contains(addrs, lab.SLAAC(firstPrefix, hostNumber).String()) {
			return fmt.Errorf("the host has an address of the old prefix:\n%s", addrs)
		}
		return nil
	})
	b.resets("the mapped container's client", flows["mapped"])
	p.want("with the second prefix alone", access)
	for name := range all {
		met := will[name].Stop()
		took := met.First.Sub(heard())
		b.Logf("%s, at the new prefix: first answer %s after the router advertisement, %s", name, took.Round(time.Millisecond), met)
		if took > 10*time.Second || met.Failed > 0 || met.Answered == 0 {
			b.Errorf("%s at the new prefix: first answer after %s, %s: %v", name, took, met, met.Err)
		}
	}
	if again := b.starts(all); again != starts {
		b.Errorf("the containers started at %s, before at %s", again, starts)
	}
}

// followPrefix renumbers the uplink under a running container.
func followPrefix(b *bed) {
	b.refused([]string{"ndp6.renumber=follow", pool, "--subnet"},
		"network", "create", "-d", "ndp6", "--ipam-driver", "ndp6", "--ipv6", "--subnet", pool, "-o", "ndp6.renumber=follow", "n")
	b.network("n", "-o", "ndp6.renumber=follow", "-o", "ndp6.inbound=published")
	c := b.web("c1", "n", "-p", "80:80")
	b.reach(b.Outside, c, c.addr)
	const prefix = "2001:db8:9::/64"
	old := lab.HostAddr(hostNumber).String() + "/64 dev eth0 nodad"
	b.ok(b.Router.IP(b.ctx(), "addr add 2001:db8:9::1/64 dev lan nodad"))
	b.ok(b.host.IP(b.ctx(), "addr add 2001:db8:9::a/64 dev eth0 nodad", "addr change "+old+" preferred_lft 0"))
	defer func() {
		b.ok(b.host.IP(b.ctx(), "addr change "+old+" preferred_lft forever", "addr del 2001:db8:9::a/64 dev eth0"))
		b.ok(b.Router.IP(b.ctx(), "addr del 2001:db8:9::1/64 dev lan"))
	}()
	since := time.Now()
	twin := inet.WithPrefix(c.addr, netip.MustParsePrefix(prefix))
	b.answersSoon("renumbering", twin, since)
	b.reach(b.Outside, c, twin)
	b.reach(b.Outside, c, c.addr)
	inside := b.exec(c, "ip", "-6", "addr", "show", "dev", "eth0")
	for line := range strings.Lines(inside) {
		if has := strings.Contains(line, " deprecated "); strings.Contains(line, c.addr.String()) != has {
			b.Errorf("addresses inside:\n%s", inside)
		}
	}
}

// startEcho starts a container with the served ports and an echo server, which
// publishes that and port 80.
func (p *places) startEcho(name, network string) container {
	p.Helper()
	c := p.start(name, network, served, "-p", "80", "-p", fmt.Sprint(lab.EchoPort))
	p.docker("exec", "-d", name, "nc", "-ll", "-p", fmt.Sprint(lab.EchoPort), "-e", "cat")
	return c
}

// request asks a container's port 80 from outside.
func (b *bed) request(addr netip.Addr) *lab.Requests {
	b.Helper()
	r := b.Outside.Request(b.ctx(), netip.AddrPortFrom(addr, 80), 100, time.Second)
	b.closers = append(b.closers, closer(func() error {
		r.Stop()
		return nil
	}))
	return r
}

// behind has the tables mean the containers' addresses behind this prefix.
func (p *places) behind(prefix netip.Prefix, all map[string]container) {
	for name, c := range all {
		p.addrs[name] = inet.WithPrefix(c.addr, prefix)
	}
}

// heard returns what tells when the host got the first advertisement of a prefix.
func (b *bed) heard(prefix netip.Prefix) func() time.Time {
	b.Helper()
	var first atomic.Pointer[time.Time]
	is := lab.IsAdvertisementOf(prefix)
	tap, err := b.host.Tap("eth0", func(frame []byte) bool {
		if now := time.Now(); is(frame) {
			first.CompareAndSwap(nil, &now)
		}
		return false
	})
	b.ok(err)
	b.closers = append(b.closers, tap)
	return func() time.Time {
		b.Helper()
		if first.Load() == nil {
			b.Fatalf("no advertisement of %s was seen", prefix)
		}
		return *first.Load()
	}
}

// starts tells when the containers started, and how often.
func (b *bed) starts(all map[string]container) string {
	b.Helper()
	args := []string{"inspect", "-f", "{{.Name}} {{.State.StartedAt}} {{.RestartCount}}"}
	for _, name := range []string{"follower", "mapped"} {
		args = append(args, all[name].id)
	}
	return b.docker(args...)
}

// resets wants the peer of a connection to end it when it is used.
func (b *bed) resets(who string, conn net.Conn) {
	b.Helper()
	b.within(5*time.Second, func() error {
		err := echo(conn)
		if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
			return nil
		}
		return fmt.Errorf("%s, whose prefix is gone, meets no reset: %w", who, cmp.Or(err, errors.New("it is answered")))
	})
}

// echo sends a line to and fro.
func echo(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("hello\n")); err != nil {
		return err
	}
	line := make([]byte, 64)
	n, err := conn.Read(line)
	if err == nil && string(line[:n]) != "hello\n" {
		err = fmt.Errorf("%q came back", line[:n])
	}
	return err
}
