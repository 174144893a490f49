package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// full asks for the long form of scenarios on every version.
var full = os.Getenv("NDP6_E2E_FULL") == "1"

// trafficGoesOn wants the traffic of a running container to see nothing of what
// happens to the plugin and to dockerd.
func trafficGoesOn(b *bed) {
	// Neighbors forget after a second in place of half a minute, and ask again.
	defer b.setSysctl(b.Router, "net/ipv6/neigh/lan/base_reachable_time_ms", "1000")()
	defer b.setSysctl(b.Router, "net/ipv6/neigh/lan/delay_first_probe_time", "1")()
	defer b.liveRestore()()
	next, err := b.next()
	b.ok(err)
	b.network("n", "--subnet", pool)
	c := b.echo("c1", "n")
	restart := func(signal string) func() {
		return func() {
			b.ok(b.host.StopEngine(b.ctx(), signal))
			b.startEngine(b.flags...)
			if again := b.inspect("c1", "n"); again != c {
				b.Errorf("the container is %v, want %v as before", again, c)
			}
		}
	}
	for _, event := range []struct {
		name string
		run  func()
	}{
		{"plugin killed and started", func() {
			b.ok(b.host.StopPlugin(b.ctx(), "KILL"))
			b.startPlugin()
		}},
		{"plugin upgraded", func() {
			b.ok(b.host.StopPlugin(b.ctx(), "TERM"))
			b.binary = next
			b.startPlugin()
		}},
		{fmt.Sprintf("plugin down for %s", b.downTime()), func() {
			b.ok(b.host.StopPlugin(b.ctx(), "KILL"))
			time.Sleep(b.downTime()) // What is tested.
			b.startPlugin()
		}},
		{"dockerd restarted with live-restore", restart("TERM")},
		{"dockerd killed and started with live-restore", restart("KILL")},
	} {
		b.undisturbed(event.name, c, event.run)
		d := b.web("d1", "n")
		b.reach(b.Outside, d, d.addr)
		b.exec(d, "ping", "-6", "-c1", "-W2", "c1")
		b.docker("rm", "-f", "d1")
		b.silent(b.Router, d.addr)
	}
}

// downTime is how long the plugin is away: a minute on the version that has
// nothing else to wait for, or when NDP6_E2E_FULL asks for it.
func (b *bed) downTime() time.Duration {
	if full || b.version == "26.1" {
		return time.Minute
	}
	return 10 * time.Second
}

// undisturbed watches the traffic of a container from a second before an event
// to a second after it, and wants nothing lost.
func (b *bed) undisturbed(name string, c container, event func()) {
	b.Helper()
	w, err := b.Watch(b.ctx(), c.addr)
	b.ok(err)
	b.watched(name, c, w, event)
}

func (b *bed) watched(name string, c container, w *lab.Watch, event func()) lab.Watched {
	b.Helper()
	time.Sleep(time.Second) // Traffic passes meanwhile.
	start := time.Now()
	event()
	took := time.Since(start)
	time.Sleep(time.Second)
	seen, err := w.Stop()
	b.ok(err)
	b.Logf("%s: %s; %s", name, took.Round(time.Millisecond), seen)
	if seen.Lost > 0 || seen.Broken != nil || seen.Sent == 0 || seen.Lines == 0 {
		b.Errorf("%s: the traffic of %s was disturbed: %s", name, c.name, seen)
	}
	return seen
}

// echo is web with a server on the echo port beside it.
func (b *bed) echo(name, network string, args ...string) container {
	b.Helper()
	all := append([]string{"run", "-d", "--stop-signal", "KILL", "--name", name, "--network", network}, args...)
	b.docker(append(all, lab.Image, "sh", "-c", fmt.Sprintf("nc -ll -p %d -e cat & exec httpd -f -h /etc", lab.EchoPort))...)
	return b.inspect(name, network)
}

// setSysctl returns what undoes it.
func (b *bed) setSysctl(n *lab.Node, key, value string) (restore func()) {
	b.Helper()
	before, err := n.Sysctl(key)
	b.ok(err)
	b.ok(n.SetSysctl(key, value))
	return func() { b.ok(n.SetSysctl(key, before)) }
}

// nextBuild builds the plugin another time when it is first called: the same
// code with its symbols.
func nextBuild(dir string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "ndp6-next")
		cmd := exec.Command("go", "build", "-o", path, "github.com/ndp6/ndp6/plugin/cmd/ndp6")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build another plugin: %w\n%s", err, out)
		}
		return path, nil
	})
}
