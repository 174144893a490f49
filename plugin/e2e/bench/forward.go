package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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

// nameProxy is a host that answers unicast probes by the kernel's proxy.
const nameProxy = "kernel proxy"

// A burden is what a host has to do beside forwarding.
type burden struct {
	name string
	open func(b *bench, h *lab.Node, addrs []netip.Addr) error
}

func burdens() []burden {
	all := []burden{{nameProxy, func(_ *bench, h *lab.Node, addrs []netip.Addr) error { return peer.Kernel(h, "eth0", addrs) }}}
	if responder.Available() == nil {
		all = append([]burden{{nameBPF, func(b *bench, h *lab.Node, addrs []netip.Addr) error {
			r, err := peer.BPF(h, "eth0", addrs)
			if err == nil {
				b.later(r.Close)
			}
			return err
		}}}, all...)
	}
	return all
}

// measureForwarding compares forwarding by hosts that answer for few and for
// many addresses.
func measureForwarding(ctx context.Context, o options) (_ page.Part, err error) {
	sizes, rounds := []int{0, 1000, 10_000, 30_000}, 15
	if o.short {
		sizes, rounds = []int{0, 100}, 2
	}
	kinds := []load.Kind{load.Packets, load.TCPIn, load.Connections}
	b := new(bench)
	defer func() { err = errors.Join(err, b.close()) }()
	if b.lab, err = lab.New(ctx, lab.Options{}); err != nil {
		return page.Part{}, err
	}
	b.later(b.lab.Close)
	if err := b.lab.Router.SetSysctl("net/ipv4/ip_local_port_range", "1024 65535"); err != nil {
		return page.Part{}, err
	}
	row := func(bu burden, size int) string { return bu.name + ", " + sheet.Number(float64(size)) }
	var paths []*path
	for _, bu := range burdens() {
		for _, size := range sizes {
			p := &path{name: row(bu, size)}
			paths = append(paths, p)
			if err := b.forwarder(ctx, p, bu, 10+len(paths), size); err != nil {
				return page.Part{}, fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	rates, err := b.rates(ctx, paths, kinds, rounds, 80*time.Millisecond)
	if err != nil {
		return page.Part{}, err
	}
	table := page.Table{Table: rateTable("who answers, addresses", paths, kinds, rates)}
	lines := &chart.Lines{Title: "Forwarding small packets", Unit: "1,000 packets a CPU second, more is better", Axis: "addresses answered for"}
	for _, bu := range burdens() {
		series := chart.Series{Name: bu.name}
		for i, size := range sizes {
			series.Values = append(series.Values, rates[row(bu, size)][0].Median())
			if i > 0 {
				table.Ratios = append(table.Ratios, sheet.Ratio{Of: row(bu, size), To: row(bu, sizes[0])})
			}
		}
		lines.Series = append(lines.Series, series)
	}
	for _, size := range sizes {
		lines.Steps = append(lines.Steps, sheet.Number(float64(size)))
	}
	return page.Part{Tables: []page.Table{table}, Charts: []page.Chart{{Name: "forward", Lines: lines}}}, nil
}

// forwarder makes a host without rules that answers for a number of addresses,
// and a container behind it.
func (b *bench) forwarder(ctx context.Context, p *path, bu burden, number, size int) error {
	host, err := b.lab.AddNode(ctx, fmt.Sprintf("forward%d", number), number)
	if err != nil {
		return err
	}
	if err := unhooked(host); err != nil {
		return err
	}
	if err := b.bare(ctx, p, host, number); err != nil {
		return err
	}
	// Packed addresses: the entries are as many, and their groups, which forwarding does not ask for, few.
	addrs, err := addresses(netip.MustParsePrefix(fmt.Sprintf("2001:db8:%d:0:a::/80", number)), alloc.Packed, size)
	if err != nil {
		return err
	}
	return bu.open(b, host, addrs)
}
