package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// measureStarts measures one version after the other.
func measureStarts(ctx context.Context, o options) (page.Part, error) {
	table := page.Table{Table: sheet.Table{
		Corner: "Docker",
		Columns: []sheet.Column{
			{Name: "no network", Unit: "ms"}, {Name: "share of the IPv6 bridge", Unit: "ms"}, {Name: "share of ndp6", Unit: "ms"}, {Name: "ndp6 / bridge"},
		},
	}}
	bars := &chart.Bars{Title: "Share of a network in the time of docker run", Unit: "ms, less is better"}
	for _, release := range lab.Releases() {
		if o.versions != "" && !slices.Contains(strings.Split(o.versions, ","), release.Docker) {
			continue
		}
		times, err := measureStart(ctx, release, o)
		if err != nil {
			return page.Part{}, fmt.Errorf("docker %s: %w", release.Docker, err)
		}
		none := times[0]
		bridge, ndp6 := times[1].Minus(none), times[2].Minus(none)
		table.Rows = append(table.Rows, sheet.Row{Name: release.Docker, Cells: []stat.Sample{
			none, bridge, ndp6, {ndp6.Median() / bridge.Median()}, // A share of one round may be near 0.
		}})
		bars.Bars = append(bars.Bars, chart.Bar{Name: "ndp6 on " + release.Docker, Value: ndp6.Median(), Ours: true},
			chart.Bar{Name: "bridge on " + release.Docker, Value: bridge.Median()})
	}
	var short []string
	for _, r := range table.Rows {
		short = append(short, fmt.Sprintf("%s of the IPv6 bridge's share on Docker %s", table.Median(r.Name, 3), r.Name))
	}
	return page.Part{Short: strings.Join(short, ", "), Tables: []page.Table{table}, Charts: []page.Chart{{Name: "start", Bars: bars}}}, nil
}

// measureStart times docker run on no network, on Docker's bridge and on ndp6.
func measureStart(ctx context.Context, release lab.Release, o options) (times []stat.Sample, err error) {
	root, err := lab.Root(ctx, release, os.Stderr)
	if err != nil {
		return nil, err
	}
	l, err := lab.New(ctx, lab.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	h, err := l.AddHost(ctx, 10, root)
	if err != nil {
		return nil, err
	}
	if err := h.StartPlugin(ctx, o.binary, "--log-level=info"); err != nil {
		return nil, err
	}
	if err := h.StartEngine(ctx); err != nil {
		return nil, err
	}
	for _, args := range []string{
		"network create -d ndp6 --ipam-driver ndp6 --ipv6 --subnet 2001:db8:1:0:b::/80 ndp6",
		"network create -d bridge --ipv6 --subnet fd00:1::/64 bridge6",
	} {
		if _, err := h.Docker(ctx, strings.Fields(args)...); err != nil {
			return nil, err
		}
	}
	return startTimes(ctx, h, o.rounds, "none", "bridge6", "ndp6")
}

// startTimes times `docker run --rm` on each network in turn, so that what else
// the machine does falls on all of them.
func startTimes(ctx context.Context, h *lab.Host, rounds int, networks ...string) ([]stat.Sample, error) {
	times := make([]stat.Sample, len(networks))
	for round := range rounds + 1 {
		for i, network := range networks {
			start := time.Now()
			if _, err := h.Docker(ctx, "run", "--rm", "--network", network, lab.Image, "true"); err != nil {
				return nil, err
			}
			if round > 0 { // The first only warms up.
				times[i] = append(times[i], ms(time.Since(start)))
			}
		}
	}
	return times, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
