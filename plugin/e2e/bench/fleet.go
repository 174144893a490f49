package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/plugin/e2e/bench/caller"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

const (
	callers = 8    // clients at once
	crowd   = 1000 // endpoints on a network: a Linux bridge has 1,023 ports

	// settle is longer than the kernel takes for a link, and than a pass over the host waits.
	settle = 300 * time.Millisecond
)

// A fleet is a host whose plugin has many endpoints already.
type fleet struct {
	host     *lab.Host
	sandbox  *lab.Node // of all containers
	caller   *caller.Caller
	networks []*caller.Network
	extra    *caller.Network // where containers come and go
	next     int

	mu sync.Mutex
	// starts and ends are by themselves, beside are starts while others end.
	starts, beside, ends stat.Sample
	memory               stat.Sample
}

// measureFleet makes a host with so many endpoints, measures rounds, and ends its plugin.
func measureFleet(ctx context.Context, l *lab.Lab, o options, number, size, rounds, each int) (f *fleet, err error) {
	if f, err = newFleet(ctx, l, o, number, size); err != nil {
		return nil, err
	}
	defer f.caller.Close()
	for range rounds {
		if err := f.round(ctx, each); err != nil {
			return nil, err
		}
	}
	return f, f.host.StopPlugin(ctx, "KILL")
}

// newFleet makes a host and its endpoints.
func newFleet(ctx context.Context, l *lab.Lab, o options, number, size int) (*fleet, error) {
	f := new(fleet)
	var err error
	if f.host, err = l.AddHost(ctx, 10+number, ""); err != nil {
		return nil, err
	}
	if f.sandbox, err = l.AddNode(ctx, fmt.Sprintf("sandbox%d", number), 30+number); err != nil {
		return nil, err
	}
	if err := f.host.StartPlugin(ctx, o.binary, "--log-level=warn", "--docker-socket=none"); err != nil {
		return nil, err
	}
	f.caller = caller.New(f.host.Path(lab.PluginSocket))
	for len(f.networks) <= (size+crowd-1)/crowd {
		i := len(f.networks)
		network, err := f.caller.Network(ctx, i+1,
			netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", 10+i)), netip.MustParsePrefix(fmt.Sprintf("2001:db8:1:0:%x%02x::/80", 0xa+number, i)))
		if err != nil {
			return nil, err
		}
		f.networks = append(f.networks, network)
	}
	f.extra, f.networks = f.networks[len(f.networks)-1], f.networks[:len(f.networks)-1]
	for i := 0; i < size; i += crowd {
		network := f.networks[i/crowd]
		if _, err := f.start(ctx, network, 0, min(crowd, size-i)); err != nil {
			return nil, err
		}
	}
	// One stays up where containers come and go: the first and the last of a network change its bridge.
	stays, err := f.start(ctx, f.extra, 0, 1)
	if err != nil {
		return nil, err
	}
	f.next = 1
	return f, f.sandbox.IP(ctx, "link set "+stays[0].Link+" up")
}

// start starts n containers of a network from the one with a number on, by 8
// clients, and moves their links into the sandbox as Docker does.
func (f *fleet) start(ctx context.Context, network *caller.Network, from, n int) ([]caller.Container, error) {
	containers := make([]caller.Container, n)
	err := together(func(client int) (err error) {
		for i := client; i < n && err == nil; i += callers {
			containers[i], err = network.Start(ctx, from+i)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	moves := make([]string, n)
	for i, c := range containers {
		moves[i] = fmt.Sprintf("link set %s netns %s", c.Link, f.sandbox.NetNS())
	}
	// Not the host's own ip: it has other processes, and would find no path of ours.
	return containers, execIn(ctx, f.host.NetNS(), strings.NewReader(strings.Join(moves, "\n")+"\n"), "ip", "-batch", "-")
}

// round has each client start n containers beside those that are there, then
// stop them, and then do both in turn, and notes how long it took.
func (f *fleet) round(ctx context.Context, n int) error {
	containers, err := f.start(ctx, f.extra, f.next, callers*n)
	if err != nil {
		return err
	}
	f.next += len(containers)
	memory, err := f.host.PluginMemory()
	if err != nil {
		return err
	}
	f.memory = append(f.memory, memory/1e6)
	for _, c := range containers {
		f.starts = append(f.starts, ms(c.Took))
	}
	if err := f.quiet(ctx); err != nil {
		return err
	}
	err = together(func(client int) error {
		for i := client; i < len(containers); i += callers {
			if err := f.stop(ctx, containers[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err = errors.Join(err, f.quiet(ctx)); err != nil {
		return err
	}
	err = together(func(client int) error {
		for i := client; i < callers*n; i += callers {
			if err := f.startAndStop(ctx, f.next+i); err != nil {
				return err
			}
		}
		return nil
	})
	f.next += callers * n
	return errors.Join(err, f.quiet(ctx))
}

// together runs clients at once.
func together(do func(client int) error) error {
	var clients errgroup.Group
	for client := range callers {
		clients.Go(func() error { return do(client) })
	}
	return clients.Wait()
}

func (f *fleet) stop(ctx context.Context, c caller.Container) error {
	took, err := f.extra.Stop(ctx, c)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ends = append(f.ends, ms(took))
	return err
}

// startAndStop is for a container that ends before its link is in the sandbox.
func (f *fleet) startAndStop(ctx context.Context, i int) error {
	c, err := f.extra.Start(ctx, i)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.beside = append(f.beside, ms(c.Took))
	f.mu.Unlock()
	_, err = f.extra.Stop(ctx, c)
	return err
}

// quiet returns when the host has nothing more to do for containers that left:
// their links go after the answer. What passes over the host as well is not
// known, and shows in the 99 %.
func (f *fleet) quiet(ctx context.Context) error {
	for last := -1; ; {
		var links []net.Interface
		err := netns.Do(f.host.NetNS(), func() (err error) {
			links, err = net.Interfaces()
			return err
		})
		if err != nil || len(links) == last {
			return err
		}
		last = len(links)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settle):
		}
	}
}
