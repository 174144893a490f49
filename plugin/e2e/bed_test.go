package e2e_test

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// Numbers of the lab's nodes.
const (
	hostNumber     = 10
	neighborNumber = 20 // another host of the LAN
	secondUplink   = 30
)

// pool is the one that most scenarios ask for: inside the LAN's on-link prefix.
const pool = "2001:db8:1:0:a::/80"

// bed is one Docker version in its lab, with the plugin running. The embedded
// test is that of the scenario under way.
type bed struct {
	*testing.T
	*lab.Lab

	host     *lab.Host
	neighbor *lab.Node
	version  string
	binary   string
	next     func() (string, error) // another build of it
	before   string                 // snapshot of the host without networks
}

func newBed(t *testing.T, release lab.Release, binary string) *bed {
	t.Helper()
	root, err := lab.Root(t.Context(), release, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bed{T: t, Lab: l, version: release.Docker, binary: binary}
	if b.host, err = l.AddHost(t.Context(), hostNumber, root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the engine's log:\n%s", b.host.EngineLog(40))
		}
	})
	if b.neighbor, err = l.AddNode(t.Context(), "neighbor", neighborNumber); err != nil {
		t.Fatal(err)
	}
	b.startPlugin()
	b.startEngine(engineFlags(b.version)...)
	if got := b.docker("version", "--format", "{{.Server.Version}}"); !strings.HasPrefix(got, release.Docker+".") {
		t.Logf("Debian %s now has Docker %s instead of %s", release.Suite, got, release.Docker)
	}
	b.before = b.snapshot()
	return b
}

// engineFlags has the oldest Docker write IPv6 firewall rules, which newer ones
// do by themselves; the one between shows how it goes without.
func engineFlags(version string) []string {
	if version == "20.10" {
		return []string{"--experimental", "--ip6tables"}
	}
	return nil
}

// try runs one scenario and then wants the host as it was before.
func (b *bed) try(t *testing.T, run func(*bed)) {
	t.Helper()
	s := *b
	s.T = t
	logged := len(b.host.PluginLog(0))
	defer func() {
		if t.Failed() {
			log := b.host.PluginLog(0)
			if len(log) < logged { // A reboot empties it.
				logged = 0
			}
			t.Logf("the plugin's log:\n%s", tail(log[logged:], 60))
		}
	}()
	defer s.clean()
	run(&s)
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// clean removes all containers and networks, and compares the host.
func (b *bed) clean() {
	b.Helper()
	if ids := strings.Fields(b.docker("ps", "-aq")); len(ids) > 0 {
		b.docker(append([]string{"rm", "-f"}, ids...)...)
	}
	for name := range strings.FieldsSeq(b.docker("network", "ls", "--filter", "type=custom", "--format", "{{.Name}}")) {
		b.docker("network", "rm", name)
	}
	// A bridge or veth that goes takes its sysctls with it a moment later.
	// Docker leaks leases, such as those of a container that got only one of its
	// addresses: they stay until the next sweep.
	var diff string
	for range 20 {
		left, err := b.records(driverRecords...)
		b.ok(err)
		if diff = cmp.Diff(strings.Split(b.before, "\n"), append(strings.Split(b.snapshot(), "\n"), left...)); diff == "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.Errorf("the host and the plugin's records are not what they were before the scenario (-before +after):\n%s", diff)
}

func (b *bed) snapshot() string {
	b.Helper()
	s, err := b.host.Snapshot(b.ctx())
	b.ok(err)
	return s
}

// ctx lives as long as the scenario; in clean-up after it still lives.
func (b *bed) ctx() context.Context { return context.WithoutCancel(b.Context()) }

func (b *bed) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bed) startPlugin() {
	b.Helper()
	b.ok(b.host.StartPlugin(b.ctx(), b.binary))
}

func (b *bed) startEngine(flags ...string) {
	b.Helper()
	b.ok(b.host.StartEngine(b.ctx(), flags...))
}

// docker runs a command that must succeed.
func (b *bed) docker(args ...string) string {
	b.Helper()
	out, err := b.host.Docker(b.ctx(), args...)
	b.ok(err)
	return strings.TrimSpace(out)
}

// refused runs a docker command that must fail with an error that holds each of the words.
func (b *bed) refused(words []string, args ...string) {
	b.Helper()
	out, err := b.host.Docker(b.ctx(), args...)
	if err == nil {
		b.Errorf("docker %s: succeeded (%s), want an error", strings.Join(args, " "), strings.TrimSpace(out))
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			b.Errorf("docker %s: the error does not say %q:\n%v", strings.Join(args, " "), w, err)
		}
	}
}

// network makes a network with both our drivers.
func (b *bed) network(name string, args ...string) {
	b.Helper()
	all := append([]string{"network", "create", "-d", "ndp6", "--ipam-driver", "ndp6", "--ipv6"}, args...)
	b.docker(append(all, name)...)
}

// web is `docker run -d` of a web server that answers /hostname with the
// container's short id.
func (b *bed) web(name, network string, args ...string) container {
	b.Helper()
	all := append([]string{"run", "-d", "--stop-signal", "KILL", "--name", name, "--network", network}, args...)
	b.docker(append(all, lab.Image, "httpd", "-f", "-h", "/etc")...)
	return b.inspect(name, network)
}

// a container as docker inspect shows it on one network.
type container struct {
	name, id string
	mac      string
	addr     netip.Addr // IPv6
	addr4    netip.Addr // IPv4, zero where it has none
}

func (b *bed) inspect(name, network string) container {
	b.Helper()
	const format = `{{slice .Id 0 12}} {{with index .NetworkSettings.Networks "NET"}}{{.MacAddress}} [{{.GlobalIPv6Address}}] [{{.IPAddress}}]{{end}}`
	fields := strings.Fields(b.docker("inspect", "-f", strings.ReplaceAll(format, "NET", network), name))
	if len(fields) != 4 {
		b.Fatalf("inspect %s: %q", name, fields)
	}
	c := container{name: name, id: fields[0], mac: fields[1]}
	c.addr, _ = netip.ParseAddr(strings.Trim(fields[2], "[]"))
	c.addr4, _ = netip.ParseAddr(strings.Trim(fields[3], "[]"))
	return c
}

// reach wants the node to ping an address of the container's and to get its web page.
func (b *bed) reach(from *lab.Node, c container, addr netip.Addr) {
	b.Helper()
	if _, err := from.Ping(b.ctx(), addr, 3*time.Second); err != nil {
		b.Errorf("%s: %v", c.name, err)
		return
	}
	got, err := from.Get(b.ctx(), netip.AddrPortFrom(addr, 80), "/hostname")
	if err != nil || got != c.id {
		b.Errorf("web server of %s at %s answers %s with %q, %v; want %q", c.name, addr, from.Name, got, err, c.id)
	}
}

// silent wants no answer from an address.
func (b *bed) silent(from *lab.Node, addr netip.Addr) {
	b.Helper()
	if took, err := from.Ping(b.ctx(), addr, 1500*time.Millisecond); err == nil {
		b.Errorf("%s answers %s in %s, want silence", addr, from.Name, took)
	}
}

// exec runs a command in a container; it must succeed.
func (b *bed) exec(c container, args ...string) string {
	b.Helper()
	return b.docker(append([]string{"exec", c.name}, args...)...)
}

// eventually wants check to succeed within some seconds.
func (b *bed) eventually(check func() error) {
	b.Helper()
	b.within(20*time.Second, check)
}

// within wants check to succeed before so much time has passed.
func (b *bed) within(limit time.Duration, check func() error) {
	b.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			b.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
