package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// measureCalls times what the plugin does for a container, for 8 clients at
// once, with few and with many endpoints, one host after the other: each plugin
// looks at its host all the time, which takes the longer the more is there.
func measureCalls(ctx context.Context, o options) (_ page.Part, err error) {
	sizes, rounds, each := []int{10, 1000, 10_000}, 8, 6 // containers that a client starts in a round
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
		f, err := measureFleet(ctx, l, o, i, size, rounds, each)
		if err != nil {
			return page.Part{}, fmt.Errorf("%d endpoints: %w", size, err)
		}
		fleets = append(fleets, f)
	}
	table := page.Table{Table: sheet.Table{Corner: "endpoints", Columns: []sheet.Column{
		{Name: "CreateEndpoint + Join", Unit: "ms"},
		{Name: "p99", Unit: "ms", Quantile: 0.99},
		{Name: "while others leave", Unit: "ms"},
		{Name: "p99", Unit: "ms", Quantile: 0.99},
		{Name: "Leave + DeleteEndpoint", Unit: "ms"},
		{Name: "p99", Unit: "ms", Quantile: 0.99},
		{Name: "memory", Unit: "MB"},
	}}}
	bars := &chart.Bars{Title: "CreateEndpoint and Join, 8 clients at once", Unit: "ms, less is better"}
	for i, f := range fleets {
		size := sheet.Number(float64(sizes[i]))
		table.Rows = append(table.Rows, sheet.Row{Name: size, Cells: []stat.Sample{f.starts, f.starts, f.beside, f.beside, f.ends, f.ends, f.memory}})
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
