package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/responder"
	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/load"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/peer"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

const (
	nameForward = "no proxy"
	nameProxy   = "kernel proxy"
)

// forwarding is hosts that forward to a container each, and answer for
// addresses beside.
type forwarding struct {
	*bench
	paths     []*path
	addrs     []netip.Addr // all that there will be
	proxy     *lab.Node    // whose kernel has the entries
	responder *responder.Responder
}

// measureForwarding compares forwarding by hosts that answer for few and for
// many addresses.
func measureForwarding(ctx context.Context, o options) (_ page.Part, err error) {
	sizes, rounds := []int{0, 1000, 10_000, 30_000}, 12
	if o.short {
		sizes, rounds = []int{0, 100}, 2
	}
	f := &forwarding{bench: new(bench)}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := f.open(ctx, sizes[len(sizes)-1]); err != nil {
		return page.Part{}, err
	}
	kinds := []load.Kind{load.Packets, load.CubicIn, load.Connections}
	table := page.Table{Table: rateTable("who answers, addresses", nil, kinds, nil)}
	lines := &chart.Lines{Title: "Forwarding small packets", Unit: "1,000 packets a CPU second, more is better", Axis: "addresses answered for"}
	for _, p := range slices.Backward(f.paths) { // Ours has the first color.
		lines.Series = append(lines.Series, chart.Series{Name: p.name})
	}
	before := 0
	for _, size := range sizes {
		if err := f.answer(f.addrs[before:size]); err != nil {
			return page.Part{}, err
		}
		before = size
		rates, err := f.rates(ctx, f.paths, kinds, rounds, 80*time.Millisecond)
		if err != nil {
			return page.Part{}, err
		}
		step := sheet.Number(float64(size))
		lines.Steps = append(lines.Steps, step)
		for i, p := range f.paths {
			table.Rows = append(table.Rows, sheet.Row{Name: p.name + ", " + step, Cells: rates[p.name]})
			series := &lines.Series[len(f.paths)-1-i]
			series.Values = append(series.Values, rates[p.name][0].Median())
			if i > 0 {
				table.Ratios = append(table.Ratios, sheet.Ratio{Of: p.name + ", " + step, To: nameForward + ", " + step})
			}
		}
	}
	step := lines.Steps[max(0, len(lines.Steps)-2)]
	short := []string{"with " + step + " addresses"}
	for _, p := range slices.Backward(f.paths[1:]) {
		short = append(short, fmt.Sprintf("%s forwards %s of the packets that a host without proxy does", p.name,
			table.Ratio(p.name+", "+step, nameForward+", "+step, 0)))
	}
	return page.Part{Short: strings.Join(short, ", "), Tables: []page.Table{table}, Charts: []page.Chart{{Name: "forward", Lines: lines}}}, nil
}

// open makes the hosts, which answer for nothing yet.
func (f *forwarding) open(ctx context.Context, n int) (err error) {
	if f.lab, err = lab.New(ctx, lab.Options{}); err != nil {
		return err
	}
	f.later(f.lab.Close)
	if err := f.lab.Router.SetSysctl("net/ipv4/ip_local_port_range", "1024 65535"); err != nil {
		return err
	}
	// Packed addresses: the entries are as many as others, and their groups, which forwarding does not ask for, few.
	if f.addrs, err = addresses(netip.MustParsePrefix("2001:db8:10:0:a::/80"), alloc.Packed, n); err != nil {
		return err
	}
	if _, err := f.forwarder(ctx, nameForward); err != nil {
		return err
	}
	if f.proxy, err = f.forwarder(ctx, nameProxy); err != nil {
		return err
	}
	if err := peer.Kernel(f.proxy, "eth0"); err != nil || responder.Available() != nil {
		return err
	}
	h, err := f.forwarder(ctx, nameBPF)
	if err != nil {
		return err
	}
	if f.responder, err = peer.BPF(h, "eth0", nil); err == nil {
		f.later(f.responder.Close)
	}
	return err
}

// forwarder makes a host without rules, and a container behind it.
func (f *forwarding) forwarder(ctx context.Context, name string) (*lab.Node, error) {
	number := 10 + len(f.paths)
	p := &path{name: name}
	f.paths = append(f.paths, p)
	return f.withoutDocker(ctx, p, fmt.Sprintf("forward%d", number), number)
}

// answer has the hosts answer for more addresses. The kernel has one table for
// all namespaces, so the entries are made once, for the host that walks it.
func (f *forwarding) answer(addrs []netip.Addr) error {
	if err := peer.AddEntries(f.proxy, "eth0", addrs); err != nil {
		return err
	}
	if f.responder == nil {
		return nil
	}
	return f.responder.Add(addrs...)
}
