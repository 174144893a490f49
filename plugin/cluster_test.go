package plugin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/cluster"
)

// soon is many times what it takes on a machine that does nothing else; how long
// it took is logged.
const soon = 10 * time.Second

// TestCluster is about hosts on one link with one etcd: T1 to T5 and T8 of the
// design, one after the other.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for leases")
	}
	c := newCluster(t, 3)
	// Not subtests: those would be on threads of other namespaces.
	step := func(name string, do func()) {
		t.Helper()
		t.Log(name)
		do()
	}
	pools, prefixes := make([]string, len(c.hosts)), make([]string, len(c.hosts))
	boxes := make([]labContainer, len(c.hosts))
	for i, h := range c.hosts {
		begin := time.Now()
		pools[i], prefixes[i] = h.network("web")
		for j, other := range c.hosts {
			if j == i {
				continue
			}
			other.await(prefixes[i], true)
		}
		took := time.Since(begin)
		t.Logf("%s: network with a claim, and routes at all peers, after %s", h.name, took)
		if took > soon {
			t.Errorf("claim to routes took %s", took)
		}
		boxes[i] = h.container(pools[i], fmt.Sprintf("box%d", i), fmt.Sprintf("02:42:00:00:00:0%d", i))
	}

	step("all reach all", func() {
		for _, from := range boxes {
			for _, to := range boxes {
				if !from.reaches(to.addr) {
					t.Errorf("%s does not reach %s", from.addr, to.addr)
				}
			}
		}
	})

	step("network comes and goes", func() {
		pool, prefix := c.hosts[0].network("other")
		c.hosts[1].await(prefix, true)
		c.hosts[0].removeNetwork("other", pool)
		t.Logf("withdrawn %s later", c.hosts[1].await(prefix, false))
	})

	step("plugin killed", func() {
		lossless := boxes[1].stream(boxes[0].addr)
		c.hosts[0].kill()
		c.hosts[1].awaitState("host0", cluster.Answering)
		c.hosts[2].kill() // One that starts now does not forget the others.
		c.hosts[2].start()
		c.hosts[2].await(prefixes[0], true)
		c.hosts[0].start()
		c.hosts[1].awaitState("host0", cluster.Alive)
		lossless(t)
	})

	step("plugin stopped with a container", func() {
		lossless := boxes[1].stream(boxes[0].addr)
		c.hosts[0].stop()
		c.hosts[1].awaitState("host0", cluster.Silent)
		c.hosts[0].start()
		c.hosts[1].awaitState("host0", cluster.Alive)
		lossless(t)
	})

	step("etcd away", func() {
		lossless := boxes[1].stream(boxes[0].addr)
		c.etcd.Kill()
		for _, h := range c.hosts {
			h.awaitConnected(false)
		}
		box := c.hosts[0].container(pools[0], "late", "02:42:00:00:00:0a")
		if !box.reaches(boxes[2].addr) || !boxes[2].reaches(box.addr) {
			t.Error("a container that starts now is not reached")
		}
		begin := time.Now()
		_, _, err := c.hosts[0].pool()
		if took := time.Since(begin); err == nil || took > soon || !strings.Contains(err.Error(), "new ones need etcd") {
			t.Errorf("a claim takes %s: %v", took, err)
		}
		if s := c.hosts[0].status(); s.Findings() == 0 || !strings.Contains(s.Cluster.Trouble, "connection refused") {
			t.Errorf("status: %+v", s.Cluster)
		}
		c.hosts[1].kill()
		c.hosts[1].start()
		c.etcd.Restart(t)
		for _, h := range c.hosts {
			h.awaitConnected(true)
		}
		c.hosts[2].awaitState("host1", cluster.Alive)
		lossless(t)
		pool, prefix := c.hosts[0].network("after")
		c.hosts[1].await(prefix, true)
		c.hosts[0].removeNetwork("after", pool)
	})

	step("host cut off", func() {
		begin := time.Now()
		c.unplug(t, 0)
		c.hosts[1].await(prefixes[0], false)
		took := time.Since(begin)
		t.Logf("withdrawn after %s", took)
		if took < labHold || took > labLease+labHold+soon {
			t.Errorf("a dead host is withdrawn after %s", took)
		}
		// The one that is cut off keeps what it knows: nobody told it otherwise.
		if !c.hosts[0].leads(prefixes[1]) {
			t.Errorf("routes of the host that is cut off:\n%s", c.hosts[0].routes())
		}
		if !boxes[1].reaches(boxes[2].addr) {
			t.Error("the others do not reach each other")
		}
		c.plug(t, 0)
		took = c.hosts[1].await(prefixes[0], true)
		t.Logf("back after %s", took)
		if !boxes[0].reaches(boxes[1].addr) {
			t.Error("not reached when it is back")
		}
	})

	step("claims", func() {
		known, err := admin.GetClaims(t.Context(), c.hosts[1].dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range known.Claims {
			i := slices.Index(prefixes, one.Prefix.String())
			if i < 0 || one.Host != c.hosts[i].name || !one.Alive || one.Unused {
				t.Errorf("claim %+v", one)
			}
		}
		if len(known.Claims) != len(prefixes) {
			t.Errorf("%d claims, want %d", len(known.Claims), len(prefixes))
		}
		if r, err := admin.Reap(t.Context(), c.hosts[1].dir, "host0"); err == nil || !strings.Contains(err.Error(), "it is alive") {
			t.Errorf("a host that is alive is reaped: %+v, %v", r, err)
		}
	})

	step("host leaves", func() {
		h := c.hosts[2]
		h.must("NetworkDriver.Leave", object{"NetworkID": "web", "EndpointID": "box2"}, nil)
		h.stop()
		took := c.hosts[1].await(prefixes[2], false)
		t.Logf("withdrawn %s later", took)
		if took >= labLease {
			t.Errorf("withdrawn %s after the host left, as if it had said nothing", took)
		}
		r, err := admin.Reap(t.Context(), c.hosts[1].dir, "host2")
		if err != nil || len(r.Freed) != 1 || r.Freed[0].String() != prefixes[2] {
			t.Errorf("reaped %+v, %v", r, err)
		}
	})
}

// awaitState waits until the host takes a peer to be in a state.
func (h *labHost) awaitState(peer, want string) {
	h.t.Helper()
	h.awaitStatus(func(s *cluster.Status) bool {
		i := slices.IndexFunc(s.Peers, func(p cluster.Peer) bool { return p.Host == peer })
		return i >= 0 && s.Peers[i].State == want
	}, peer+" is "+want)
}

func (h *labHost) awaitConnected(want bool) {
	h.t.Helper()
	h.awaitStatus(func(s *cluster.Status) bool { return s.Connected == want }, fmt.Sprintf("connected is %t", want))
}

func (h *labHost) awaitStatus(is func(*cluster.Status) bool, what string) {
	h.t.Helper()
	for begin := time.Now(); !is(h.status().Cluster); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			h.t.Fatalf("%s: not so: %s: %+v", h.name, what, h.status().Cluster)
		}
	}
}
