package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/pulse"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
)

// stall is what a packet does not take unless somebody must be found first.
const stall = 20 * time.Millisecond

// measureFailures has a router with short timers send to a container of each
// subject at once.
func measureFailures(ctx context.Context, o options) (_ page.Part, err error) {
	duration := time.Minute
	if o.short {
		duration = 3 * time.Second
	}
	s, err := newStreet(ctx, o)
	if err != nil {
		return page.Part{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	subjects, err := s.all(ctx)
	if err != nil {
		return page.Part{}, err
	}
	var addrs []netip.Addr
	for _, sub := range subjects {
		addr, err := sub.addr(1)
		if err != nil {
			return page.Part{}, err
		}
		if _, err := sub.start(ctx, 1); err != nil {
			return page.Part{}, fmt.Errorf("%s: %w", sub.name, err)
		}
		// The first packet finds the neighbor, which is not what is measured here.
		if _, err := s.Router.Ping(ctx, addr, 5*time.Second); err != nil {
			return page.Part{}, fmt.Errorf("%s: %w", sub.name, err)
		}
		addrs = append(addrs, addr)
	}
	for key, value := range map[string]string{"base_reachable_time_ms": "3000", "delay_first_probe_time": "1"} {
		if err := s.Router.SetSysctl("net/ipv6/neigh/lan/"+key, value); err != nil {
			return page.Part{}, err
		}
	}
	failures, err := watchFailures(ctx, s.Router.NetNS())
	if err != nil {
		return page.Part{}, err
	}
	beats, err := pulses(ctx, s.Router.NetNS(), addrs, duration)
	if err := errors.Join(err, failures.close()); err != nil {
		return page.Part{}, err
	}
	table := page.Table{Table: sheet.Table{Corner: "who answers", Columns: []sheet.Column{
		{Name: "entries that failed"}, {Name: "packets sent"}, {Name: "lost"}, {Name: "later than 20 ms"}, {Name: "slowest", Unit: "ms"},
	}}}
	bars := &chart.Bars{Title: "Router's entry for a busy container failed", Unit: fmt.Sprintf("times in %s, less is better", duration)}
	for i, sub := range subjects {
		var slowest time.Duration
		for _, b := range beats[i] {
			slowest = max(slowest, b.Took)
		}
		failed := float64(failures.of(addrs[i]))
		table.Rows = append(table.Rows, sheet.Row{Name: sub.name, Cells: []stat.Sample{
			{failed}, {float64(len(beats[i]))}, {float64(pulse.Lost(beats[i]))}, {float64(pulse.Slow(beats[i], stall))}, {ms(slowest)},
		}})
		bars.Bars = append(bars.Bars, bar(sub.name, failed))
	}
	versions, err := packageVersion(ctx, "ndppd")
	return page.Part{
		Short: best(table.Table, func(name string) string { return table.Median(name, 0) + " failed" }) +
			"; ndppd " + table.Median(nameNdppd, 0) + ", documentation's recipe " + table.Median(nameRecipe, 0),
		Versions: []string{"Docker " + dockerOfPaths, versions},
		Tables:   []page.Table{table}, Charts: []page.Chart{{Name: "nud", Bars: bars}},
	}, err
}

// pulses asks all addresses at once for a while, 20 times a second.
func pulses(ctx context.Context, path string, addrs []netip.Addr, duration time.Duration) ([][]pulse.Beat, error) {
	var all []*pulse.Pulse
	var errs []error
	for _, addr := range addrs {
		p, err := pulse.Start(ctx, path, addr, 50*time.Millisecond)
		if err != nil {
			errs = append(errs, err)
			break
		}
		all = append(all, p)
	}
	if len(errs) == 0 {
		select {
		case <-time.After(duration):
		case <-ctx.Done():
			errs = append(errs, ctx.Err())
		}
	}
	beats := make([][]pulse.Beat, len(all))
	var stops sync.WaitGroup
	var mu sync.Mutex
	for i, p := range all {
		stops.Go(func() {
			b, err := p.Stop(time.Second)
			mu.Lock()
			defer mu.Unlock()
			beats[i] = b
			errs = append(errs, err)
		})
	}
	stops.Wait()
	return beats, errors.Join(errs...)
}

// failures counts how often neighbor entries fail.
type failures struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	count map[string]int // by address
}

// watchFailures begins to count in the network namespace at path.
func watchFailures(ctx context.Context, path string) (*failures, error) {
	f := &failures{cmd: exec.CommandContext(ctx, "ip", "-6", "monitor", "neigh"), done: make(chan struct{}), count: make(map[string]int)}
	out, err := f.cmd.StdoutPipe()
	if err == nil {
		err = netns.Do(path, f.cmd.Start)
	}
	if err != nil {
		return nil, fmt.Errorf("watch neighbors: %w", err)
	}
	go f.read(out)
	return f, nil
}

func (f *failures) read(out io.Reader) {
	defer close(f.done)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if addr, rest, _ := strings.Cut(lines.Text(), " "); strings.Contains(rest, "FAILED") {
			f.mu.Lock()
			f.count[addr]++
			f.mu.Unlock()
		}
	}
}

func (f *failures) of(addr netip.Addr) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[addr.String()]
}

func (f *failures) close() error {
	err := f.cmd.Process.Kill()
	<-f.done
	_ = f.cmd.Wait() // It was killed.
	return err
}
