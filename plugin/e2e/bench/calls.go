package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/plugin/e2e/bench/caller"
	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

const (
	callers = 8    // clients at once
	crowd   = 1000 // endpoints on a network: a Linux bridge has 1,023 ports
)

// A fleet is a host whose plugin has many endpoints already.
type fleet struct {
	host     *lab.Host
	sandbox  *lab.Node // of all containers
	caller   *caller.Caller
	networks []*caller.Network
	extra    *caller.Network // where containers come and go
	next     int

	mu           sync.Mutex
	starts, ends stat.Sample
	memory       stat.Sample
}

// measureCalls times what the plugin does for a container, for 8 clients at
// once, with few and with many endpoints, each on a host of its own.
func measureCalls(ctx context.Context, o options) (_ page.Part, err error) {
	sizes, rounds, each := []int{10, 1000, 10_000}, 5, 6 // containers that a client starts in a round
	if o.short {
		sizes, rounds, each = []int{10, 100}, 1, 2
	}
	l, err := lab.New(ctx, lab.Options{})
	if err != nil {
		return page.Part{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	var fleets []*fleet
	for i, size := range sizes {
		f, err := newFleet(ctx, l, o, i, size)
		if err != nil {
			return page.Part{}, fmt.Errorf("%d endpoints: %w", size, err)
		}
		defer f.caller.Close()
		fleets = append(fleets, f)
	}
	for range rounds {
		for _, f := range fleets {
			if err := f.round(ctx, callers*each); err != nil {
				return page.Part{}, err
			}
		}
	}
	table := page.Table{Table: sheet.Table{Corner: "endpoints", Columns: []sheet.Column{
		{Name: "CreateEndpoint + Join", Unit: "ms"},
		{Name: "p99", Unit: "ms", Quantile: 0.99},
		{Name: "Leave + DeleteEndpoint", Unit: "ms"},
		{Name: "p99", Unit: "ms", Quantile: 0.99},
		{Name: "memory", Unit: "MB"},
	}}}
	bars := &chart.Bars{Title: "CreateEndpoint and Join, 8 clients at once", Unit: "ms, less is better"}
	for i, f := range fleets {
		size := sheet.Number(float64(sizes[i]))
		table.Rows = append(table.Rows, sheet.Row{Name: size, Cells: []stat.Sample{f.starts, f.starts, f.ends, f.ends, f.memory}})
		bars.Bars = append(bars.Bars, chart.Bar{Name: size + " endpoints", Value: f.starts.Median(), Ours: true},
			chart.Bar{Name: size + ", 99 % within", Value: f.starts.Quantile(0.99)})
		if i > 0 {
			table.Ratios = append(table.Ratios, sheet.Ratio{Of: size, To: table.Rows[0].Name})
		}
	}
	last := table.Rows[len(table.Rows)-1]
	short := fmt.Sprintf("CreateEndpoint and Join take %s ms with %s endpoints, 99 %% of them at most %s ms",
		table.Median(last.Name, 0), last.Name, sheet.Number(last.Cells[1].Quantile(0.99)))
	return page.Part{Short: short, Tables: []page.Table{table}, Charts: []page.Chart{{Name: "calls", Bars: bars}}}, nil
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
	var clients errgroup.Group
	for client := range callers {
		clients.Go(func() (err error) {
			for i := client; i < n && err == nil; i += callers {
				containers[i], err = network.Start(ctx, from+i)
			}
			return err
		})
	}
	if err := clients.Wait(); err != nil {
		return nil, err
	}
	moves := make([]string, n)
	for i, c := range containers {
		moves[i] = fmt.Sprintf("link set %s netns %s", c.Link, f.sandbox.NetNS())
	}
	// Not the host's own ip: it has other processes, and would find no path of ours.
	return containers, execIn(ctx, f.host.NetNS(), strings.NewReader(strings.Join(moves, "\n")+"\n"), "ip", "-batch", "-")
}

// round starts and stops n containers beside those that are there, and notes how
// long it took.
func (f *fleet) round(ctx context.Context, n int) error {
	containers, err := f.start(ctx, f.extra, f.next, n)
	if err != nil {
		return err
	}
	f.next += len(containers)
	memory, err := f.rss()
	if err != nil {
		return err
	}
	f.memory = append(f.memory, memory)
	var clients errgroup.Group
	clients.SetLimit(callers)
	for _, c := range containers {
		f.starts = append(f.starts, ms(c.Took))
		clients.Go(func() error {
			took, err := f.extra.Stop(ctx, c)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.ends = append(f.ends, ms(took))
			return err
		})
	}
	return clients.Wait()
}

// rss is the memory of the plugin's process, in megabytes.
func (f *fleet) rss() (float64, error) {
	pid, err := os.ReadFile(f.host.Path("/run/ndp6-lab/ndp6.pid"))
	if err != nil {
		return 0, err
	}
	status, err := os.ReadFile(f.host.Path("/proc/" + strings.TrimSpace(string(pid)) + "/status"))
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`).FindSubmatch(status)
	if m == nil {
		return 0, errors.New("the kernel does not tell how much memory the plugin has")
	}
	kb, err := strconv.ParseFloat(string(m[1]), 64)
	return kb * 1024 / 1e6, err
}
