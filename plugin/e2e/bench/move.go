package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/pulse"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
)

// outageLimit is how long anybody waits for an address that moved.
const outageLimit = time.Minute

// A mover is two hosts of one kind, between which containers move with their
// addresses.
type mover struct {
	name     string
	from, to subject
}

// movers makes the hosts.
func (s *street) movers(ctx context.Context) ([]mover, error) {
	names, flags, err := s.o.responders(ctx)
	if err != nil {
		return nil, err
	}
	var all []mover
	number := 10
	add := func(name string, pool netip.Prefix, build func(name string, number int, pool netip.Prefix) (subject, error)) error {
		m := mover{name: name}
		for _, sub := range []*subject{&m.from, &m.to} {
			if *sub, err = build(name, number, pool); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			number++
		}
		all = append(all, m)
		return nil
	}
	for _, name := range names {
		if err := add(name, poolOf(number), func(name string, number int, pool netip.Prefix) (subject, error) {
			return s.ndp6(ctx, name, number, pool, flags[name]...)
		}); err != nil {
			return nil, err
		}
	}
	return all, add(nameRecipe, poolOf(number), func(name string, number int, pool netip.Prefix) (subject, error) {
		return s.recipe(ctx, name, number, pool)
	})
}

// measureMoves moves containers, while the router talks to them, and times how
// long they are not reached from the moment that they run on the other host.
func measureMoves(ctx context.Context, o options) (_ page.Part, err error) {
	containers := 5
	if o.short {
		containers = 1
	}
	s, err := newStreet(ctx, o)
	if err != nil {
		return page.Part{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	movers, err := s.movers(ctx)
	if err != nil {
		return page.Part{}, err
	}
	if o.short {
		movers = movers[:1] // The others take most of a minute.
	}
	samples := make([]stat.Sample, len(movers))
	var mu sync.Mutex
	var waits errgroup.Group
	for i := range containers {
		for m, mover := range movers {
			// dockerd starts one container after the other; the waits overlap.
			wait, err := s.move(ctx, mover, i)
			if err != nil {
				return page.Part{}, errors.Join(fmt.Errorf("%s: %w", mover.name, err), waits.Wait())
			}
			waits.Go(func() error {
				outage, err := wait()
				mu.Lock()
				defer mu.Unlock()
				samples[m] = append(samples[m], ms(outage))
				return err
			})
		}
	}
	if err := waits.Wait(); err != nil {
		return page.Part{}, err
	}
	table := page.Table{Table: sheet.Table{Corner: "who answers", Columns: []sheet.Column{
		{Name: "not reached", Unit: "ms"}, {Name: "longest", Unit: "ms", Quantile: 1},
	}}}
	bars := &chart.Bars{Title: "A container moves to another host with its address", Unit: "ms not reached, median, less is better", Log: true}
	for m, mover := range movers {
		table.Rows = append(table.Rows, sheet.Row{Name: mover.name, Cells: []stat.Sample{samples[m], samples[m]}})
		bars.Bars = append(bars.Bars, bar(mover.name, samples[m].Median()))
		table.Ratios = append(table.Ratios, sheet.Ratio{Of: mover.name, To: nameRecipe})
	}
	table.Ratios = table.Ratios[:max(0, len(movers)-1)]
	return page.Part{
		Short: best(table.Table, func(name string) string { return table.Median(name, 0) + " ms" }) +
			"; documentation's recipe " + table.Median(nameRecipe, 0) + " ms",
		Versions: []string{"Docker " + dockerOfPaths},
		Tables:   []page.Table{table}, Charts: []page.Chart{{Name: "move", Bars: bars}},
	}, nil
}

// move moves container i. What it returns waits for the first answer from the
// other host.
func (s *street) move(ctx context.Context, m mover, i int) (wait func() (time.Duration, error), err error) {
	addr, err := m.from.addr(i)
	if err != nil {
		return nil, err
	}
	stop, err := m.from.start(ctx, i)
	if err != nil {
		return nil, err
	}
	p, err := pulse.Start(ctx, s.Router.NetNS(), addr, 10*time.Millisecond)
	if err != nil {
		return nil, err
	}
	if _, err := answered(ctx, p, time.Time{}, 5*time.Second); err != nil {
		return nil, err
	}
	if err := stop(ctx); err != nil {
		return nil, err
	}
	if _, err := m.to.start(ctx, i); err != nil {
		return nil, err
	}
	running := time.Now()
	return func() (time.Duration, error) {
		outage, err := answered(ctx, p, running, outageLimit)
		_, stopErr := p.Stop(0)
		return outage, errors.Join(err, stopErr)
	}, nil
}

// answered waits for the answer to a request that was sent after a time, and
// returns how long that took, at most the limit.
func answered(ctx context.Context, p *pulse.Pulse, after time.Time, limit time.Duration) (time.Duration, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; {
		if b, ok := p.Answered(after); ok {
			return max(0, b.Sent.Add(b.Took).Sub(after)), nil
		}
		if time.Now().After(end) {
			return limit, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
