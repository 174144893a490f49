package e2e_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// kind is a way in which providers give a host its IPv6. One network, made
// without any option, must be right on each.
type kind struct {
	name         string
	router, host []string       // ip(8) commands that make a host without IPv6 addresses so
	prepare      func(*changes) // what comes before those of the host, nil for nothing
	addr         string         // the host's own
	want         choice
	access       string // besides what holds on each kind
	then         func(*bed)
	versions     []string
}

// choice is what ndp6 makes of a kind.
type choice struct {
	mode    plan.Mode
	within  string // holds the pool
	bits    int    // the pool's length, 0 for any
	uplink  string // empty for any: ndp6 stays where the last one was
	proxied bool   // the containers' addresses are, on the uplink
}

// What holds on each kind, and where IPv6 is routed, translated, or not there.
const (
	everywhere = `
		c1 outside.4:9999 host.4
		outside host.4:80 open
		outside host.4:81 refused
		mate c1:80 open
		mate c1:81 open
		host c1:80 served
		host loopback:80 served
		host loopback.4:80 served
	`
	routed = `
		c1 outside:9999 open
		outside c1:80 open
		outside host:80 open
		outside c1:22 silent
		outside c1:81 silent
		outside c1:8000 silent
		outside c1:53/udp silent
		outside host:81 refused
		host outside:9999 open
	`
	translated = `
		c1 outside:9999 host
		outside host:80 open
		outside host:22 refused
		outside host:81 refused
		outside host:53/udp refused
		outside c1:80 silent
		outside c1:81 silent
		neighbor c1:80 closed
		host outside:9999 open
	`
	without = `
		c1 outside:9999 closed
		outside c1:80 closed
	`
)

// viaHost ends a route of the router's that leads to the host.
var viaHost = " via " + lab.LinkLocal(hostNumber).String() + " dev lan"

// toULA lets the router send to the host what no pool of its own holds.
var toULA = "route add fd00::/8" + viaHost

// byRouter has the host send to the router what is for others.
const byRouter = "route add default via " + lab.RouterLLA + " dev eth0"

// Shows RFC 8273 4 (routed).
func kinds() []kind {
	onLink := choice{mode: "routed", within: lab.LAN, bits: 80, uplink: "eth0", proxied: true}
	advertised := onLink
	advertised.within = firstPrefix.String()
	local := choice{mode: "nat", within: "fd00::/8", bits: 80, uplink: "eth0"}
	return []kind{
		{
			name: "on-link /64, static", host: []string{"addr add 2001:db8:1::a/64 dev eth0 nodad", byRouter},
			addr: "2001:db8:1::a", want: onLink, access: routed,
		},
		{
			name: "on-link /64, by radvd", prepare: func(c *changes) {
				c.advertise(lab.Advertised{Prefix: firstPrefix, Valid: time.Hour, Preferred: time.Hour})
			},
			addr: lab.SLAAC(firstPrefix, hostNumber).String(), want: advertised, access: routed, then: (*bed).hearsRouter,
		},
		{
			// As systemd-networkd leaves it.
			name: "on-link /64, advertised to a daemon", router: []string{"addr add 2001:db8:f1::1/64 dev lan nodad"},
			host: []string{
				"addr add 2001:db8:f1::a/64 dev eth0 valid_lft 3600 preferred_lft 1800 noprefixroute nodad",
				"route add 2001:db8:f1::/64 dev eth0 proto ra metric 1024 expires 3600",
				byRouter + " proto ra metric 1024 expires 1800",
			},
			prepare: func(c *changes) { c.sysctl(c.host.Node, "net/ipv6/conf/eth0/accept_ra", "0") },
			addr:    "2001:db8:f1::a", want: advertised, access: routed, versions: newest,
		},
		{
			name:   "routed /64 behind a link-local next hop",
			router: []string{"route add 2001:db8:f::/64" + viaHost},
			host:   []string{"addr add 2001:db8:f::1/128 dev eth0 nodad", "route add unreachable 2001:db8:f::/64", byRouter},
			addr:   "2001:db8:f::1", want: choice{mode: "routed", within: "2001:db8:f::/64", bits: 80, uplink: "eth0"}, access: routed, versions: newest,
		},
		{
			name:    "routed /56 that is configured",
			router:  []string{"route add 2001:db8:b00::/56" + viaHost},
			host:    []string{"addr add 2001:db8:1::a/64 dev eth0 nodad", byRouter},
			prepare: func(c *changes) { c.pluginFlags("--pools=2001:db8:b00::/56,fd00:b::/48") },
			addr:    "2001:db8:1::a", want: choice{mode: "routed", within: "2001:db8:b00::/56", bits: 80, uplink: "eth0"}, access: routed, versions: newest,
		},
		{
			name:   "allotment of 16 addresses",
			router: []string{"addr add 2001:db8:d::1/124 dev lan nodad"},
			host:   []string{"addr add 2001:db8:d::2/124 dev eth0 nodad", byRouter},
			addr:   "2001:db8:d::2", want: choice{mode: "routed", within: "2001:db8:d::/124", uplink: "eth0", proxied: true}, access: routed, versions: newest,
		},
		{
			name:   "one address",
			router: []string{"route add 2001:db8:e::a/128 dev lan", toULA},
			host:   []string{"addr add 2001:db8:e::a/128 dev eth0 nodad", byRouter},
			addr:   "2001:db8:e::a", want: local, access: translated, versions: newest,
		},
		{
			name: "no IPv6", want: choice{mode: "nat", within: "fd00::/8", bits: 80}, access: without, versions: newest,
		},
		{
			name:   "unique local addresses alone",
			router: []string{"addr add fd00:5::1/64 dev lan nodad", toULA},
			host:   []string{"addr add fd00:5::a/64 dev eth0 nodad", byRouter},
			addr:   "fd00:5::a", want: local, access: translated, versions: newest,
		},
		{
			name: "two uplinks", prepare: (*changes).secondUplink,
			host: []string{"addr add 2001:db8:1::a/64 dev eth0 nodad", byRouter},
			addr: "2001:db8:6::a", want: choice{mode: "routed", within: "2001:db8:6::/64", bits: 80, uplink: "eth1", proxied: true}, access: routed, versions: newest,
		},
	}
}

var newest = []string{"28.5"}

// kindScenarios are those of each kind.
func kindScenarios() []scenario {
	var all []scenario
	for _, k := range kinds() {
		all = append(all, scenario{name: k.name, run: k.try, versions: k.versions})
	}
	return all
}

// try makes the host so, and does there what the README begins with.
func (k kind) try(b *bed) {
	c := b.bareHost()
	defer c.undo()
	c.ip(b.Router, k.router...)
	if k.prepare != nil {
		k.prepare(c)
	}
	c.ip(b.host.Node, k.host...)

	before := b.own()
	b.docker("network", "create", "-d", "ndp6", "--ipam-driver", "ndp6", "--ipv6", "web")
	p := b.places(k.addr)
	p.serve("outside", "9999/tcp")
	first, mate := p.start("c1", "web", served, "-p", "80:80"), p.start("mate", "web", nil)
	b.chose(k.want, k.proxied(first, mate)...)
	p.want("with a container", everywhere+k.access)
	b.keeps("with a container", before)
	if k.then != nil {
		k.then(b)
	}
	b.docker("rm", "-f", "c1", "mate")
	b.docker("network", "rm", "web")
	b.keeps("after the network", before)
	if k.addr != "" {
		p.want("after the network", "host outside:9999 open")
	}
}

// proxied is the containers' addresses where the uplink answers for them.
func (k kind) proxied(containers ...container) (addrs []netip.Addr) {
	for _, c := range containers {
		if k.want.proxied {
			addrs = append(addrs, c.addr)
		}
	}
	return addrs
}

// chose wants ndp6 to say that it chose so for the only network, and to be
// satisfied with the host, whose uplinks have proxy entries for these addresses.
func (b *bed) chose(want choice, proxied ...netip.Addr) {
	b.Helper()
	s := b.status()
	if len(s.Networks) != 1 || len(s.Networks[0].Pools) == 0 || len(s.Drift)+len(s.Problems) > 0 {
		b.Fatalf("status: %+v, want one network with its pools and nothing to find", s)
	}
	got, within := s.Networks[0], netip.MustParsePrefix(want.within)
	pool := got.Pools[0].Prefix
	b.Logf("status: mode %s, uplink %q, pool %s: %s", got.Mode, got.Uplink, pool, got.Reason)
	isRight := pool.Bits() == want.bits || want.bits == 0 && pool.Bits() >= within.Bits()
	if got.Mode != want.mode || want.uplink != "" && got.Uplink != want.uplink || !isRight || !within.Contains(pool.Addr()) {
		b.Errorf("status says that the mode is %q, the uplink %q and the pool %s; want %+v", got.Mode, got.Uplink, pool, want)
	}
	if got.Reason == "" {
		b.Error("status gives no reason for the choice")
	}
	var wantEntries, entries []string
	for _, a := range proxied {
		wantEntries = append(wantEntries, a.String()+" "+want.uplink)
	}
	for line := range strings.Lines(b.run("ip -6 neigh show proxy")) {
		if f := strings.Fields(line); strings.HasPrefix(f[2], "eth") { // ADDR dev LINK
			entries = append(entries, f[0]+" "+f[2])
		}
	}
	slices.Sort(wantEntries)
	slices.Sort(entries)
	if diff := cmp.Diff(wantEntries, entries); diff != "" {
		b.Errorf("proxy entries of the uplinks (-want +got):\n%s", diff)
	}
}

// own is the addresses and routes of the host that are not ours, without the
// rest of their lifetimes.
func (b *bed) own() []string {
	b.Helper()
	ours := regexp.MustCompile(`\bndh?-|proto 166`)
	left := regexp.MustCompile(`(_lft|expires) [0-9]+sec`)
	var all []string
	for line := range strings.Lines(b.run("ip -o addr show; ip -6 route show; ip -4 route show")) {
		if !ours.MatchString(line) {
			all = append(all, left.ReplaceAllString(line, "$1"))
		}
	}
	return all
}

// keeps wants the host to have its own addresses and routes, as before.
func (b *bed) keeps(when string, before []string) {
	b.Helper()
	b.eventually(func() error {
		if diff := cmp.Diff(before, b.own()); diff != "" {
			return fmt.Errorf("%s: addresses and routes of the host (-before +after):\n%s", when, diff)
		}
		return nil
	})
}

// hearsRouter wants the default route to be made younger by an advertisement.
func (b *bed) hearsRouter() {
	b.Helper()
	least := time.Hour
	b.eventually(func() error {
		f := strings.Fields(b.run("ip -6 route show default dev eth0 proto ra"))
		i := slices.Index(f, "expires")
		if i < 0 || i+1 == len(f) {
			return fmt.Errorf("the host has no default route from a router advertisement: %v", f)
		}
		left, err := time.ParseDuration(strings.TrimSuffix(f[i+1], "ec"))
		if err != nil || left > least {
			return err
		}
		least = left
		return fmt.Errorf("the default route from a router advertisement grows old: %s", left)
	})
}
