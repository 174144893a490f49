package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// Limits of how long the router may take to follow, and how often that is tried.
const (
	routedLimit = 100 * time.Millisecond
	deadLimit   = 10 * time.Second // with a hold time of 6 s, after which BIRD takes 3 s to close
	routedTries = 5
)

// announcer is a host whose routing daemon tells the router what is announced.
type announcer struct {
	*bed

	router, daemon *lab.Service
}

// TestRouted has BIRD and FRR of a host, with the files of the documents, tell a
// router what is announced. It measures, and so has the machine for itself.
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
protocol kernel { persist; ipv6 { export all; }; }
`)
	for _, number := range hosts {
		fmt.Fprintf(&config, `protocol bgp h%d {
	local as 65001;
	neighbor %s as %d;
	hold time 6;
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
// much time has passed, and returns how long it took.
func (r *announcer) learns(limit time.Duration, want ...string) time.Duration {
	r.Helper()
	slices.Sort(want)
	start := time.Now()
	for {
		got := r.learned()
		if slices.Equal(got, want) {
			return time.Since(start)
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
		out, err := r.router.Ask(r.ctx(), fmt.Sprintf("show protocols all h%d", hostNumber))
		if err == nil && (!strings.Contains(out, "Established") || strings.Contains(out, "restart active")) {
			err = fmt.Errorf("the router does not speak with the host:\n%s", out)
		}
		return err
	})
}

// announces is the life of announced networks.
func (r *announcer) announces() {
	const prefix, single, silent = "2001:db8:1000:a::/80", "2001:db8:1000:b::/80", "2001:db8:1000:c::/80"
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

	var started, stopped []time.Duration
	for range routedTries {
		e := r.web("e1", "single")
		started = append(started, r.learns(time.Minute, prefix, e.addr.String()))
		r.reach(r.Outside, e, e.addr)
		r.docker("rm", "-f", "e1")
		stopped = append(stopped, r.learns(time.Minute, prefix))
		r.silent(r.Router, e.addr)
	}
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
	r.ok(r.host.IP(r.ctx(), "link set eth0 down"))
	took := r.learns(deadLimit)
	r.Logf("the host is dead: withdrawn after %s, limit %s", took.Round(time.Millisecond), deadLimit)
	r.ok(r.host.IP(r.ctx(), "link set eth0 up", fmt.Sprintf("addr replace %s/64 dev eth0 nodad", r.host.Addr()), "route replace default via "+lab.RouterLLA+" dev eth0"))
	r.settles(prefix)
}

// routedWait is for what is not measured.
const routedWait = 5 * time.Second

// soon wants the median of durations within the limit.
func (r *announcer) soon(what string, took []time.Duration) {
	r.Helper()
	slices.Sort(took)
	median := took[len(took)/2]
	r.Logf("%s: %v, median %s, limit %s", what, took, median.Round(time.Microsecond), routedLimit)
	if median > routedLimit {
		r.Errorf("%s after %s, want at most %s", what, median, routedLimit)
	}
}
