package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// What several hosts may take, besides the limits of the scenarios that are
// about one thing.
const (
	reachedLimit = 50 * time.Millisecond // after docker start
	joinLimit    = 20 * time.Millisecond
	claimLimit   = 500 * time.Millisecond
	leaveLimit   = 200 * time.Millisecond
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
	octets, err := b.host.PluginMemory()
	b.ok(err)
	return octets
}
