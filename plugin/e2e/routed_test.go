package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// Limits of how long the router may take to follow, and how often that is tried.
const (
	routedLimit = 100 * time.Millisecond
	deadLimit   = 10 * time.Second // with a hold time of 6 s, after which BIRD takes 3 s to close
	bfdLimit    = 1500 * time.Millisecond
	routedTries = 5
)

// The first lines of blocks of docs/routed.md, with which a router knows in no
// time that the host is dead.
const (
	birdBFD = "protocol bfd {"
	frrBFD  = "router bgp 65010"
)

// routedPrefix is what the host announces in the end.
const routedPrefix = "2001:db8:1000:a::/80"

// protoBIRD is the protocol of BIRD's routes in the kernel.
const protoBIRD = 12

// announcer is a host whose routing daemon tells the router what is announced.
type announcer struct {
	*bed

	router, daemon *lab.Service
}

// TestRouted has BIRD and FRR of a host, with the files of the documents, tell a
// router what is announced: T9 and T10 of the design. It measures, and so has the
// machine for itself.
func TestRouted(t *testing.T) {
	binary := requirements(t)
	for _, release := range lab.Releases() {
		if !wanted(release.Docker) || release.Docker != "28.5" && !full {
			continue // What is announced does not depend on Docker.
		}
		for _, daemon := range []struct {
			name, file string
			start      func(*lab.Node) func(string) (*lab.Service, error)
		}{
			{"BIRD", "docs/routing/bird.conf", func(n *lab.Node) func(string) (*lab.Service, error) {
				return func(config string) (*lab.Service, error) { return n.StartBIRD(t.Context(), config) }
			}},
			{"FRR", "docs/routing/frr.conf", func(n *lab.Node) func(string) (*lab.Service, error) {
				return func(config string) (*lab.Service, error) { return n.StartFRR(t.Context(), config) }
			}},
		} {
			t.Run(release.Docker+"/"+daemon.name, func(t *testing.T) {
				b := newBed(t, release, binary)
				r := &announcer{bed: b}
				var err error
				r.router, err = b.Router.StartBIRD(b.ctx(), routerConfig(hostNumber))
				b.ok(err)
				defer func() { b.ok(r.router.Close()) }()
				r.daemon, err = daemon.start(b.host.Node)(readDocument(t, daemon.file))
				b.ok(err)
				defer func() {
					if t.Failed() {
						t.Logf("the daemon:\n%s\nthe router:\n%s\nthe plugin:\n%s", r.daemon.Said(), r.router.Said(), b.host.PluginLog(40))
					}
					b.ok(r.daemon.Close())
				}()
				r.announces()
				if daemon.name == "FRR" { // TestLimits has BIRD's.
					b.ok(r.daemon.Close())
					r.daemon, err = daemon.start(b.host.Node)(readDocument(t, daemon.file) + findBlock(t, "docs/routed.md", frrBFD).text + "\n")
					b.ok(err)
					r.diesWithBFD()
				}
			})
		}
	}
}

// routerConfig is BIRD's for the router, which peers with hosts of these numbers.
func routerConfig(hosts ...int) string {
	var config strings.Builder
	config.WriteString(`log stderr all;
debug protocols { states, events };
router id 192.0.2.126;
protocol device { }
protocol bfd { interface "*" { interval 200 ms; multiplier 5; }; }
protocol kernel { persist; ipv6 { export all; }; }
`)
	for _, number := range hosts {
		fmt.Fprintf(&config, `protocol bgp h%d {
	local as 65001;
	neighbor %s as %d;
	hold time 6;
	bfd on; # Of use where the host has it, too.
	error wait time 1, 2;
	graceful restart on;
	long lived graceful restart off; # A host that is silent is dead.
	ipv6 { import all; export where source ~ [RTS_BGP, RTS_STATIC]; };
}
`, number, lab.HostAddr(number), 65000+number)
	}
	return config.String()
}

// learned is what the router has from the hosts.
func (r *announcer) learned() []string {
	r.Helper()
	out, err := r.Router.Exec(r.ctx(), "ip", "-6", "route", "show", "proto", "bird")
	r.ok(err)
	var all []string
	for line := range strings.Lines(out) {
		all = append(all, strings.Fields(line)[0])
	}
	slices.Sort(all)
	return all
}

// learns wants the router to have these destinations and no others before so
// much time has passed.
func (r *announcer) learns(limit time.Duration, want ...string) {
	r.Helper()
	slices.Sort(want)
	start := time.Now()
	for {
		got := r.learned()
		if slices.Equal(got, want) {
			return
		}
		if time.Since(start) > limit {
			r.Fatalf("after %s the router has other routes (-want +got):\n%s", limit, cmp.Diff(want, got))
		}
	}
}

// settles wants the router to learn these, whenever the daemons found each other,
// and no others in a second.
func (r *announcer) settles(want ...string) {
	r.Helper()
	r.learns(time.Minute, want...)
	time.Sleep(time.Second) // Nothing comes late.
	r.learns(0, want...)
}

// peered waits until the router speaks with the host again, and has removed what
// the host did not tell it again.
func (r *announcer) peered() {
	r.Helper()
	r.within(2*time.Minute, func() error {
		out, err := r.router.Ask(r.ctx(), fmt.Sprintf("show protocols all h%d", r.host.Number))
		if err == nil && (!strings.Contains(out, "Established") || strings.Contains(out, "restart active")) {
			err = fmt.Errorf("the router does not speak with the host:\n%s", out)
		}
		return err
	})
}

// announces is the life of announced networks.
func (r *announcer) announces() {
	const prefix, single, silent = routedPrefix, "2001:db8:1000:b::/80", "2001:db8:1000:c::/80"
	for _, foreign := range []string{
		"2001:db8:2000::/64 dev eth0 proto static", "2001:db8:2001::/64 dev eth0 proto 77",
		"2001:db8:2002::/64 via 2001:db8:1::1 proto 167", "unreachable 2001:db8:2003::/64 proto boot",
	} {
		r.ok(r.host.IP(r.ctx(), "route add "+foreign))
	}
	r.network("silent", "--subnet", silent)
	r.network("prefix", "--subnet", prefix, "--gateway", "2001:db8:1000:a::1", "-o", "ndp6.announce=prefix")
	r.network("single", "--subnet", single, "-o", "ndp6.announce=endpoint")
	r.settles(prefix)
	c := r.echo("c1", "prefix")
	r.reach(r.Outside, c, c.addr)
	unknown := r.web("d1", "silent")
	r.silent(r.Router, unknown.addr)
	r.settles(prefix)

	started, stopped := r.follows("single", prefix)
	r.soon("a container that started is announced", started)
	r.soon("a container that stopped is withdrawn", stopped)

	e := r.echo("e1", "single")
	r.settles(prefix, e.addr.String())
	status := r.run("/run/ndp6-lab/bin/ndp6 status")
	for _, want := range []string{"1 prefix announced", "1 address announced"} {
		if !strings.Contains(status, want) {
			r.Errorf("status does not say %q:\n%s", want, status)
		}
	}
	r.undisturbed("plugin killed, and started", c, func() {
		r.ok(r.host.StopPlugin(r.ctx(), "KILL"))
		r.learns(0, prefix, e.addr.String())
		r.startPlugin()
	})
	r.settles(prefix, e.addr.String())
	r.undisturbed("routing daemon killed, and started", e, func() {
		r.ok(r.daemon.Stop("KILL"))
		r.ok(r.daemon.Start(r.ctx()))
		r.peered()
	})
	r.settles(prefix, e.addr.String())

	r.docker("network", "disconnect", "single", "e1")
	r.learns(routedWait, prefix)
	r.docker("rm", "-f", "c1", "d1", "e1")
	r.settles(prefix)
	r.docker("network", "rm", "prefix")
	r.learns(routedWait)
	r.silent(r.Router, c.addr)

	r.network("prefix", "--subnet", prefix, "-o", "ndp6.announce=prefix")
	r.settles(prefix)
	took := r.dies(netip.MustParsePrefix(prefix), func() {})
	r.Logf("the host is dead: withdrawn after %s, limit %s", took.Round(time.Millisecond), deadLimit)
	if took > deadLimit {
		r.Errorf("withdrawn %s after the host's death, want at most %s", took, deadLimit)
	}
	r.ok(r.Plug(r.ctx(), r.host))
	r.settles(prefix)
}

// sessionUp waits until the router has a BFD session with the host.
func (r *announcer) sessionUp() {
	r.Helper()
	up := regexp.MustCompile(regexp.QuoteMeta(r.host.Addr()) + ` .* Up `)
	r.within(time.Minute, func() error {
		sessions, err := r.router.Ask(r.ctx(), "show bfd sessions")
		if err == nil && !up.MatchString(sessions) {
			err = fmt.Errorf("no session with %s is up:\n%s", r.host.Name, sessions)
		}
		return err
	})
}

// diesWithBFD is about a host that has one network with a prefix.
func (r *announcer) diesWithBFD() {
	r.peered()
	r.sessionUp()
	r.settles(routedPrefix) // The router flushes what a session without BFD had left.
	took := r.dies(netip.MustParsePrefix(routedPrefix), func() {})
	r.Logf("the host is dead: withdrawn by BFD after %s, limit %s", took.Round(time.Millisecond), bfdLimit)
	if took > bfdLimit {
		r.Errorf("withdrawn by BFD %s after the host's death, want at most %s", took, bfdLimit)
	}
}

// routedWait is for what is not measured.
const routedWait = 5 * time.Second

// follows starts and removes containers on a network whose addresses are
// announced, and returns how much later than the host's kernel the router's has,
// and then has not, their routes. It has others as well.
func (r *announcer) follows(network string, others ...string) (started, stopped []time.Duration) {
	r.Helper()
	here, there := r.notes(r.host.Node, plan.Protocol), r.notes(r.Router, protoBIRD)
	defer func() { r.ok(errors.Join(here.Close(), there.Close())) }()
	ctx, cancel := context.WithTimeout(r.ctx(), time.Minute)
	defer cancel()
	for range routedTries {
		e := r.web("e1", network)
		dst := netip.PrefixFrom(e.addr, e.addr.BitLen())
		started = append(started, r.between(ctx, here.Came, there.Came, dst))
		r.learns(routedWait, append(others, e.addr.String())...)
		r.reach(r.Outside, e, e.addr)
		r.docker("rm", "-f", "e1")
		stopped = append(stopped, r.between(ctx, here.Left, there.Left, dst))
		r.learns(routedWait, others...)
		r.silent(r.Router, e.addr)
	}
	return started, stopped
}

// notes begins to note routes of a protocol on a node.
func (b *bed) notes(n *lab.Node, protocol int) *lab.Routes {
	b.Helper()
	routes, err := n.Routes(b.ctx(), protocol)
	b.ok(err)
	return routes
}

// becomes is a method of lab.Routes.
type becomes func(context.Context, netip.Prefix) (lab.Moment, error)

// between is the longest that it can have been from one thing that becomes of a
// route to another, 0 where the second was told first.
func (b *bed) between(ctx context.Context, from, to becomes, dst netip.Prefix) time.Duration {
	b.Helper()
	begin, err := from(ctx, dst)
	b.ok(err)
	end, err := to(ctx, dst)
	b.ok(err)
	return max(0, end.Seen.Sub(begin.Told))
}

// dies has the host die without a word, does something, and returns how long the
// router went on sending to the host what is for a prefix.
func (r *announcer) dies(prefix netip.Prefix, meanwhile func()) time.Duration {
	r.Helper()
	there := r.notes(r.Router, protoBIRD)
	defer func() { r.ok(there.Close()) }()
	ctx, cancel := context.WithTimeout(r.ctx(), time.Minute)
	defer cancel()
	begin := time.Now()
	r.ok(r.Unplug(r.ctx(), r.host))
	meanwhile()
	end, err := there.Left(ctx, prefix)
	r.ok(err)
	return end.Seen.Sub(begin)
}

// soon wants the median of durations within the limit.
func (r *announcer) soon(what string, took []time.Duration) {
	r.Helper()
	m := median(took)
	r.Logf("%s: %v, median %s, limit %s", what, took, m.Round(time.Microsecond), routedLimit)
	if m > routedLimit {
		r.Errorf("%s after %s, want at most %s", what, m, routedLimit)
	}
}
