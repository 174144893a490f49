package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// What several hosts may take, besides the limits of the scenarios that are
// about one thing.
const (
	reachedLimit = 50 * time.Millisecond // after docker start
	joinLimit    = 20 * time.Millisecond
	claimLimit   = 500 * time.Millisecond
	leaveLimit   = 200 * time.Millisecond
	bfdLimit     = 1500 * time.Millisecond
	memoryLimit  = 40e6

	// How often what varies is measured, and joins.
	limitTries  = 5
	limitJoins  = 200
	limitSeries = 3

	// goneLimit is for a host that is dead to those who know it from etcd.
	goneLimit = clusterLease + clusterHold + 2*time.Second
)

// limits is three hosts in one cluster, whose first two have routing daemons as
// well, and what was measured of them.
type limits struct {
	*bed

	second, third *bed
	rows          []limitRow
}

type limitRow struct {
	goal, how, measured, limit string
	missed                     bool
}

// TestLimits measures everything that is promised of several hosts, prints it
// beside the limits, and wants these to be kept. It has the machine for itself.
func TestLimits(t *testing.T) {
	binary := requirements(t)
	for _, release := range lab.Releases() {
		if release.Docker != "28.5" || !wanted(release.Docker) {
			continue
		}
		newBed(t, release, binary).try(t, severalHosts)
	}
}

func severalHosts(b *bed) {
	etcd, err := b.Router.StartEtcd(b.ctx(), etcdAt)
	b.ok(err)
	defer func() { b.ok(etcd.Close()) }()
	l := &limits{bed: b}
	defer l.print()
	b.restartWith(inCluster("--host-id=first")...)
	b.elsewhere(secondHost, func(s *bed) { s.settings = inCluster("--host-id=second") }, func(second *bed) {
		b.elsewhere(thirdHost, func(s *bed) { s.settings = inCluster("--host-id=third") }, func(third *bed) {
			l.second, l.third = second, third
			l.claims()
			l.leaves()
			l.starts()
			l.joins()
			l.killed()
			l.link()
			l.routed()
			l.memory()
			l.dies()
			for _, h := range []*bed{third, second} {
				h.removeAll()
			}
		})
	})
	b.restartWith()
}

// print prints the table, and reports what is missed.
func (l *limits) print() {
	l.Helper()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GOAL\tMEASURED\tLIMIT\tHOW")
	for _, r := range l.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.goal, r.measured, r.limit, r.how)
		if r.missed {
			l.Errorf("%s: %s, want at most %s", r.goal, r.measured, r.limit)
		}
	}
	l.ok(w.Flush())
	l.Logf("limits of several hosts:\n%s", text.String())
}

// row notes one figure.
func (l *limits) row(goal, how, measured, limit string, missed bool) {
	l.rows = append(l.rows, limitRow{goal, how, measured, limit, missed})
}

// took notes the median of what was measured.
func (l *limits) took(goal, how string, limit time.Duration, all ...time.Duration) {
	l.Helper()
	l.Logf("%s: %v", goal, all)
	if len(all) > 1 {
		how = strings.TrimSuffix(fmt.Sprintf("median of %d, at most %s; %s", len(all), rounded(slices.Max(all)), how), "; ")
	}
	m := median(all)
	l.row(goal, how, rounded(m), rounded(limit), m > limit)
}

// lost notes what a Watch between containers of two hosts missed.
func (l *limits) lost(goal string, seen lab.Watched) {
	l.row(goal, fmt.Sprintf("of %d pings, 10 ms apart, and a stream", seen.Sent), fmt.Sprint(seen.Lost), "0", seen.Lost > 0 || seen.Broken != nil)
}

func rounded(d time.Duration) string {
	if d.Abs() < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

const limitBase = "ndp6.base=" + lab.LAN

// peerRoutes notes what leads from hosts to their peers.
func peerRoutes(hosts ...*bed) (all []*lab.Routes, end func()) {
	for _, h := range hosts {
		all = append(all, h.notes(h.host.Node, plan.PeerProtocol))
	}
	return all, func() {
		for i, r := range all {
			hosts[i].ok(r.Close())
		}
	}
}

// lastOf is when the last of them saw it.
func (l *limits) lastOf(all []*lab.Routes, when func(*lab.Routes, context.Context, netip.Prefix) (lab.Moment, error), dst netip.Prefix) (last time.Time) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.ctx(), time.Minute)
	defer cancel()
	for _, r := range all {
		at, err := when(r, ctx, dst)
		l.ok(err)
		if at.Seen.After(last) {
			last = at.Seen
		}
	}
	return last
}

// block is the one that a host has.
func (b *bed) block() netip.Prefix {
	b.Helper()
	s := b.status()
	if s.Cluster == nil || len(s.Cluster.Prefixes) != 1 {
		b.Fatalf("cluster of %s: %+v, want one block", b.host.Name, s.Cluster)
	}
	return s.Cluster.Prefixes[0]
}

// claims is about a host that has no block yet. It has one then.
func (l *limits) claims() {
	routes, end := peerRoutes(l.bed, l.second)
	defer end()
	var all []time.Duration
	for i := range limitTries {
		if i > 0 {
			p := l.third.block()
			l.third.docker("network", "rm", "web")
			l.lastOf(routes, (*lab.Routes).Left, p)
		}
		begin := time.Now()
		l.third.network("web", "--ipam-opt", limitBase)
		all = append(all, l.lastOf(routes, (*lab.Routes).Came, l.third.block()).Sub(begin))
	}
	l.took("a host claims a block: the others have the route", "from docker network create on", claimLimit, all...)
}

// leaves is about a host without running containers whose plugin is stopped.
func (l *limits) leaves() {
	routes, end := peerRoutes(l.bed, l.second)
	defer end()
	var all []time.Duration
	for range limitTries {
		p := l.third.block()
		begin := time.Now()
		l.ok(l.third.host.StopPlugin(l.ctx(), "TERM"))
		all = append(all, l.lastOf(routes, (*lab.Routes).Left, p).Sub(begin))
		l.third.startPlugin()
		l.lastOf(routes, (*lab.Routes).Came, p)
	}
	l.took("a host leaves: the others have no route", "from SIGTERM on", leaveLimit, all...)
}

// starts is about a container that another host reaches through its peer's prefix.
func (l *limits) starts() {
	const mac = "02:42:aa:bb:cc:31"
	l.network("web", "--ipam-opt", limitBase, "-o", "ndp6.dad=off")
	l.third.web("onlooker", "web")
	from, err := l.third.host.Sandbox(l.ctx(), "onlooker")
	l.ok(err)
	hw, err := inet.ParseMAC(mac)
	l.ok(err)
	addr, err := inet.EmbedMAC(l.block(), hw)
	l.ok(err)
	l.docker("create", "--stop-signal", "KILL", "--name", "started", "--network", "web", "--mac-address", mac, lab.Image, "httpd", "-f", "-h", "/etc")
	web := netip.AddrPortFrom(addr, 80)
	var all []time.Duration
	for range limitTries {
		k, err := from.Knock(l.ctx(), web)
		l.ok(err)
		l.docker("start", "started")
		returned := time.Now()
		l.eventually(func() error {
			if k.Seen(web).First.IsZero() {
				return errors.New("no answer")
			}
			return nil
		})
		all = append(all, k.Seen(web).First.Sub(returned))
		_, err = k.Stop()
		l.ok(err)
		l.docker("stop", "started")
	}
	l.took("docker start: reached from another host", "from its return on, asked every ms from a container", reachedLimit, all...)
	l.docker("rm", "started")
}

var joinTook = regexp.MustCompile(`method=NetworkDriver\.Join duration=(\S+)`)

// joins is about the plugin's part of a container's start. One in a hundred is
// soon kept waiting by what else the machine does, so there are some series.
func (l *limits) joins() {
	l.network("more", "--ipam-opt", limitBase)
	l.web("joins", "web")
	var all []time.Duration
	var p99 time.Duration
	series := 0
	for series < limitSeries && (series == 0 || p99 > joinLimit) {
		series++
		all = l.joinSeries()
		p99 = all[len(all)*99/100-1]
		l.Logf("joins: median %s, p99 %s, slowest %v", rounded(median(all)), rounded(p99), all[len(all)-5:])
	}
	how := fmt.Sprintf("of %d, median %s; series %d, one of at most %d", len(all), rounded(median(all)), series, limitSeries)
	l.row("the plugin's own share of a join, p99", how, rounded(p99), rounded(joinLimit), p99 > joinLimit)
	l.docker("rm", "-f", "joins")
	l.docker("network", "rm", "more")
}

// joinSeries has a container join a network again and again, and returns how long
// the plugin took each time, in order.
func (l *limits) joinSeries() (all []time.Duration) {
	l.Helper()
	before := len(l.host.PluginLog(0))
	for range limitJoins {
		for _, verb := range []string{"connect", "disconnect"} {
			status, answer, err := l.host.Call(l.ctx(), "/run/docker.sock", http.MethodPost, "/networks/more/"+verb, strings.NewReader(`{"Container":"joins"}`))
			l.ok(err)
			if status != http.StatusOK {
				l.Fatalf("%s: %d %s", verb, status, answer)
			}
		}
	}
	for _, m := range joinTook.FindAllStringSubmatch(l.host.PluginLog(0)[before:], -1) {
		d, err := time.ParseDuration(m[1])
		l.ok(err)
		all = append(all, d)
	}
	if len(all) != limitJoins {
		l.Fatalf("the log has %d joins, want %d", len(all), limitJoins)
	}
	slices.Sort(all)
	return all
}

// killed is about traffic between containers of two hosts.
func (l *limits) killed() {
	c := l.echo("c1", "web")
	from, err := l.third.host.Sandbox(l.ctx(), "onlooker")
	l.ok(err)
	w, err := from.Watch(l.ctx(), c.addr)
	l.ok(err)
	seen := l.watched("plugin killed and started", c, w, func() {
		l.ok(l.host.StopPlugin(l.ctx(), "KILL"))
		l.startPlugin()
	})
	l.lost("plugin killed and started: packets lost", seen)
	l.docker("rm", "-f", "c1")
	l.docker("network", "rm", "web")
}

// link is about two hosts that have nothing but the link.
func (l *limits) link() {
	s := newSharedLink(l.bed, l.second, l.third)
	l.took("first packet to an address nobody heard of", "", firstLimit, s.firstPackets()...)
	l.took("a container moves to another host, announced", "from the return of docker run to the answer to the last of five", movedLimit, s.moves(2, "--ip6", "2001:db8:1:0:a:0:1:2")...)
	for _, h := range s.hosts {
		h.docker("network", "rm", "n")
	}
}

// memory is about the plugins of all three.
func (l *limits) memory() {
	var most float64
	for _, h := range []*bed{l.bed, l.second, l.third} {
		most = max(most, h.resident())
	}
	l.row("memory of the plugin with etcd", "the largest of three", fmt.Sprintf("%.1f MB", most/1e6), fmt.Sprintf("%.0f MB", memoryLimit/1e6), most > memoryLimit)
}

// resident is how much memory the plugin has.
func (b *bed) resident() (octets float64) {
	b.Helper()
	text, err := os.ReadFile(b.host.Path("/proc/" + strings.TrimSpace(b.run("cat /run/ndp6-lab/ndp6.pid")) + "/status"))
	b.ok(err)
	for line := range strings.Lines(string(text)) {
		var kibibytes float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kibibytes); err == nil {
			return kibibytes * 1024
		}
	}
	b.Fatalf("no memory in\n%s", text)
	return 0
}

// dies is about a host that etcd's others have a route to.
func (l *limits) dies() {
	p := l.third.block()
	for _, h := range []*bed{l.bed, l.second, l.third} {
		h.eventually(func() error {
			if c := h.status().Cluster; !c.Connected {
				return fmt.Errorf("%s: etcd is away: %s", h.host.Name, c.Trouble)
			}
			return nil
		})
	}
	routes, end := peerRoutes(l.bed, l.second)
	defer end()
	begin := time.Now()
	l.ok(l.Unplug(l.ctx(), l.third.host))
	took := l.lastOf(routes, (*lab.Routes).Left, p).Sub(begin)
	l.ok(l.Plug(l.ctx(), l.third.host))
	l.took("a host is dead: those that know it from etcd have no route", fmt.Sprintf("lease %s, hold %s", clusterLease, clusterHold), goneLimit, took)
	l.lastOf(routes, (*lab.Routes).Came, p)
}
