package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// pluginKilledUnderLoad starts containers and removes half of them from many
// clients, while the plugin is killed every second. Docker repeats a call that
// got no answer, but without its body: what it was about is then lost, and the
// operator asks again.
func pluginKilledUnderLoad(b *bed) {
	const containers, clients = 200, 16
	b.network("n", "--subnet", pool)

	ctx, cancel := context.WithCancel(b.ctx())
	defer cancel()
	kills := 0
	var killer errgroup.Group
	killer.Go(func() (err error) {
		defer cancel() // so that no client waits for a plugin that nobody starts
		kills, err = b.killPlugin(ctx, time.Second)
		return err
	})
	l := load{bed: b, errors: map[string]int{}}
	var g errgroup.Group
	g.SetLimit(clients)
	start := time.Now()
	for i := range containers {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			name := fmt.Sprintf("c%d", i)
			if err := l.run(name); err != nil || i%2 == 0 {
				return err
			}
			return l.remove(name)
		})
	}
	loadErr := g.Wait()
	cancel()
	b.ok(errors.Join(killer.Wait(), loadErr))
	b.Logf("%d containers run and %d removed in %s; %d kills, %d retries",
		containers, len(l.removed), time.Since(start).Round(time.Millisecond), kills, l.retries)
	for _, text := range slices.Sorted(maps.Keys(l.errors)) {
		b.Logf("%d times: %s", l.errors[text], text)
	}

	running := b.all("n")
	owner := b.reachable(running, containers-len(l.removed))
	b.allSilent(slices.DeleteFunc(l.removed, func(a netip.Addr) bool { return owner[a] != "" }))

	var rm errgroup.Group
	rm.SetLimit(clients)
	for _, c := range running {
		rm.Go(func() error { return l.remove(c.name) })
	}
	b.ok(rm.Wait())
	if _, err := b.host.Docker(b.ctx(), "network", "rm", "n"); err != nil {
		// Docker counts endpoints by itself: one that it lost track of stands here.
		b.Fatalf("%v\nnetwork: %s\ncontainers: %s\nours: %+v", err,
			b.docker("network", "inspect", "n"), b.docker("ps", "-a"), b.status())
	}
	// What Docker told nobody is found when the plugin asks, once it is old enough.
	start = time.Now()
	b.within(2*time.Minute, func() error {
		left, err := b.records(slices.Concat(driverRecords, ipamRecords)...)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("records are left: %s", strings.Join(left, ", "))
		}
		return err
	})
	b.hasOnly()
	b.Logf("no record is left after %s", time.Since(start).Round(time.Millisecond))
}

// reachable wants so many containers, each with an address of its own that
// answers, and returns whose the addresses are.
func (b *bed) reachable(containers []container, want int) (owner map[netip.Addr]string) {
	b.Helper()
	if len(containers) != want {
		b.Errorf("%d containers run, want %d", len(containers), want)
	}
	owner = map[netip.Addr]string{}
	for _, c := range containers {
		if other, taken := owner[c.addr]; taken {
			b.Errorf("%s and %s have the same address %s", other, c.name, c.addr)
		}
		owner[c.addr] = c.name
		if _, err := b.Router.Ping(b.ctx(), c.addr, 3*time.Second); err != nil {
			b.Errorf("%s: %v", c.name, err)
		}
	}
	return owner
}

// killPlugin kills and starts the plugin until ctx ends, and leaves it running.
// It does so once in each period, but not at one moment of it: Docker tries
// again after 1, 2, 4 and 8 whole seconds, and would always come when there is
// no plugin.
func (b *bed) killPlugin(ctx context.Context, every time.Duration) (kills int, err error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return kills, nil
		case <-tick.C:
			time.Sleep(rand.N(every / 2))
		}
		if err := b.host.StopPlugin(b.ctx(), "KILL"); err != nil {
			return kills, err
		}
		kills++
		if err := b.plug(); err != nil {
			return kills, err
		}
	}
}

// load is what the clients of a scenario share.
type load struct {
	*bed

	mu      sync.Mutex
	retries int
	errors  map[string]int // how often Docker said this
	removed []netip.Addr
}

// run starts a container, as often as it takes.
func (l *load) run(name string) error {
	return l.retry(func() error {
		_, err := l.host.Docker(l.ctx(), "run", "-d", "--stop-signal", "KILL", "--name", name, "--network", "n", lab.Image, "sleep", "1h")
		if err == nil {
			return nil
		}
		// The container stays, though it did not start.
		_, rmErr := l.host.Docker(l.ctx(), "rm", "-f", name)
		if rmErr != nil {
			return rmErr
		}
		return err
	})
}

// remove removes a running container and notes its address.
func (l *load) remove(name string) error {
	addr, err := l.host.Docker(l.ctx(), "inspect", "-f", "{{.NetworkSettings.Networks.n.GlobalIPv6Address}}", name)
	if err != nil {
		return err
	}
	a, err := netip.ParseAddr(strings.TrimSpace(addr))
	if err != nil {
		return fmt.Errorf("address of %s: %w", name, err)
	}
	l.mu.Lock()
	l.removed = append(l.removed, a)
	l.mu.Unlock()
	return l.retry(func() error {
		_, err := l.host.Docker(l.ctx(), "rm", "-f", name)
		return err
	})
}

// retry calls do until it succeeds, and counts what it says else.
func (l *load) retry(do func() error) error {
	const attempts = 20
	varying := regexp.MustCompile(`[0-9a-f]{12,}|\bc[0-9]+\b|2001:db8:[0-9a-f:]+`)
	var err error
	for range attempts {
		if err = do(); err == nil {
			return nil
		}
		text, _, _ := strings.Cut(varying.ReplaceAllString(err.Error(), "…"), "\n")
		l.mu.Lock()
		l.retries++
		l.errors[text]++
		l.mu.Unlock()
	}
	return fmt.Errorf("%d attempts: %w", attempts, err)
}

// all is the running containers of a network.
func (b *bed) all(network string) []container {
	b.Helper()
	const format = `{{slice .Name 1}} {{slice .Id 0 12}} {{with index .NetworkSettings.Networks "NET"}}{{.MacAddress}} {{.GlobalIPv6Address}}{{end}}`
	ids := strings.Fields(b.docker("ps", "-q"))
	if len(ids) == 0 {
		return nil
	}
	var all []container
	args := append([]string{"inspect", "-f", strings.ReplaceAll(format, "NET", network)}, ids...)
	for line := range strings.Lines(b.docker(args...)) {
		fields := strings.Fields(line)
		if len(fields) != 4 {
			b.Fatalf("inspect: %q", fields)
		}
		addr, err := netip.ParseAddr(fields[3])
		b.ok(err)
		all = append(all, container{name: fields[0], id: fields[1], mac: fields[2], addr: addr})
	}
	return all
}
