package plugin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/plugin/cluster"
	"github.com/ndp6/ndp6/plugin/etcd/etcdtest"
)

// claimPromise is how soon a claim has an answer, whatever becomes of etcd.
const claimPromise = 5 * time.Second

// A quorum is a cluster whose etcd has three members, each at a port of the
// switch.
type quorum struct {
	*labCluster

	t       *testing.T
	members []*etcdtest.Server
	spaces  []string // of the members
	addrs   []string // of the members
	pools   []string // of the hosts' networks "web"
	blocks  []string
	boxes   []labContainer
}

// newQuorum has as many hosts, each of which asks another member first, and has a
// container.
func newQuorum(t *testing.T) *quorum {
	t.Helper()
	const members = 3
	q := &quorum{labCluster: newSwitch(t), t: t}
	var places []etcdtest.Place
	for i := range members {
		addr := fmt.Sprintf("2001:db8::e%d", i)
		space := plugged(t, fmt.Sprintf("etcd%d", i), addr)
		q.addrs, q.spaces = append(q.addrs, addr), append(q.spaces, space)
		places = append(places, etcdtest.Place{Space: space, Host: addr})
	}
	q.members = etcdtest.StartMembers(t, places...)
	var urls []string
	for _, m := range q.members {
		urls = append(urls, m.URL)
	}
	for i := range members {
		q.addHost(t, strings.Join(slices.Concat(urls[i:], urls[:i]), ","))
		pool, block := q.hosts[i].network("web")
		q.pools, q.blocks = append(q.pools, pool), append(q.blocks, block)
		q.boxes = append(q.boxes, q.hosts[i].container(pool, fmt.Sprintf("box%d", i), fmt.Sprintf("02:42:00:00:00:0%d", i)))
	}
	q.allLead()
	return q
}

// cut has a namespace neither send to these addresses nor hear from them, until
// it is healed.
func (q *quorum) cut(space string, from ...string) {
	q.t.Helper()
	all := strings.Join(from, ",")
	nettest.RunIn(q.t, space,
		"nft add table inet cut",
		"nft add chain inet cut in { type filter hook input priority 0; }",
		"nft add chain inet cut out { type filter hook output priority 0; }",
		"nft add rule inet cut in ip6 saddr {"+all+"} drop",
		"nft add rule inet cut out ip6 daddr {"+all+"} drop",
	)
}

func (q *quorum) heal(space string) {
	q.t.Helper()
	nettest.RunIn(q.t, space, "nft delete table inet cut")
}

// allLead waits until each host has a route to each other.
func (q *quorum) allLead() {
	q.t.Helper()
	for i, h := range q.hosts {
		for j, block := range q.blocks {
			if j != i {
				h.await(block, true)
			}
		}
	}
}

// claims has a host make and remove a network, which must not take long, and
// wants others to follow.
func (q *quorum) claims(host int, others ...int) {
	q.t.Helper()
	begin := time.Now()
	pool, block := q.hosts[host].network("more")
	took := time.Since(begin)
	if took > claimPromise {
		q.t.Errorf("host%d: a claim took %s, want %s at most", host, took, claimPromise)
	}
	for _, i := range others {
		q.hosts[i].await(block, true)
	}
	q.t.Logf("host%d has a block after %s, the others a route after %s", host, took, time.Since(begin))
	q.hosts[host].removeNetwork("more", pool)
	for _, i := range others {
		q.hosts[i].await(block, false)
	}
}

// refuses wants a host's claim to be refused soon, and its containers to start.
func (q *quorum) refuses(host int, mac string) {
	q.t.Helper()
	begin := time.Now()
	_, _, err := q.hosts[host].pool()
	if took := time.Since(begin); err == nil || took > claimPromise || !strings.Contains(err.Error(), "no answer in time") || !strings.Contains(err.Error(), "new ones need etcd") {
		q.t.Errorf("host%d: a claim without etcd takes %s, want %s at most: %v", host, took, claimPromise, err)
	} else {
		q.t.Logf("host%d: refused after %s: %v", host, took, err)
	}
	late := q.hosts[host].container(q.pools[host], strings.ReplaceAll(mac, ":", ""), mac)
	for i, box := range q.boxes {
		if i != host && (!late.reaches(box.addr) || !box.reaches(late.addr)) {
			q.t.Errorf("host%d: a container that starts without etcd and that of host%d do not reach each other", host, i)
		}
	}
}

// TestQuorum is about an etcd of three members, which lose each other and the
// hosts. No packet between containers of any two hosts is lost meanwhile: so no
// route goes.
func TestQuorum(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for leases")
	}
	q := newQuorum(t)
	var lossless []func(*testing.T)
	for i, box := range q.boxes {
		lossless = append(lossless, box.stream(q.boxes[(i+1)%len(q.boxes)].addr))
	}

	t.Log("one member after the other is killed, so the one that leads as well")
	for i, m := range q.members {
		m.Kill()
		q.claims(i, (i+1)%3, (i+2)%3)
		m.Restart(t)
		m.Ready(t)
	}

	t.Log("a member is cut off from the others, and not from the hosts")
	// A plugin that starts asks its first member, and hears from it.
	q.hosts[0].kill()
	q.hosts[0].start()
	q.claims(0, 1, 2)
	q.cut(q.spaces[0], q.addrs[1:]...)
	q.claims(1, 0, 2)
	q.claims(0, 1, 2)
	q.heal(q.spaces[0])
	q.members[0].Ready(t)

	t.Log("two members are killed")
	for _, m := range q.members[1:] {
		m.Kill()
	}
	for _, h := range q.hosts {
		h.awaitConnected(false)
	}
	for i := range q.hosts {
		q.refuses(i, fmt.Sprintf("02:42:00:00:01:0%d", i))
	}
	time.Sleep(labLease + labHold) // No lease ends without a quorum.
	for _, m := range q.members[1:] {
		m.Restart(t)
	}
	for _, h := range q.hosts {
		h.awaitConnected(true)
	}
	q.allLead()
	q.claims(2, 0, 1)

	t.Log("a host is cut off from etcd, and not from the others")
	q.cut(q.hosts[0].space, q.addrs...)
	q.hosts[0].awaitConnected(false)
	q.hosts[1].awaitState("host0", cluster.Answering)
	q.refuses(0, "02:42:00:00:02:00")
	q.claims(1, 2)
	q.heal(q.hosts[0].space)
	q.hosts[0].awaitConnected(true)
	q.hosts[1].awaitState("host0", cluster.Alive)
	q.allLead()
	q.claims(0, 1, 2)

	for _, check := range lossless {
		check(t)
	}
}
