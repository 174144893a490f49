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
	"github.com/ndp6/ndp6/plugin/settings"
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
	leader          *bed                 // the manager
	has             map[*bed][]container // what tasks were seen last
	bare            map[string]time.Time // since when containers have been seen without a network
}

// newSwarm makes two nodes of a swarm, each with the plugin.
func newSwarm(t *testing.T, release lab.Release, binary string, scope settings.Scope) *swarm {
	t.Helper()
	root, l := newLab(t, release)
	s := &swarm{T: t, has: map[*bed][]container{}, bare: map[string]time.Time{}}
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
		b.docker("plugin", "set", "ndp6-net", "NDP6_LOG_LEVEL=debug")
		b.docker("plugin", "enable", "ndp6-net")
		if scope == settings.Global {
			s.documented(b, swarmScope)
		}
		return b
	}
	s.manager, s.worker = node(managerNumber), node(workerNumber)
	s.leader = s.manager
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

// The first lines of blocks of docs/swarm.md.
const (
	swarmPart   = "docker network create --config-only --ipv6 --ipam-driver ndp6-net:latest --subnet " + pool + " -o ndp6.inbound=open web-here"
	swarmWhole  = "docker network create -d ndp6-net:latest --scope swarm --config-from web-here web"
	swarmScope  = "docker plugin disable -f ndp6-net"
	swarmGlobal = "docker network create -d ndp6-net:latest --ipam-driver ndp6-net:latest --ipv6 --subnet " + pool + " -o ndp6.inbound=open web"
)

// documented does on a node what the block of docs/swarm.md says that begins
// with this line, with some words replaced.
func (s *swarm) documented(on *bed, first string, replace ...string) {
	s.Helper()
	block := findBlock(s.T, "docs/swarm.md", first)
	on.doc(block, "set -e\n"+strings.NewReplacer(replace...).Replace(block.text))
}

// drain takes the tasks from the worker, whose addresses must be silent then.
func (s *swarm) drain() (drained []container) {
	s.Helper()
	drained = s.has[s.worker]
	s.leader.docker("node", "update", "--availability", "drain", s.worker.node())
	s.runs(4, 0)
	for _, c := range drained {
		s.leader.silent(s.leader.Router, c.addr)
	}
	s.allReach()
	s.nothingOn(s.worker)
	return drained
}

// activate brings tasks back to the worker.
func (s *swarm) activate() {
	s.Helper()
	s.leader.docker("node", "update", "--availability", "active", s.worker.node())
	s.leader.docker("service", "update", "--detach", "--force", "www")
	s.runs(2, 2)
}

// lead makes a node the only manager in place of another.
func (s *swarm) lead(to, from *bed) {
	s.Helper()
	id := from.node()
	from.docker("node", "promote", to.node())
	to.eventually(func() error {
		_, err := to.host.Docker(to.ctx(), "node", "demote", id)
		return err
	})
	s.leader = to
	to.within(time.Minute, func() error {
		// Tasks go to nodes that are ready.
		out, err := to.host.Docker(to.ctx(), "node", "inspect", "-f", "{{.Status.State}} {{with .ManagerStatus}}{{.Leader}}{{end}}", "self", id)
		if words := strings.Fields(out); err == nil && !slices.Equal(words, []string{"ready", "true", "ready"}) {
			err = fmt.Errorf("%s, to lead: it and the other node are %q", to.host.Name, words)
		}
		return err
	})
}

// restartLeader restarts the dockerd of the only manager, which asks its plugin
// for all pools and addresses again. Its tasks end, those of the worker go on.
func (s *swarm) restartLeader() {
	s.Helper()
	before := s.has[s.worker]
	s.leader.ok(s.leader.host.StopEngine(s.leader.ctx(), "TERM"))
	s.leader.startEngine(s.leader.flags...)
	s.manager.within(time.Minute, func() error {
		out, err := s.manager.host.Docker(s.manager.ctx(), "node", "ls", "--format", "{{.Status}}")
		if words := strings.Fields(out); err == nil && !slices.Equal(words, []string{"Ready", "Ready"}) {
			err = fmt.Errorf("nodes are %q", words)
		}
		return err
	})
	for _, c := range before {
		s.leader.reach(s.leader.Router, c, c.addr)
	}
	s.activate()
	s.allReach()
}

// node is the host's id in its swarm.
func (b *bed) node() string {
	b.Helper()
	return b.docker("info", "-f", "{{.Swarm.NodeID}}")
}

// chosen has containers of a node with an address or a MAC that the user chose.
func (s *swarm) chosen() {
	s.Helper()
	const addr, mac = "2001:db8:1:0:a::5", "02:42:ac:11:00:99"
	c := s.worker.web("chosen", "web", "--ip6", addr)
	if c.addr.String() != addr {
		s.Errorf("address %s, want %s", c.addr, addr)
	}
	s.worker.reach(s.worker.Router, c, c.addr)
	s.worker.reach(s.worker.Outside, c, c.addr)
	s.manager.refused([]string{"attaching to network failed"}, "run", "--rm", "--network", "web", "--ip6", addr, lab.Image, "true")
	d := s.worker.web("given", "web", "--mac-address", mac)
	if d.mac != mac || !netip.MustParsePrefix(pool).Contains(d.addr) {
		s.Errorf("MAC %s and address %s, want %s and one of %s", d.mac, d.addr, mac, pool)
	}
	s.worker.reach(s.worker.Router, d, d.addr)
	s.worker.docker("rm", "-f", "chosen", "given")
	s.worker.silent(s.worker.Router, c.addr)
}

// serve starts the service www on the network web, whose tasks are web servers.
func (s *swarm) serve(args ...string) {
	s.Helper()
	all := append([]string{
		"service", "create", "--detach", "--no-resolve-image", "--name", "www", "--endpoint-mode", "dnsrr",
		"--network", "web", "--stop-signal", "KILL", "--restart-delay", "1s", "--update-parallelism", "0", "--update-monitor", "1s",
	}, args...)
	s.leader.docker(append(all, lab.Image, "httpd", "-f", "-h", "/etc")...)
}

// runs waits until so many tasks of www run on each node, and no other.
func (s *swarm) runs(onManager, onWorker int) {
	s.Helper()
	for b, want := range map[*bed]int{s.manager: onManager, s.worker: onWorker} {
		b.within(4*time.Minute, func() error {
			if state := s.leader.docker("service", "inspect", "-f", "{{with .UpdateStatus}}{{.State}}{{end}}", "www"); state == "updating" {
				return errors.New("the service is being updated")
			}
			ids := strings.Fields(b.docker("ps", "-q", "--filter", "name=www"))
			if len(ids) != want {
				return fmt.Errorf("%d tasks run on %s, want %d:\n%s", len(ids), b.host.Name, want, s.leader.docker("service", "ps", "--no-trunc", "www"))
			}
			s.has[b] = nil
			for _, id := range ids {
				c, err := b.seen(id, "web")
				if err == nil && !c.addr.IsValid() {
					err = fmt.Errorf("task %s has no address", id)
				}
				if err != nil {
					s.abandon(b, id)
					return err // It comes, or it ends and another one comes.
				}
				s.has[b] = append(s.has[b], c)
			}
			return nil
		})
	}
}

// abandon removes a container that is without a network for long. dockerd leaves
// one behind where the swarm takes a task back that is about to start ("cannot
// delete running task"), and counts it among those that run.
func (s *swarm) abandon(b *bed, id string) {
	s.Helper()
	since, ok := s.bare[id]
	switch {
	case !ok:
		s.bare[id] = time.Now()
	case time.Since(since) > 30*time.Second:
		s.Logf("%s: %s has no network, and is removed", b.host.Name, id)
		delete(s.bare, id)
		b.docker("rm", "-f", id)
		s.leader.docker("service", "update", "--detach", "--force", "www")
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
func (b *bed) calls(method string) (int, error) {
	return b.counted(`ndp6_docker_calls_total\{method="` + method + `",result="\w+"\}`)
}

// counted is the sum of the series of the plugin's metrics that a pattern fits.
func (b *bed) counted(series string) (sum int, err error) {
	_, metrics, err := b.host.Call(b.ctx(), stateDir+"/admin.sock", http.MethodGet, "/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`(?m)^`+series+` (\d+)$`).FindAllStringSubmatch(metrics, -1)
	if len(found) == 0 {
		return 0, fmt.Errorf("nothing like %s is counted on %s:\n%s", series, b.host.Name, metrics)
	}
	for _, m := range found {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
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
	s.leader.docker("service", "rm", "www")
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
