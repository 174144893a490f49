package e2e_test

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
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
	flags    []string // of dockerd
	settings []string // of the plugin, besides those of each bed
	root     string
	binary   string
	next     func() (string, error) // another build of it
	before   string                 // snapshot of the host without networks
	closed   bool                   // networks are as they are by default: only published ports are open
	closers  []io.Closer            // of the scenario
}

// newLab makes an empty lab, and the Debian root for hosts of that release.
func newLab(t *testing.T, release lab.Release) (root string, l *lab.Lab) {
	t.Helper()
	root, err := lab.Root(t.Context(), release, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	l, err = lab.New(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return root, l
}

// newBed makes the lab and starts plugin, with these settings, and dockerd.
func newBed(t *testing.T, release lab.Release, binary string, settings ...string) *bed {
	t.Helper()
	root, l := newLab(t, release)
	b := &bed{T: t, Lab: l, version: release.Docker, flags: engineFlags(release.Docker), settings: settings, root: root, binary: binary}
	var err error
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
	b.startEngine(b.flags...)
	if got := b.docker("version", "--format", "{{.Server.Version}}"); !strings.HasPrefix(got, release.Docker+".") {
		t.Logf("Debian %s now has Docker %s instead of %s", release.Suite, got, release.Docker)
	}
	b.before = b.snapshot()
	return b
}

// elsewhere runs a scenario on another host of the same lab, which prepare makes
// ready before plugin and dockerd start. What the scenario leaves there stays.
func (b *bed) elsewhere(number int, prepare, run func(*bed)) {
	b.Helper()
	s := *b
	s.flags = outliving(b.flags)
	var err error
	s.host, err = b.AddHost(b.ctx(), number, b.root)
	b.ok(err)
	if prepare != nil {
		prepare(&s)
	}
	s.startPlugin()
	s.startEngine(s.flags...)
	s.closers = nil
	defer func() {
		if b.Failed() {
			b.Logf("the plugin's log on %s:\n%s", s.host.Name, s.host.PluginLog(60))
		}
		for _, c := range s.closers {
			b.ok(c.Close())
		}
		b.ok(s.host.StopEngine(b.ctx(), "TERM"))
		b.ok(s.host.StopPlugin(b.ctx(), "TERM"))
	}()
	run(&s)
}

// outliving returns flags of a dockerd that its containers outlive.
func outliving(flags []string) []string { return append([]string{"--live-restore"}, flags...) }

// liveRestore has containers outlive dockerd until undo.
func (b *bed) liveRestore() (undo func()) {
	b.Helper()
	restart := func(flags []string) {
		b.Helper()
		b.flags = flags
		b.ok(b.host.StopEngine(b.ctx(), "TERM"))
		b.startEngine(flags...)
	}
	before := b.flags
	restart(outliving(before))
	return func() { restart(before) }
}

// run runs a command on the host, which must succeed.
func (b *bed) run(command string) string {
	b.Helper()
	out, err := b.host.Exec(b.ctx(), "sh", "-c", command)
	b.ok(err)
	return out
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
	for _, c := range b.closers { // Their sockets keep sandboxes.
		b.ok(c.Close())
	}
	b.removeAll()
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

// removeAll removes all containers and networks.
func (b *bed) removeAll() {
	b.Helper()
	if ids := strings.Fields(b.docker("ps", "-aq")); len(ids) > 0 {
		b.docker(append([]string{"rm", "-f"}, ids...)...)
	}
	for name := range strings.FieldsSeq(b.docker("network", "ls", "--filter", "type=custom", "--format", "{{.Name}}")) {
		b.docker("network", "rm", name)
	}
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
	b.ok(b.plug())
}

// plug starts the plugin with flags besides those of the bed.
func (b *bed) plug(flags ...string) error {
	return b.host.StartPlugin(b.ctx(), b.binary, slices.Concat([]string{"--responder=" + string(responderOn(b.version))}, b.settings, flags)...)
}

// responderOn is what is to answer solicitations on the hosts of a version, so
// that each way is tried: NDP6_E2E_RESPONDER, or the kernel by itself on the
// version between, and on the others a program, as by default.
func responderOn(version string) plan.Answering {
	switch forced := plan.Answering(os.Getenv("NDP6_E2E_RESPONDER")); {
	case forced != "":
		return forced
	case version == "26.1":
		return plan.AnswerKernel
	}
	return plan.AnswerAuto
}

func (b *bed) startEngine(flags ...string) {
	b.Helper()
	b.ok(b.host.StartEngine(b.ctx(), flags...))
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
