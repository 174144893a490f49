package e2e_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// carried begins the packet mark that the last rule of FORWARD lets pass.
const carried = "0x10000000/0x10000000"

// foreignEvent is what another program does to the host's packet rules.
type foreignEvent struct {
	name string
	run  func()
}

// coexist has everybody else change the host's rules, under knocks at a
// published and an unpublished port. The published one answers again, the
// other never.
func coexist(b *bed) {
	b.elsewhere(coexistHost, nil, (*bed).survives)
}

func (b *bed) survives() {
	b.dropForward()
	p := b.besideDocker()
	for _, e := range []foreignEvent{
		{"ip6tables -F FORWARD", func() { b.run("ip6tables -F FORWARD") }},
		{"iptables -F FORWARD", func() { b.run("iptables -F FORWARD") }},
		{"dockerd restarted", func() {
			b.ok(b.host.StopEngine(b.ctx(), "TERM"))
			b.startEngine(b.flags...)
		}},
		{"restored without ours", func() {
			b.run("ip6tables-save | grep -v ndp6 | grep -v " + carried + " | ip6tables-restore")
			b.run("iptables-save | grep -v ndp6 | grep -v " + carried + " | iptables-restore")
		}},
		{"rules appended", func() {
			b.run("ip6tables -A FORWARD -s 2001:db8:ffff::/48 -j DROP; iptables -A FORWARD -s 198.51.100.0/24 -j DROP")
		}},
		{"our rules deleted", func() {
			b.run("ip6tables -D FORWARD $(ip6tables -S FORWARD | grep -c '^-A'); iptables -D FORWARD $(iptables -S FORWARD | grep -c '^-A')")
		}},
		{"appended rules deleted", func() {
			b.run("ip6tables -D FORWARD -s 2001:db8:ffff::/48 -j DROP; iptables -D FORWARD -s 198.51.100.0/24 -j DROP")
		}},
		{"policy accept and drop", func() { b.run("ip6tables -P FORWARD ACCEPT; ip6tables -P FORWARD DROP") }},
		{"our tables deleted", func() {
			// Where the kernel knows owners of tables, it refuses.
			b.run("nft delete table inet ndp6; nft delete table bridge ndp6; nft flush table inet ndp6; true")
		}},
		{"bridge-nf-call off and on", b.flipBridgeCalls},
		{"nft flush ruleset", func() { b.run("nft flush ruleset") }},
		{"dockerd restarted after the flush", func() {
			b.ok(b.host.StopEngine(b.ctx(), "TERM"))
			b.startEngine(b.flags...)
			b.run("ip6tables -P FORWARD DROP; iptables -P FORWARD DROP")
		}},
	} {
		b.endures(p, e)
	}
	p.wantSoon("in the end", besideDocker)
}

// dropForward has the host drop what nobody lets through, as Docker does when
// it is the first to switch forwarding on.
func (b *bed) dropForward() {
	b.Helper()
	for _, tool := range []string{"ip6tables", "iptables"} {
		rules := strings.Fields(b.run(tool + " -S FORWARD"))
		b.Logf("%s -S FORWARD begins: %s", tool, strings.Join(rules[:min(3, len(rules))], " "))
		b.run(tool + " -P FORWARD DROP")
	}
}

// besideDocker is what must hold on a host that drops what it forwards: the
// container "c1" of ndp6, and "d1" of Docker's own bridge.
const besideDocker = `
	outside c1:80 open
	outside c1:81 silent
	outside host:8080 open
	outside host.4:8080 open
	neighbor c1:80 open
	c1 outside:9999 open
	c1 outside.4:9999 host.4
	c1 mate:81 open
	c1 mate.4:81 open
	outside host.4:9080 served
	d1 outside.4:9999 host.4
	d1 c1.4:81 silent
`

// besideDocker starts those containers.
func (b *bed) besideDocker() *places {
	b.Helper()
	b.network("n", "--subnet", pool)
	b.docker("network", "create", "--subnet", "10.78.0.0/24", "bridged")
	p := b.newPlaces()
	p.serve("outside", "9999/tcp")
	p.start("c1", "n", served, "-p", "8080:80")
	p.start("mate", "n", served)
	p.start("d1", "bridged", served, "-p", "9080:80")
	p.want("at first", besideDocker)
	return p
}

// endures has the event happen under knocks, and wants published ports to
// answer and our rules to be in their place again.
func (b *bed) endures(p *places, e foreignEvent) {
	b.Helper()
	web, hidden, host := netip.AddrPortFrom(p.addrs["c1"], 80), netip.AddrPortFrom(p.addrs["c1"], 81), netip.AddrPortFrom(p.addrs["host"], 8080)
	hostV4 := netip.AddrPortFrom(p.addrs["host.4"], 8080)
	k, err := b.Outside.Knock(b.ctx(), web, hidden, host)
	b.ok(err)
	k4, err := b.Outside.Knock(b.ctx(), hostV4)
	b.ok(err)
	answered := func(more int) {
		b.Helper()
		from := map[netip.AddrPort]int{web: k.Seen(web).Open, host: k.Seen(host).Open, hostV4: k4.Seen(hostV4).Open}
		b.eventually(func() error {
			for _, port := range []netip.AddrPort{web, host, hostV4} {
				on := k
				if port == hostV4 {
					on = k4
				}
				if seen := on.Seen(port); seen.Open < from[port]+more {
					return fmt.Errorf("%s: published %s does not answer: %+v", e.name, port, seen)
				}
			}
			return nil
		})
	}
	answered(50)
	start := time.Now()
	e.run()
	took := time.Since(start)
	answered(100)
	seen, err := k.Stop()
	b.ok(err)
	seen4, err := k4.Stop()
	b.ok(err)
	b.Logf("%s, in %s: without an answer for at most %s at the container, %s and %s (IPv4) at the host; unpublished: %+v", e.name,
		took.Round(time.Millisecond), seen[web].Gap.Round(time.Millisecond), seen[host].Gap.Round(time.Millisecond),
		seen4[hostV4].Gap.Round(time.Millisecond), seen[hidden])
	if s := seen[hidden]; s.Open+s.Refused > 0 || s.Sent == 0 {
		b.Errorf("%s: the unpublished port answered: %+v", e.name, s)
	}
	for _, tool := range []string{"ip6tables", "iptables"} {
		b.eventually(func() error { return b.acceptIsLast(tool) })
	}
}

// acceptIsLast wants exactly one rule of ours in a FORWARD chain that exists, behind
// all others, and one for established flows behind Docker's jump to the
// administrator's chain where that is.
func (b *bed) acceptIsLast(tool string) error {
	family := strings.TrimSuffix(strings.Replace(tool, "tables", "", 1), "-legacy")
	if _, err := b.host.Exec(b.ctx(), "nft", "list", "chain", family, "filter", "FORWARD"); err != nil && !strings.HasSuffix(tool, "legacy") {
		return nil // Listing it with iptables would make it.
	}
	out, err := b.host.Exec(b.ctx(), tool, "-S", "FORWARD")
	if err != nil {
		return err
	}
	rules := strings.Split(strings.TrimSpace(out), "\n")
	early, want := slices.Index(rules, "-A FORWARD -j DOCKER-USER")+1, 1
	if early > 0 && !strings.HasSuffix(tool, "legacy") {
		want = 2
		if early == len(rules) || !strings.Contains(rules[early], carried+" -m conntrack --ctstate RELATED,ESTABLISHED ") {
			return errors.New(tool + " FORWARD, want our rule for established flows behind DOCKER-USER:\n" + out)
		}
	}
	if strings.Count(out, carried) != want || !strings.Contains(rules[len(rules)-1], carried) {
		return errors.New(tool + " FORWARD, want our rule once and last:\n" + out)
	}
	return nil
}

// flipBridgeCalls turns the passing of bridged frames through iptables over, and back.
func (b *bed) flipBridgeCalls() {
	b.Helper()
	for _, family := range []string{"ip6", "ip"} {
		key := "net/bridge/bridge-nf-call-" + family + "tables"
		before, err := b.host.Sysctl(key)
		if err != nil {
			b.Logf("no %s on this kernel", key)
			return
		}
		b.ok(b.host.SetSysctl(key, map[string]string{"0": "1", "1": "0"}[before]))
		if _, err := b.host.Docker(b.ctx(), "exec", "c1", "ping", "-6", "-c1", "-W2", "mate"); err != nil {
			b.Errorf("%s turned over from %s: %v", key, before, err)
		}
		b.ok(b.host.SetSysctl(key, before))
	}
}
