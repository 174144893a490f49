package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// Numbers of a swarm's nodes.
const (
	managerNumber = 10
	workerNumber  = 11
)

// swarm is two nodes of one LAN with the managed plugin. Each node is a bed of
// its own; both have the swarm's test.
type swarm struct {
	*testing.T

	manager, worker *bed
	has             map[*bed][]container // what tasks were seen last
}

// TestSwarm has the tasks of services on two nodes, on networks of the managed plugin.
func TestSwarm(t *testing.T) {
	t.Parallel()
	binary := requirements(t)
	for _, release := range lab.Releases() {
		t.Run(release.Docker, func(t *testing.T) {
			switch {
			case !wanted(release.Docker):
				t.Skip("not in NDP6_E2E_VERSIONS")
			case release.Docker == "26.1" && !full:
				t.Skip("the oldest and the newest are tried: set NDP6_E2E_FULL=1 for all")
			}
			t.Parallel()
			newSwarm(t, release, binary).nodesWithOwnPools()
		})
	}
}

// newSwarm makes two nodes of a swarm, with the plugin set and enabled on each.
func newSwarm(t *testing.T, release lab.Release, binary string, set ...string) *swarm {
	t.Helper()
	root, l := newLab(t, release)
	s := &swarm{T: t, has: map[*bed][]container{}}
	node := func(number int) *bed {
		b := &bed{T: t, Lab: l, version: release.Docker, flags: engineFlags(release.Docker), root: root, binary: binary}
		var err error
		b.host, err = l.AddHost(b.ctx(), number, root)
		b.ok(err)
		t.Cleanup(func() {
			if t.Failed() { // Docker has the plugin's log, too.
				t.Logf("end of the log of %s:\n%s", b.host.Name, b.host.EngineLog(60))
			}
		})
		b.startEngine(b.flags...)
		b.docker("plugin", "create", "ndp6-net", b.pluginOnHost("plugin", ""))
		b.docker(append([]string{"plugin", "set", "ndp6-net", "NDP6_LOG_LEVEL=debug"}, set...)...)
		b.docker("plugin", "enable", "ndp6-net")
		return b
	}
	s.manager, s.worker = node(managerNumber), node(workerNumber)
	address := func(number int) string { return fmt.Sprintf("192.0.2.%d", number) }
	s.manager.docker("swarm", "init", "--advertise-addr", address(managerNumber))
	token := s.manager.docker("swarm", "join-token", "-q", "worker")
	s.worker.docker("swarm", "join", "--advertise-addr", address(workerNumber), "--token", token, address(managerNumber))
	// Tasks go where the manager knows of the plugin.
	s.manager.within(time.Minute, func() error {
		const plugins = `{{range .Description.Engine.Plugins}}{{.Type}}/{{.Name}} {{end}}`
		for id := range strings.FieldsSeq(s.manager.docker("node", "ls", "-q")) {
			if got := s.manager.docker("node", "inspect", "-f", plugins, id); !strings.Contains(got, "Network/ndp6-net:latest") {
				return fmt.Errorf("node %s has plugins %s", id, got)
			}
		}
		return nil
	})
	return s
}

// nodesWithOwnPools is a service on a network of which each node has its part,
// with a pool of its own.
func (s *swarm) nodesWithOwnPools() {
	m := s.manager
	pools := map[*bed]string{s.manager: pool, s.worker: "2001:db8:1:0:b::/80"}
	for b, p := range pools {
		b.docker("network", "create", "--config-only", "--ipv6", "--ipam-driver", "ndp6-net:latest", "--subnet", p, "-o", "ndp6.inbound=open", "web-here")
	}
	m.docker("network", "create", "-d", "ndp6-net:latest", "--scope", "swarm", "--config-from", "web-here", "web")
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

	drained := s.has[s.worker]
	id := s.worker.docker("info", "-f", "{{.Swarm.NodeID}}")
	m.docker("node", "update", "--availability", "drain", id)
	s.runs(4, 0)
	for _, c := range drained {
		m.silent(m.Router, c.addr)
	}
	s.allReach()
	s.nothingOn(s.worker)

	// What overlaps the IPv4 pool that the node had before makes dockerd ask for
	// another one until it gets one that it has not seen. One answer must do.
	before := drained[0].addr4
	s.worker.run(fmt.Sprintf("ip link add left type bridge && ip addr add %s/24 dev left && ip link set left up", before))
	m.docker("node", "update", "--availability", "active", id)
	m.docker("service", "update", "--detach", "--force", "www")
	s.runs(2, 2)
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

// serve starts the service www on the network web, whose tasks are web servers.
func (s *swarm) serve(args ...string) {
	s.Helper()
	all := append([]string{
		"service", "create", "--detach", "--no-resolve-image", "--name", "www", "--endpoint-mode", "dnsrr",
		"--network", "web", "--stop-signal", "KILL", "--restart-delay", "1s", "--update-parallelism", "0", "--update-monitor", "1s",
	}, args...)
	s.manager.docker(append(all, lab.Image, "httpd", "-f", "-h", "/etc")...)
}

// runs waits until so many tasks of www run on each node, and no other.
func (s *swarm) runs(onManager, onWorker int) {
	s.Helper()
	for b, want := range map[*bed]int{s.manager: onManager, s.worker: onWorker} {
		b.within(2*time.Minute, func() error {
			if state := s.manager.docker("service", "inspect", "-f", "{{with .UpdateStatus}}{{.State}}{{end}}", "www"); state == "updating" {
				return errors.New("the service is being updated")
			}
			ids := strings.Fields(b.docker("ps", "-q", "--filter", "name=www"))
			if len(ids) != want {
				return fmt.Errorf("%d tasks run on %s, want %d:\n%s", len(ids), b.host.Name, want, s.manager.docker("service", "ps", "--no-trunc", "www"))
			}
			s.has[b] = nil
			for _, id := range ids {
				c, err := b.seen(id, "web")
				if err == nil && !c.addr.IsValid() {
					err = fmt.Errorf("task %s has no address", id)
				}
				if err != nil {
					return err // It comes, or it ends and another one comes.
				}
				s.has[b] = append(s.has[b], c)
			}
			return nil
		})
	}
}

// allReach wants each task to be reachable at an address of its own, from the
// router and from a task of the other node.
func (s *swarm) allReach() {
	s.Helper()
	all := slices.Concat(s.has[s.manager], s.has[s.worker])
	owner := map[netip.Addr]string{}
	for _, c := range all {
		if other, taken := owner[c.addr]; taken {
			s.Errorf("%s and %s have the same address %s", other, c.name, c.addr)
		}
		owner[c.addr] = c.name
		s.manager.reach(s.manager.Router, c, c.addr)
		s.manager.exec(s.has[s.manager][0], "ping", "-6", "-c1", "-W3", c.addr.String())
	}
}

// pools wants dockerd on a node to have asked for two pools each time that the
// network came there. Where it meets an overlap it asks again and again.
func (s *swarm) pools(on *bed) {
	s.Helper()
	var made, asked int
	on.eventually(func() (err error) { // The plugin may have been killed a moment ago.
		if made, err = on.calls("NetworkDriver.CreateNetwork"); err == nil {
			asked, err = on.calls("IpamDriver.RequestPool")
		}
		return err
	})
	if asked != 2*made {
		s.Errorf("dockerd on %s made %d networks and asked for %d pools, want two for each", on.host.Name, made, asked)
	}
	s.Logf("%s: %d networks made, %d pools asked for", on.host.Name, made, asked)
}

// calls is how many calls of a method the plugin on the host has answered.
func (b *bed) calls(method string) (calls int, err error) {
	_, metrics, err := b.host.Call(b.ctx(), stateDir+"/admin.sock", http.MethodGet, "/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	line := regexp.MustCompile(`(?m)^ndp6_docker_calls_total\{method="` + method + `",result="\w+"\} (\d+)$`)
	found := line.FindAllStringSubmatch(metrics, -1)
	if len(found) == 0 {
		return 0, fmt.Errorf("no calls of %s are counted on %s:\n%s", method, b.host.Name, metrics)
	}
	for _, m := range found {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, err
		}
		calls += n
	}
	return calls, nil
}

// nothingOn wants no network or container of ours on a node.
func (s *swarm) nothingOn(b *bed) {
	s.Helper()
	b.eventually(func() error {
		out, err := b.host.Exec(b.ctx(), "sh", "-c", "ip -6 neigh show proxy; ip -o link | grep -E ' nd[-h]' || true")
		if err == nil && out != "" {
			err = fmt.Errorf("left on %s:\n%s", b.host.Name, out)
		}
		return err
	})
}

// end removes the service and the network, and wants nothing of them to be left
// on either node.
func (s *swarm) end() {
	s.Helper()
	s.manager.docker("service", "rm", "www")
	for _, b := range []*bed{s.worker, s.manager} {
		// The swarm removes its containers by itself, and on a busy machine Docker
		// tries more than once.
		b.within(2*time.Minute, func() error {
			if ids := b.docker("ps", "-aq"); ids != "" {
				return fmt.Errorf("containers are left on %s: %s", b.host.Name, ids)
			}
			return nil
		})
		s.nothingOn(b)
	}
	s.manager.within(time.Minute, func() error {
		_, err := s.manager.host.Docker(s.manager.ctx(), "network", "rm", "web")
		if err != nil && strings.Contains(err.Error(), "not found") {
			return nil
		}
		return err
	})
	for _, b := range []*bed{s.worker, s.manager} {
		b.docker("swarm", "leave", "--force")
		b.eventually(func() error {
			left, err := b.records(slices.Concat(driverRecords, ipamRecords)...)
			if err == nil && len(left) > 0 {
				err = fmt.Errorf("records are left on %s: %s", b.host.Name, strings.Join(left, ", "))
			}
			return err
		})
		b.docker("plugin", "disable", "-f", "ndp6-net")
		b.ok(b.host.StopEngine(b.ctx(), "TERM"))
	}
}
