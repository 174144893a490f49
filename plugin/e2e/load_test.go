package e2e_test

import (
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// hundredContainers starts 100 containers from 8 clients at once.
func hundredContainers(b *bed) {
	containers, clients := 100, 8
	if b.version != "28.5" && !full {
		containers = 30
	}
	b.network("n", "--subnet", pool)
	names := make([]string, containers)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	parallel := func(do func(name string) error) {
		b.Helper()
		var g errgroup.Group
		g.SetLimit(clients)
		for _, name := range names {
			g.Go(func() error { return do(name) })
		}
		b.ok(g.Wait())
	}
	start := time.Now()
	parallel(func(name string) error {
		_, err := b.host.Docker(b.ctx(), "run", "-d", "--stop-signal", "KILL", "--name", name, "--network", "n", lab.Image, "sleep", "1h")
		return err
	})
	b.Logf("%d containers in %s", containers, time.Since(start))
	b.reachable(b.all("n"), containers)
	start = time.Now()
	parallel(func(name string) error {
		_, err := b.host.Docker(b.ctx(), "rm", "-f", name)
		return err
	})
	b.Logf("removed in %s", time.Since(start))
}
