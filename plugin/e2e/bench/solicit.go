package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/responder"
	"github.com/ndp6/ndp6/plugin/e2e/bench/ask"
	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/peer"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// nameSilent is the host that hears nothing: what is measured there is who asks.
const nameSilent = "nobody (who asks)"

// floodRate is how many solicitations a second must be answered.
const floodRate = 50_000

// A shop is a host that answers, or not, for many addresses.
type shop struct {
	name    string
	link    *ask.Link
	mac     inet.MAC
	addrs   []netip.Addr
	process *peer.Process // that answers, if it is one

	took                                stat.Sample // a value for each question; the others have one for each round
	group, alone, share, cost, capacity stat.Sample
	perQuestion                         time.Duration // CPU time of the last round, with that of who asks
}

// stand is how a shop begins to answer, with addresses of a mode.
type stand struct {
	name string
	mode alloc.Mode
	open func(ctx context.Context, b *bench, s *shop, h *lab.Node, pool netip.Prefix) error
}

// stands are all there are, in the order of the table.
func (o options) stands() []stand {
	plain := func(open func(*lab.Node, string, []netip.Addr) error) func(context.Context, *bench, *shop, *lab.Node, netip.Prefix) error {
		return func(_ context.Context, _ *bench, s *shop, h *lab.Node, _ netip.Prefix) error {
			return open(h, "eth0", s.addrs)
		}
	}
	process := func(start func(ctx context.Context, path, link string, pool netip.Prefix) (*peer.Process, error)) func(context.Context, *bench, *shop, *lab.Node, netip.Prefix) error {
		return func(ctx context.Context, b *bench, s *shop, h *lab.Node, pool netip.Prefix) (err error) {
			if err := h.SetSysctl("net/ipv6/conf/all/forwarding", "1"); err != nil {
				return err
			}
			if s.process, err = start(ctx, h.NetNS(), "eth0", pool); err == nil {
				b.later(s.process.Close)
			}
			return err
		}
	}
	all := []stand{
		{nameSilent, alloc.MAC, func(_ context.Context, _ *bench, _ *shop, h *lab.Node, _ netip.Prefix) error {
			return h.SetSysctl("net/ipv6/conf/eth0/disable_ipv6", "1")
		}},
		{nameBPF, alloc.MAC, func(_ context.Context, b *bench, s *shop, h *lab.Node, _ netip.Prefix) error {
			r, err := peer.BPF(h, "eth0", s.addrs)
			if err == nil {
				b.later(r.Close)
			}
			return err
		}},
		{nameKernel + ", packed", alloc.Packed, plain(peer.Kernel)},
		{nameKernel, alloc.MAC, plain(peer.Kernel)},
		{nameNdppd, alloc.MAC, process(peer.Ndppd)},
		{nameRecipe, alloc.MAC, plain(peer.Recipe)},
	}
	if responder.Available() != nil {
		all = slices.DeleteFunc(all, func(s stand) bool { return s.name == nameBPF })
	}
	if o.command != "" {
		words := strings.Fields(o.command)
		all = append(all, stand{filepath.Base(words[0]), alloc.MAC, process(
			func(ctx context.Context, path, link string, pool netip.Prefix) (*peer.Process, error) {
				return peer.Start(ctx, path, o.command, link, pool)
			},
		)})
	}
	return all
}

// measureSolicitations asks hosts for addresses.
func measureSolicitations(ctx context.Context, o options) (_ page.Part, err error) {
	n, rounds, duration := 10_000, 3, 2*time.Second
	if o.short {
		n, rounds, duration = 100, 1, 100*time.Millisecond
	}
	b := new(bench)
	defer func() { err = errors.Join(err, b.close()) }()
	if b.lab, err = lab.New(ctx, lab.Options{}); err != nil {
		return page.Part{}, err
	}
	b.later(b.lab.Close)
	var shops []*shop
	for i, st := range o.stands() {
		s, err := b.openShop(ctx, st, 10+i, n)
		if err != nil {
			return page.Part{}, fmt.Errorf("%s: %w", st.name, err)
		}
		shops = append(shops, s)
	}
	for _, s := range shops {
		if err := s.opened(); err != nil {
			return page.Part{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for range rounds {
		for _, s := range shops {
			if err := errors.Join(ctx.Err(), s.round(shops[0], duration)); err != nil {
				return page.Part{}, fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return solicitPart(ctx, shops, n)
}

// openShop makes a host with a link of its own to the router, whose own IPv6
// does not hear the answers.
func (b *bench) openShop(ctx context.Context, st stand, number, n int) (*shop, error) {
	h, err := b.lab.AddNode(ctx, fmt.Sprintf("shop%d", number), number)
	if err != nil {
		return nil, err
	}
	if err := b.wire(ctx, h, number); err != nil {
		return nil, err
	}
	pool := netip.MustParsePrefix(fmt.Sprintf("2001:db8:%d:0:a::/80", number))
	s := &shop{name: st.name}
	if s.addrs, err = addresses(pool, st.mode, n); err != nil {
		return nil, err
	}
	if err := h.IP(ctx, "link add br0 type bridge", "link set br0 addrgenmode none up", fmt.Sprintf("route add %s dev br0", pool)); err != nil {
		return nil, err
	}
	if s.mac, err = macOf(h.NetNS(), "eth0"); err != nil {
		return nil, err
	}
	link := fmt.Sprintf("p%d", number)
	if err := b.lab.Router.SetSysctl("net/ipv6/conf/"+link+"/disable_ipv6", "1"); err != nil {
		return nil, err
	}
	// Nobody is there to say where the router is.
	router, err := macOf(b.lab.Router.NetNS(), link)
	if err != nil {
		return nil, err
	}
	if err := h.IP(ctx, fmt.Sprintf("neigh replace %s lladdr %s dev eth0 nud permanent", hostAddr(number).Prev(), router)); err != nil {
		return nil, err
	}
	if err := st.open(ctx, b, s, h, pool); err != nil {
		return nil, err
	}
	if s.link, err = ask.Open(b.lab.Router.NetNS(), link, hostAddr(number).Prev()); err == nil {
		b.later(s.link.Close)
	}
	return s, err
}

// opened waits until a process answers, which takes it a moment at its start,
// or has had two seconds.
func (s *shop) opened() error {
	for end := time.Now().Add(2 * time.Second); s.process != nil && time.Now().Before(end); {
		if took, err := s.link.Each(s.addrs[:1], inet.MAC{}, 0, 100*time.Millisecond); err != nil || len(took) > 0 {
			return err
		}
	}
	return nil
}

// macOf is the address of a link of the network namespace at path.
func macOf(path, link string) (mac inet.MAC, err error) {
	return mac, netns.Do(path, func() error {
		ifi, err := net.InterfaceByName(link)
		if err == nil {
			mac = inet.MAC(ifi.HardwareAddr)
		}
		return err
	})
}

// few are the questions one by one.
const few = 20

// round asks a host in all ways.
func (s *shop) round(silent *shop, duration time.Duration) error {
	late := 50 * time.Millisecond
	if s != silent {
		// Who answers all does not take so long. The recipe answers after up to 0.8 s.
		took, err := s.link.Each(s.addrs[:few], inet.MAC{}, 2*time.Millisecond, 1500*time.Millisecond)
		if err != nil {
			return err
		}
		s.took = append(s.took, stat.Of(took, time.Millisecond)...)
		s.group = append(s.group, float64(len(took)))
		if took, err = s.link.Each(s.addrs[:few], s.mac, 2*time.Millisecond, 300*time.Millisecond); err != nil {
			return err
		}
		s.alone = append(s.alone, float64(len(took)))
	}
	if s.name == nameRecipe {
		late = time.Second
	}
	before, err := s.cpu()
	if err != nil {
		return err
	}
	f, err := s.link.Flood(s.addrs, floodRate, duration, late)
	if err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	s.perQuestion = (f.CPU + after - before) / time.Duration(f.Asked)
	s.cost = append(s.cost, float64(s.perQuestion-silent.perQuestion)/float64(time.Microsecond))
	if s == silent {
		s.cost[len(s.cost)-1] = float64(s.perQuestion) / float64(time.Microsecond)
		return nil
	}
	s.share = append(s.share, 100*f.Share())
	if f, err = s.link.Flood(s.addrs, 0, duration/2, late); err != nil {
		return err
	}
	s.capacity = append(s.capacity, float64(f.Answered)/f.Elapsed.Seconds())
	if s.process != nil {
		return s.process.Ended()
	}
	return nil
}

// cpu is the time so far of what works beside the thread that asks: the process
// that answers, and the kernel's threads that go on with packets.
func (s *shop) cpu() (time.Duration, error) {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return 0, err
	}
	var all time.Duration
	for _, name := range names {
		comm, err := os.ReadFile(name)
		if err != nil || !strings.HasPrefix(string(comm), "ksoftirqd/") {
			continue // It ended, or is another.
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return 0, err
		}
		used, err := peer.CPU(pid)
		if err != nil {
			return 0, err
		}
		all += used
	}
	if s.process == nil {
		return all, nil
	}
	used, err := s.process.CPU()
	return all + used, err
}

func solicitPart(ctx context.Context, shops []*shop, n int) (page.Part, error) {
	table := page.Table{Title: fmt.Sprintf("%s addresses", sheet.Number(float64(n))), Table: sheet.Table{
		Corner: "who answers",
		Columns: []sheet.Column{
			{Name: "answer", Unit: "ms"},
			{Name: "p90", Unit: "ms", Quantile: 0.9},
			{Name: fmt.Sprintf("answered of %d", few)},
			{Name: fmt.Sprintf("unicast, answered of %d", few)},
			{Name: fmt.Sprintf("answered at %s a second", sheet.Number(floodRate)), Unit: "%"},
			{Name: "CPU of each", Unit: "us"},
			{Name: "answers a second at most"},
		},
	}}
	capacity := &chart.Bars{Title: "Solicitations answered in a second", Unit: fmt.Sprintf("with %s addresses, more is better", sheet.Number(float64(n)))}
	for _, s := range shops {
		table.Rows = append(table.Rows, sheet.Row{Name: s.name, Cells: []stat.Sample{s.took, s.took, s.group, s.alone, s.share, s.cost, s.capacity}})
		if len(s.capacity) > 0 {
			capacity.Bars = append(capacity.Bars, chart.Bar{Name: s.name, Value: s.capacity.Median(), Ours: strings.HasPrefix(s.name, "ndp6")})
		}
	}
	for _, to := range []string{nameKernel, nameNdppd, nameRecipe} {
		table.Ratios = append(table.Ratios, sheet.Ratio{Of: nameBPF, To: to})
	}
	table.Ratios = append(table.Ratios, sheet.Ratio{Of: nameKernel + ", packed", To: nameKernel})
	versions, err := packageVersion(ctx, "ndppd")
	return page.Part{Versions: []string{versions}, Tables: []page.Table{table}, Charts: []page.Chart{{Name: "solicit", Bars: capacity}}}, err
}
