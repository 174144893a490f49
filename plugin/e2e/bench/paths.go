package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/load"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// dockerOfPaths is the version that ndp6's paths are compared with.
const dockerOfPaths = "28.5"

// kinds are the columns of the table.
func kinds() []load.Kind {
	return []load.Kind{load.TCPIn, load.TCPOut, load.CubicIn, load.CubicOut, load.Packets, load.Requests, load.Connections}
}

// measurePaths compares ways through hosts with and without ndp6.
func measurePaths(ctx context.Context, o options) (_ page.Part, err error) {
	b := new(bench)
	defer func() { err = errors.Join(err, b.close()) }()
	paths, err := b.build(ctx)
	if err != nil {
		return page.Part{}, err
	}
	rounds := 20
	if o.short {
		rounds = 2
	}
	// A stream takes a while to be as large as it gets.
	rates, err := b.rates(ctx, paths, kinds(), rounds, 300*time.Millisecond)
	if err != nil {
		return page.Part{}, err
	}
	table := page.Table{Table: rateTable("path", paths, kinds(), rates)}
	for _, c := range [][2]string{
		{pathNDP6, pathPlain},
		{pathNDP6, pathBridge},
		{pathNDP6, pathBeside},
		{pathFast, pathPlain},
		{pathFast, pathBridge},
		{pathRule, pathPlain},
		{pathAlone, pathPlain},
		{pathAlone, pathRule},
		{pathAlone, pathBridge},
		{pathNAT, pathNDP6},
		{pathNPT, pathNDP6},
		{pathNAT, pathBridge},
		{pathNAT, pathBeside},
	} {
		table.Ratios = append(table.Ratios, sheet.Ratio{Of: c[0], To: c[1]})
	}
	packets := slices.Index(kinds(), load.Packets)
	bars := &chart.Bars{Title: "Small packets to a published port", Unit: "1,000 packets a CPU second, more is better"}
	for _, r := range table.Rows {
		bars.Bars = append(bars.Bars, bar(r.Name, r.Cells[packets].Median()))
	}
	return page.Part{
		Short: fmt.Sprintf("ndp6's rules carry %s of the TCP stream of a host without rules, and %s of the small packets of Docker's bridge; the fast path %s and %s",
			table.Ratio(pathAlone, pathPlain, 0), table.Ratio(pathNDP6, pathBridge, packets),
			table.Ratio(pathFast, pathPlain, 0), table.Ratio(pathFast, pathBridge, packets)),
		Versions: []string{"Docker " + dockerOfPaths, "TCP " + congestionControl()},
		Tables:   []page.Table{table}, Charts: []page.Chart{{Name: "path", Bars: bars}},
	}, nil
}

// rates measures every kind on every path, streams for as long as is said, in
// another order each round. Each path has a sample for each kind, in gigabits or
// thousands a second.
func (b *bench) rates(ctx context.Context, paths []*path, kinds []load.Kind, rounds int, stream time.Duration) (_ map[string][]stat.Sample, err error) {
	client, err := load.Start(ctx, "router", b.lab.Router.NetNS())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	type job struct {
		path *path
		kind int
	}
	var jobs []job
	rates := make(map[string][]stat.Sample)
	for _, p := range paths {
		rates[p.name] = make([]stat.Sample, len(kinds))
		for k := range kinds {
			jobs = append(jobs, job{p, k})
		}
	}
	for round := range rounds + 1 {
		rand.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
		for _, j := range jobs {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			d := 80 * time.Millisecond
			if kinds[j.kind].IsStream() {
				d = stream
			}
			if round == 0 {
				d = 20 * time.Millisecond // It only warms up.
			}
			rate, err := load.Measure(kinds[j.kind], client, j.path.server, j.path.target, d)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", j.path.name, err)
			}
			if round > 0 {
				cell := &rates[j.path.name][j.kind]
				*cell = append(*cell, rate.PerSecond()/unit(kinds[j.kind]).size)
			}
		}
	}
	return rates, nil
}

// build makes the lab and all paths through it.
func (b *bench) build(ctx context.Context) ([]*path, error) {
	var err error
	for _, release := range lab.Releases() {
		if release.Docker == dockerOfPaths {
			if b.root, err = lab.Root(ctx, release, os.Stderr); err != nil {
				return nil, err
			}
		}
	}
	if b.lab, err = lab.New(ctx, lab.Options{}); err != nil {
		return nil, err
	}
	b.later(b.lab.Close)
	// Each connection has another port, for as many as there are in a second.
	if err := b.lab.Router.SetSysctl("net/ipv4/ip_local_port_range", "1024 65535"); err != nil {
		return nil, err
	}
	var paths []*path
	var rest errgroup.Group
	for i, build := range b.builders() {
		more, fn, err := build(ctx, 10+i)
		if err != nil {
			return nil, err
		}
		paths = append(paths, more...)
		rest.Go(fn)
	}
	return paths, rest.Wait()
}

// rateTable has a row for each path and a column for each kind.
func rateTable(corner string, paths []*path, kinds []load.Kind, rates map[string][]stat.Sample) sheet.Table {
	table := sheet.Table{Corner: corner}
	for _, k := range kinds {
		table.Columns = append(table.Columns, sheet.Column{Name: string(k), Unit: unit(k).name})
	}
	for _, p := range paths {
		table.Rows = append(table.Rows, sheet.Row{Name: p.name, Cells: rates[p.name]})
	}
	return table
}

type measure struct {
	name string
	size float64
}

func unit(k load.Kind) measure {
	if k.IsStream() {
		return measure{"Gb/s", 1e9 / 8}
	}
	return measure{"k/s", 1e3}
}
