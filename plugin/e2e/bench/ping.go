package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/ndp6/ndp6/netutil/responder"
	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/peer"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
)

// Names of the subjects.
const (
	namePlain  = "plain host"
	nameKernel = "ndp6, kernel"
	nameBPF    = "ndp6, bpf"
	nameRecipe = "documentation's recipe"
	nameNdppd  = "ndppd"
)

// responders are the names of the plugin's ways to answer, with the flags that
// choose them, as far as the binary and the kernel have them.
func (o options) responders(ctx context.Context) ([]string, map[string][]string, error) {
	help, err := exec.CommandContext(ctx, o.binary, "serve", "--help").CombinedOutput()
	if err != nil {
		return nil, nil, fmt.Errorf("%s serve --help: %w", o.binary, err)
	}
	if !strings.Contains(string(help), "--responder ") {
		return []string{nameKernel}, nil, nil
	}
	flags := map[string][]string{nameKernel: {"--responder=kernel"}, nameBPF: {"--responder=bpf"}}
	names := []string{nameKernel}
	if responder.Available() == nil {
		names = append(names, nameBPF)
	}
	return names, flags, nil
}

// all makes every subject, each on a host of its own.
func (s *street) all(ctx context.Context) ([]subject, error) {
	names, flags, err := s.o.responders(ctx)
	if err != nil {
		return nil, err
	}
	makers := []func(context.Context, int) (subject, error){
		func(ctx context.Context, n int) (subject, error) { return s.plain(ctx, namePlain, n) },
	}
	for _, name := range names {
		makers = append(makers, func(ctx context.Context, n int) (subject, error) {
			return s.ndp6(ctx, name, n, poolOf(n), flags[name]...)
		})
	}
	makers = append(makers,
		func(ctx context.Context, n int) (subject, error) { return s.process(ctx, nameNdppd, n, peer.Ndppd) },
		func(ctx context.Context, n int) (subject, error) { return s.recipe(ctx, nameRecipe, n, poolOf(n)) },
	)
	if name, start := s.o.other(); start != nil {
		makers = append(makers, func(ctx context.Context, n int) (subject, error) { return s.process(ctx, name, n, start) })
	}
	subjects := make([]subject, len(makers))
	for i, m := range makers {
		if subjects[i], err = m(ctx, 10+i); err != nil {
			return nil, fmt.Errorf("host %d: %w", i, err)
		}
	}
	return subjects, nil
}

// measurePings times the router's first ping to each new container.
func measurePings(ctx context.Context, o options) (_ page.Part, err error) {
	s, err := newStreet(ctx, o)
	if err != nil {
		return page.Part{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	subjects, err := s.all(ctx)
	if err != nil {
		return page.Part{}, err
	}
	times := make([]stat.Sample, len(subjects))
	for round := range o.rounds {
		for i, sub := range subjects {
			took, err := s.firstPing(ctx, sub, round)
			if err != nil {
				return page.Part{}, fmt.Errorf("%s: %w", sub.name, err)
			}
			times[i] = append(times[i], ms(took))
		}
	}
	table := page.Table{Table: sheet.Table{Corner: "who answers", Columns: []sheet.Column{
		{Name: "first ping", Unit: "ms"}, {Name: "p90", Unit: "ms", Quantile: 0.9},
	}}}
	bars := &chart.Bars{Title: "First ping to a new container", Unit: "ms, median, less is better", Log: true}
	for i, sub := range subjects {
		table.Rows = append(table.Rows, sheet.Row{Name: sub.name, Cells: []stat.Sample{times[i], times[i]}})
		bars.Bars = append(bars.Bars, bar(sub.name, times[i].Median()))
	}
	for _, name := range []string{nameKernel, nameBPF} {
		table.Ratios = append(table.Ratios, sheet.Ratio{Of: name, To: namePlain})
		for _, of := range []string{nameNdppd, nameRecipe} {
			table.Ratios = append(table.Ratios, sheet.Ratio{Of: of, To: name})
		}
	}
	versions, err := packageVersion(ctx, "ndppd")
	return page.Part{
		Short: best(table.Table, func(name string) string {
			return fmt.Sprintf("%s ms, %s times what a plain host takes; the documentation's recipe takes %s times as long",
				table.Median(name, 0), table.Ratio(name, namePlain, 0), table.Ratio(nameRecipe, name, 0))
		}),
		Versions: []string{"Docker " + dockerOfPaths, versions},
		Tables:   []page.Table{table}, Charts: []page.Chart{{Name: "ping", Bars: bars}},
	}, err
}

// best says something of the rows of ndp6 that a table has.
func best(table sheet.Table, say func(name string) string) string {
	var all []string
	for _, name := range []string{nameBPF, nameKernel} {
		if _, ok := table.Row(name); ok {
			all = append(all, name+" "+say(name))
		}
	}
	return strings.Join(all, "; ")
}

// bar is that of a row, of which those of ndp6 stand out.
func bar(name string, value float64) chart.Bar {
	return chart.Bar{Name: name, Value: value, Ours: strings.HasPrefix(name, "ndp6")}
}

// pingLimit is what a ping takes that is not answered.
const pingLimit = 5 * time.Second

// firstPing starts a container, pings it once and stops it.
func (s *street) firstPing(ctx context.Context, sub subject, round int) (time.Duration, error) {
	addr, err := sub.addr(round)
	if err != nil {
		return 0, err
	}
	stop, err := sub.start(ctx, round)
	if err != nil {
		return 0, err
	}
	took, err := s.Router.Ping(ctx, addr, pingLimit)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		took, err = pingLimit, nil
	}
	return took, errors.Join(err, stop(ctx))
}
