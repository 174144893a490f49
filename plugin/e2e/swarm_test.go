package e2e_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
	"github.com/ndp6/ndp6/plugin/settings"
)

// TestSwarm has the tasks of services on two nodes, on networks of the managed
// plugin: T12 (local) and T13 (global) of the design.
func TestSwarm(t *testing.T) {
	t.Parallel()
	binary := requirements(t)
	for _, release := range lab.Releases() {
		t.Run(release.Docker, func(t *testing.T) {
			if !wanted(release.Docker) {
				t.Skip("not in NDP6_E2E_VERSIONS")
			}
			t.Parallel()
			t.Run("local", func(t *testing.T) { newSwarm(t, release, binary, settings.Local).nodesWithOwnPools() })
			t.Run("global", func(t *testing.T) {
				t.Parallel()
				newSwarm(t, release, binary, settings.Global).onePool()
			})
		})
	}
}

// nodesWithOwnPools is a service on a network of which each node has its part,
// with a pool of its own.
func (s *swarm) nodesWithOwnPools() {
	pools := map[*bed]string{s.manager: pool, s.worker: "2001:db8:1:0:b::/80"}
	for b, p := range pools {
		s.documented(b, swarmPart, pool, p)
	}
	s.documented(s.manager, swarmWhole)
	s.serve("--replicas", "4")
	s.runs(2, 2)
	for b, p := range pools {
		s.pools(b)
		for _, c := range s.has[b] {
			b.isMACAddress(c, p)
		}
	}
	s.allReach()

	// A killed plugin takes nothing with it, and Docker starts it again.
	s.worker.run("kill -KILL $(pidof ndp6)")
	s.allReach()
	s.pools(s.worker)

	drained := s.drain()

	// What overlaps the IPv4 pool that the node had before makes dockerd ask for
	// another one until it gets one that it has not seen. One answer must do.
	before := drained[0].addr4
	s.worker.run(fmt.Sprintf("ip link add left type bridge && ip addr add %s/24 dev left && ip link set left up", before))
	s.activate()
	s.pools(s.worker)
	s.pools(s.manager)
	for b, p := range pools {
		for _, c := range s.has[b] {
			b.isMACAddress(c, p)
			if left := netip.PrefixFrom(before, 24); b == s.worker && left.Masked().Contains(c.addr4) {
				b.Errorf("%s has %s, want none of %s, which another link has", c.name, c.addr4, left)
			}
		}
	}
	s.allReach()
	s.end()
}

// onePool is a service on a network of which all nodes have one pool, from
// which the manager that leads gives addresses.
func (s *swarm) onePool() {
	s.documented(s.manager, swarmGlobal, "-o ndp6.inbound=open", "-o ndp6.inbound=open -o ndp6.mtu=1400 --attachable")
	s.serve("--replicas", "4")
	s.runs(2, 2)
	for b := range s.has {
		for _, c := range s.has[b] {
			b.isMACAddress(c, pool)
			if got := b.exec(c, "cat", "/sys/class/net/eth0/mtu"); got != "1400" {
				b.Errorf("mtu %s on %s, want 1400 as the network's option says", got, b.host.Name)
			}
		}
	}
	s.allReach()
	s.chosen()
	s.drain()
	s.activate()
	s.allReach()

	s.restartLeader()
	// Another manager leads: it asks its own plugin for all pools and addresses
	// again, and then for those of new tasks.
	s.lead(s.worker, s.manager)
	s.worker.docker("service", "scale", "--detach", "www=6")
	s.runs(3, 3)
	s.allReach()
	s.lead(s.manager, s.worker) // whose plugin remembers
	s.manager.docker("service", "scale", "--detach", "www=8")
	s.runs(4, 4)
	s.allReach()
	s.end()
}
