package e2e_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// What two hosts announce: a pool each, and addresses that move between them.
const (
	firstPool  = "2001:db8:1000:a::/80"
	secondPool = "2001:db8:1000:c::/80"
	movingPool = "2001:db8:1000:b::/80"
	movingAddr = "2001:db8:1000:b::77"
)

// routed is about two hosts with BIRD. The first has BFD, the second a hold time.
// Both are dead in the end.
func (l *limits) routed() {
	router, err := l.Router.StartBIRD(l.ctx(), routerConfig(hostNumber, secondHost))
	l.ok(err)
	defer func() { l.ok(router.Close()) }()
	graceful := readDocument(l.T, "docs/routing/bird.conf")
	quick := withBFD(l.T, graceful)
	var hosts []*announcer
	for h, config := range map[*bed]string{l.bed: quick, l.second: graceful} {
		r := &announcer{bed: h, router: router}
		r.daemon, err = h.host.StartBIRD(l.ctx(), birdOf(config, h.host.Number))
		l.ok(err)
		defer func() { l.ok(r.daemon.Close()) }()
		hosts = append(hosts, r)
	}
	slices.SortFunc(hosts, func(a, b *announcer) int { return a.host.Number - b.host.Number })
	defer func() {
		if l.Failed() {
			l.Logf("the router:\n%s\nthe first host:\n%s\nthe second:\n%s", router.Said(), hosts[0].daemon.Said(), hosts[1].daemon.Said())
		}
	}()
	for i, p := range []string{firstPool, secondPool} {
		hosts[i].network("prefix", "--subnet", p, "-o", "ndp6.announce=prefix")
		hosts[i].network("single", "--subnet", movingPool, "-o", "ndp6.announce=endpoint")
	}
	hosts[0].settles(firstPool, secondPool)

	started, stopped := hosts[1].follows("single", firstPool, secondPool)
	l.took("an address is announced: the router has the route", "BIRD, from that of the host on", routedLimit, started...)
	l.took("an address is withdrawn: the router has no route", "BIRD, from that of the host on", routedLimit, stopped...)
	l.took("an address moves to another host: the router follows", "BIRD, from the new host's route on", routedLimit, l.movesBetween(hosts)...)

	hosts[0].sessionUp()
	l.restarted(hosts)
	m := l.newMoving(hosts)
	m.start(0)
	var moved time.Duration
	// The second host starts what the router has not noticed yet to be gone.
	died := hosts[0].dies(netip.MustParsePrefix(firstPool), func() { moved = m.start(1) })
	l.took("a host is dead: the router notices by BFD", "BIRD, 5 times 200 ms", bfdLimit, died)
	l.took("an address of a dead host moves: the router follows", "by BFD, from the new host's route on", bfdLimit, moved)
	m.stop(1)
	m.end()
	died = hosts[1].dies(netip.MustParsePrefix(secondPool), func() {})
	l.took("a host is dead: the router notices by the hold time", "BIRD, 6 s", deadLimit, died)
	for _, r := range hosts {
		l.ok(l.Plug(l.ctx(), r.host))
		r.removeAll()
	}
}

// moving is a container with a chosen address that is on one of two hosts.
type moving struct {
	*limits

	hosts []*announcer
	dst   netip.Prefix
	there *lab.Routes
}

func (l *limits) newMoving(hosts []*announcer) *moving {
	l.Helper()
	return &moving{limits: l, hosts: hosts, dst: netip.PrefixFrom(netip.MustParseAddr(movingAddr), 128), there: l.notes(l.Router, protoBIRD)}
}

func (m *moving) end() { m.ok(m.there.Close()) }

// start starts it on a host, and returns how much later than the host's kernel
// the router's has its route.
func (m *moving) start(on int) time.Duration {
	m.Helper()
	h := m.hosts[on]
	here := m.notes(h.host.Node, plan.Protocol)
	defer func() { m.ok(here.Close()) }()
	c := h.web("moves", "single", "--ip6", movingAddr)
	ctx, cancel := context.WithTimeout(m.ctx(), time.Minute)
	defer cancel()
	took := m.between(ctx, here.Came, func(ctx context.Context, dst netip.Prefix) (lab.Moment, error) {
		return m.there.Led(ctx, dst, lab.HostAddr(h.host.Number))
	}, m.dst)
	m.reach(m.Outside, c, c.addr)
	return took
}

func (m *moving) stop(on int) { m.hosts[on].docker("rm", "-f", "moves") }

// movesBetween moves it there and back, and returns how long the router took
// to follow.
func (l *limits) movesBetween(hosts []*announcer) (took []time.Duration) {
	l.Helper()
	m := l.newMoving(hosts)
	defer m.end()
	for i := range 2 * moves {
		took = append(took, m.start(i%2))
		m.stop(i % 2)
	}
	return took
}

// restarted is about traffic between containers of two hosts while the second's
// BIRD is away, with graceful restart.
func (l *limits) restarted(hosts []*announcer) {
	hosts[0].web("d1", "prefix")
	from, err := hosts[0].host.Sandbox(l.ctx(), "d1")
	l.ok(err)
	c := hosts[1].echo("c1", "prefix")
	w, err := from.Watch(l.ctx(), c.addr)
	l.ok(err)
	l.lost("BIRD killed and started: packets lost", l.watched("BIRD killed and started", c, w, func() {
		l.ok(hosts[1].daemon.Stop("KILL"))
		l.ok(hosts[1].daemon.Start(l.ctx()))
		hosts[1].peered()
	}))
}

// birdOf makes the documents' file that of a host of the lab.
func birdOf(config string, number int) string {
	return strings.NewReplacer("192.0.2.10;", fmt.Sprintf("192.0.2.%d;", number), "65010", fmt.Sprint(65000+number)).Replace(config)
}

// withBFD makes of BIRD's file of the documents the one that they say is for BFD.
func withBFD(t *testing.T, config string) string {
	t.Helper()
	const graceful, bfd = "    graceful restart on; ", "    bfd on; "
	if strings.Count(config, graceful) != 1 {
		t.Fatalf("BIRD's file has not one line %q:\n%s", graceful, config)
	}
	return strings.Replace(config, graceful, bfd, 1) + findBlock(t, "docs/routed.md", birdBFD).text + "\n"
}
