package e2e_test

import (
	"time"

	"golang.org/x/sync/errgroup"
)

// engineRestarted ends dockerd and its containers, in good order and without
// warning. Docker writes its firewall rules anew each time.
func engineRestarted(b *bed) {
	b.network("n", "--subnet", pool)
	f := b.newFleet("n")
	for _, signal := range []string{"TERM", "KILL"} {
		b.ok(b.host.StopEngine(b.ctx(), signal))
		start := time.Now()
		b.startEngine(b.flags...)
		b.Logf("dockerd started %s after SIG%s", time.Since(start).Round(time.Millisecond), signal)
		b.cameBack(f)
	}
}

// pluginLate starts dockerd before the plugin, under a container that runs on.
// Docker looks 15 s for a plugin that is not there, once for each pool and for
// each call: the network has one pool.
func pluginLate(b *bed) {
	defer b.liveRestore()()
	b.network("n", "--subnet", pool, "--ipam-opt", "ndp6.ipv4=none")
	c := b.echo("c1", "n", "--mac-address", "02:42:aa:bb:cc:12")
	stop := func() {
		b.ok(b.host.StopEngine(b.ctx(), "TERM"))
		b.ok(b.host.StopPlugin(b.ctx(), "TERM"))
	}
	works := func() {
		b.Helper()
		d := b.web("d1", "n")
		b.reach(b.Router, d, d.addr)
		b.reach(b.Outside, d, d.addr)
		b.docker("rm", "-f", "d1")
		b.silent(b.Router, d.addr)
	}

	b.undisturbed("plugin started while dockerd waits for it", c, func() {
		stop()
		var g errgroup.Group
		g.Go(func() error { return b.host.StartEngine(b.ctx(), b.flags...) })
		time.Sleep(3 * time.Second) // dockerd looks, and waits, and looks again.
		b.startPlugin()
		b.ok(g.Wait())
	})
	works()

	e := b.web("e1", "n")
	b.undisturbed("container removed while the plugin is away for 3s", c, func() {
		b.ok(b.host.StopPlugin(b.ctx(), "KILL"))
		var g errgroup.Group
		g.Go(func() error {
			_, err := b.host.Docker(b.ctx(), "rm", "-f", "e1")
			return err
		})
		time.Sleep(3 * time.Second)
		b.startPlugin()
		b.ok(g.Wait())
	})
	b.silent(b.Router, e.addr)
	works()
	b.hasOnly(c)

	b.undisturbed("dockerd started without the plugin", c, func() {
		stop()
		b.startEngine(b.flags...)
		b.docker("network", "ls")
		b.docker("network", "inspect", "n")
	})
	start := time.Now()
	b.docker("stop", "c1")
	b.Logf("container stopped without the plugin in %s", time.Since(start).Round(time.Millisecond))
	b.startPlugin()
	works()
	// Docker keeps the sandbox and the endpoint that it could not tell anybody to
	// delete, and removes them when it starts again.
	b.refused([]string{"c1", "already exists in network n"}, "start", "c1")
	b.ok(b.host.StopEngine(b.ctx(), "TERM"))
	b.startEngine(b.flags...)
	b.silent(b.Router, c.addr)
	b.docker("start", "c1")
	if again := b.inspect("c1", "n"); again.addr != c.addr {
		b.Errorf("address %s, want %s again: the MAC was given", again.addr, c.addr)
	}
	b.reach(b.Outside, c, c.addr)
	works()
	b.hasOnly(c)
}
