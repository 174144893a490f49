package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/plugin/e2e/bench/load"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// dockerOfPaths is the version that ndp6's paths are compared with.
const dockerOfPaths = "28.5"

// kinds are the columns of the table.
func kinds() []load.Kind {
	return []load.Kind{load.TCPIn, load.TCPOut, load.Packets, load.Requests, load.Connections}
}

// measurePaths measures every kind on every path, in another order each round,
// so that what else the machine does falls on all of them.
func measurePaths(ctx context.Context, w io.Writer, rounds int, duration time.Duration) (err error) {
	b := new(bench)
	defer func() { err = errors.Join(err, b.close()) }()
	paths, err := b.build(ctx)
	if err != nil {
		return err
	}
	client, err := load.Start(ctx, "router", b.lab.Router.NetNS())
	if err != nil {
		return err
	}
	b.later(client.Close)
	type job struct {
		path *path
		kind load.Kind
	}
	var jobs []job
	for _, p := range paths {
		for _, k := range kinds() {
			jobs = append(jobs, job{p, k})
		}
	}
	rates := make(map[string]map[load.Kind][]load.Rate)
	for round := range rounds + 1 {
		rand.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
		for _, j := range jobs {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			d := duration
			if round == 0 {
				d = 20 * time.Millisecond // It only warms up.
			}
			rate, err := load.Measure(j.kind, client, j.path.server, j.path.target, d)
			if err != nil {
				return fmt.Errorf("%s: %w", j.path.name, err)
			}
			if round == 0 {
				continue
			}
			if rates[j.path.name] == nil {
				rates[j.path.name] = make(map[load.Kind][]load.Rate)
			}
			rates[j.path.name][j.kind] = append(rates[j.path.name][j.kind], rate)
		}
	}
	return printPaths(w, paths, rates)
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

// printPaths prints medians, with the distance between the quartiles, and how
// ndp6 stands to the others.
func printPaths(w io.Writer, paths []*path, rates map[string]map[load.Kind][]load.Rate) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := []string{"path"}
	for _, k := range kinds() {
		head = append(head, string(k)+", "+unit(k).name)
	}
	fmt.Fprintln(table, strings.Join(head, "\t")+"\t")
	for _, p := range paths {
		fmt.Fprint(table, p.name)
		for _, k := range kinds() {
			var values []float64
			for _, r := range rates[p.name][k] {
				values = append(values, r.PerSecond()/unit(k).size)
			}
			fmt.Fprint(table, "\t", spread(values, "%.1f"))
		}
		fmt.Fprintln(table, "\t")
	}
	for _, c := range [][2]string{
		{pathNDP6, pathPlain},
		{pathNDP6, pathBridge},
		{pathNDP6, pathBeside},
		{pathAlone, pathPlain},
		{pathAlone, pathBridge},
		{pathNAT, pathNDP6},
		{pathNPT, pathNDP6},
		{pathNAT, pathBridge},
		{pathNAT, pathBeside},
	} {
		fmt.Fprintf(table, "%s / %s", c[0], c[1])
		for _, k := range kinds() {
			var ratios []float64
			for i, r := range rates[c[0]][k] {
				ratios = append(ratios, r.PerSecond()/rates[c[1]][k][i].PerSecond())
			}
			fmt.Fprint(table, "\t", spread(ratios, "%.2f"))
		}
		fmt.Fprintln(table, "\t")
	}
	return table.Flush()
}

// spread is the median and half the distance between the quartiles, in percent.
func spread(values []float64, format string) string {
	median := quantile(values, 0.5)
	return fmt.Sprintf(format+" ±%.0f%%", median, 50*(quantile(values, 0.75)-quantile(values, 0.25))/median)
}

type measure struct {
	name string
	size float64
}

func unit(k load.Kind) measure {
	if k == load.TCPIn || k == load.TCPOut {
		return measure{"Gb/s", 1e9 / 8}
	}
	return measure{"k/s", 1e3}
}
