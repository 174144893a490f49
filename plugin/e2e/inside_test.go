package e2e_test

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// soonest is how long after Docker's answer an address inside may take.
const soonest = 500 * time.Millisecond

// stableNames gives containers a second address that is made of their names.
func stableNames(b *bed) {
	b.network("n", "--subnet", pool, "-o", "ndp6.stable=name", "-o", "ndp6.inbound=published")
	c := b.web("c1", "n", "-p", "80:80")
	var stable netip.Addr
	b.eventually(func() error {
		stable = b.address(plan.Stable)
		if !stable.IsValid() {
			return fmt.Errorf("status shows no stable address: %+v", b.status().Endpoints)
		}
		return nil
	})
	b.reach(b.Outside, c, stable)
	b.reach(b.neighbor, c, c.addr)

	for _, step := range []struct {
		name string
		do   func()
	}{
		{"restart", func() { b.docker("restart", "c1") }},
		{"re-creation", func() {
			b.docker("rm", "-f", "c1")
			b.silent(b.Router, stable)
			b.web("c1", "n", "-p", "80:80")
		}},
		{"restart of the engine", func() {
			b.ok(b.host.StopEngine(b.ctx(), "TERM"))
			b.startEngine(b.flags...)
			b.docker("start", "c1")
		}},
	} {
		step.do()
		b.answersSoon(stable, step.name)
		again := b.inspect("c1", "n")
		if again.addr == c.addr {
			b.Errorf("%s: the first address is the same", step.name)
		}
		b.reach(b.Outside, again, stable)
		c = again
	}

	if s := b.status(); len(s.Problems)+len(s.Warnings)+len(s.Drift) > 0 {
		b.Errorf("status at the end: %+v", s)
	}
	b.docker("rm", "-f", "c1")
	b.silent(b.Router, stable)
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
	twin := inet.WithPrefix(c.addr, netip.MustParsePrefix(prefix))
	b.answersSoon(twin, "renumbering")
	b.reach(b.Outside, c, twin)
	b.reach(b.Outside, c, c.addr)
	inside := b.exec(c, "ip", "-6", "addr", "show", "dev", "eth0")
	for line := range strings.Lines(inside) {
		if has := strings.Contains(line, " deprecated "); strings.Contains(line, c.addr.String()) != has {
			b.Errorf("addresses inside:\n%s", inside)
		}
	}
}

// answersSoon wants an answer at most soonest after now.
func (b *bed) answersSoon(addr netip.Addr, what string) {
	b.Helper()
	start := time.Now()
	for {
		_, err := b.Router.Ping(b.ctx(), addr, 100*time.Millisecond)
		took := time.Since(start).Round(time.Millisecond)
		switch {
		case err == nil && took <= soonest:
			b.Logf("%s: %s answers after %s", what, addr, took)
			return
		case err == nil || took > 10*time.Second:
			b.Errorf("%s: %s answers after %s (%v), want %s", what, addr, took, err, soonest)
			return
		}
	}
}

// address is the first address of that origin that status shows, zero if there
// is none.
func (b *bed) address(origin plan.Origin) netip.Addr {
	b.Helper()
	for _, e := range b.status().Endpoints {
		for _, a := range e.Addresses {
			if a.Origin == origin {
				return a.Addr
			}
		}
	}
	return netip.Addr{}
}
