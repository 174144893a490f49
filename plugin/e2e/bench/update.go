package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// A table is what lets containers in: n of them are there, and one comes and goes.
type table interface {
	fill(n int) error
	add(i int) error
	remove(i int) error
}

// measureUpdates times how long it takes to let a container with one published
// port in, and to forget it, beside others: with ndp6's sets, and with the
// ip6tables commands that Docker's bridge runs for the same.
func measureUpdates(ctx context.Context, o options) (_ page.Part, err error) {
	l, err := lab.New(ctx, lab.Options{})
	if err != nil {
		return page.Part{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	table := page.Table{Table: sheet.Table{Corner: "rules", Columns: []sheet.Column{
		{Name: "add", Unit: "ms"}, {Name: "p99", Unit: "ms", Quantile: 0.99}, {Name: "remove", Unit: "ms"}, {Name: "p99", Unit: "ms", Quantile: 0.99},
	}}}
	lines := &chart.Lines{
		Title: "The firewall lets a container in", Unit: "ms, less is better", Log: true, Axis: "containers there already",
		Series: []chart.Series{{Name: "ndp6"}, {Name: "ip6tables"}},
	}
	sizes := []int{10, 1000, 10_000}
	if o.short {
		sizes = sizes[:2]
	}
	for i, n := range sizes {
		node, err := l.AddNode(ctx, fmt.Sprintf("update%d", n), 40+i)
		if err != nil {
			return page.Part{}, err
		}
		sets, err := openSets(node)
		if err != nil {
			return page.Part{}, err
		}
		ours, err := timeUpdates(ctx, sets, n, 20*o.rounds)
		if err := errors.Join(err, sets.conn.Close()); err != nil {
			return page.Part{}, err
		}
		theirs, err := timeUpdates(ctx, chains{ctx, node.NetNS()}, n, min(o.rounds, 8)) // Each takes seconds.
		if err != nil {
			return page.Part{}, err
		}
		size := sheet.Number(float64(n))
		for i, u := range []updates{ours, theirs} {
			adds, removes := stat.Of(u.adds, time.Millisecond), stat.Of(u.removes, time.Millisecond)
			table.Rows = append(table.Rows, sheet.Row{
				Name: lines.Series[i].Name + ", " + size, Cells: []stat.Sample{adds, adds, removes, removes},
			})
			lines.Series[i].Values = append(lines.Series[i].Values, adds.Median())
		}
		lines.Steps = append(lines.Steps, size)
		table.Ratios = append(table.Ratios, sheet.Ratio{Of: "ndp6, " + size, To: "ip6tables, " + size})
	}
	step := lines.Steps[len(lines.Steps)-1]
	short := fmt.Sprintf("%s ms beside %s containers, ip6tables %s ms",
		table.Median("ndp6, "+step, 0), step, table.Median("ip6tables, "+step, 0))
	return page.Part{Short: short, Tables: []page.Table{table}, Charts: []page.Chart{{Name: "update", Lines: lines}}}, nil
}

type updates struct{ adds, removes []time.Duration }

func timeUpdates(ctx context.Context, t table, n, rounds int) (updates, error) {
	var u updates
	if err := t.fill(n); err != nil {
		return u, err
	}
	for i := range rounds {
		if err := ctx.Err(); err != nil {
			return u, err
		}
		start := time.Now()
		if err := t.add(n + i); err != nil {
			return u, err
		}
		u.adds = append(u.adds, time.Since(start))
		start = time.Now()
		if err := t.remove(n + i); err != nil {
			return u, err
		}
		u.removes = append(u.removes, time.Since(start))
	}
	return u, nil
}

// updatePool is that of the containers of both tables.
var updatePool = netip.MustParsePrefix("2001:db8:1:0:a::/80")

func updateMAC(i int) inet.MAC { return inet.MAC{0x02, 0x42, 0, byte(i >> 16), byte(i >> 8), byte(i)} }

func updateAddr(i int) (netip.Addr, error) { return inet.EmbedMAC(updatePool, updateMAC(i)) }

// sets are ndp6's rules in a node.
type sets struct{ conn *nft.Conn }

func openSets(n *lab.Node) (sets, error) {
	var s sets
	err := netns.Do(n.NetNS(), func() (err error) {
		s.conn, err = nft.Open()
		return err
	})
	return s, err
}

func (s sets) fill(n int) error {
	r := firewall.Build(firewall.Policy{
		Networks: []firewall.Network{{Bridge: "nd-bench", Pools: []netip.Prefix{updatePool}}},
		Uplinks:  []string{"eth0"},
	})
	r.Groups = make(map[string]nft.Group)
	for i := range n {
		g, err := s.group(i)
		if err != nil {
			return err
		}
		r.Groups[fmt.Sprint(i)] = g
	}
	_, err := s.conn.Ensure(r)
	return err
}

func (s sets) group(i int) (nft.Group, error) {
	addr, err := updateAddr(i)
	return firewall.Elements(firewall.Endpoint{
		Port: fmt.Sprintf("ndh-%d", i), Bridge: "nd-bench", MAC: updateMAC(i), Addrs: []netip.Addr{addr},
		Published: []firewall.Published{{Proto: 6, Port: 80, HostAddr: netip.IPv6Unspecified(), HostPort: uint16(1024 + i), Direct: true}},
	}), err
}

func (s sets) add(i int) error {
	g, err := s.group(i)
	if err != nil {
		return err
	}
	return s.conn.SetGroup(fmt.Sprint(i), g)
}

func (s sets) remove(i int) error { return s.conn.SetGroup(fmt.Sprint(i), nil) }

// chains are Docker's in a network namespace: for each container a rule in raw
// against direct access, one in nat for the host's port and one in filter for
// the container's, each looked for before it is added or removed.
type chains struct {
	ctx   context.Context
	netns string
}

func (c chains) rules(i int) ([][]string, error) {
	addr, err := updateAddr(i)
	if err != nil {
		return nil, err
	}
	a, port := addr.String(), fmt.Sprint(1024+i)
	return [][]string{
		{"raw", "PREROUTING", "-d", a, "!", "-i", "br-bench", "-j", "DROP"},
		{"nat", "DOCKER", "!", "-i", "br-bench", "-p", "tcp", "-m", "tcp", "--dport", port, "-j", "DNAT", "--to-destination", "[" + a + "]:80"},
		{"filter", "DOCKER", "-d", a, "!", "-i", "br-bench", "-o", "br-bench", "-p", "tcp", "-m", "tcp", "--dport", "80", "-j", "ACCEPT"},
	}, nil
}

func (c chains) fill(n int) error {
	text := map[string]*strings.Builder{"raw": {}, "nat": {}, "filter": {}}
	for _, table := range []string{"nat", "filter"} {
		text[table].WriteString(":DOCKER - [0:0]\n")
	}
	for i := range n {
		rules, err := c.rules(i)
		if err != nil {
			return err
		}
		for _, r := range rules {
			fmt.Fprintf(text[r[0]], "-A %s\n", strings.Join(r[1:], " "))
		}
	}
	var all strings.Builder
	for table, lines := range text {
		fmt.Fprintf(&all, "*%s\n%sCOMMIT\n", table, lines)
	}
	return c.exec(strings.NewReader(all.String()), "ip6tables-restore", "--noflush")
}

func (c chains) add(i int) error { return c.change(i, "-A", false) }

func (c chains) remove(i int) error { return c.change(i, "-D", true) }

// change looks for each rule, as Docker does, and runs verb if it is there as wanted.
func (c chains) change(i int, verb string, there bool) error {
	rules, err := c.rules(i)
	if err != nil {
		return err
	}
	for _, r := range rules {
		run := func(verb string) error {
			return c.exec(nil, "ip6tables", append([]string{"--wait", "-t", r[0], verb}, r[1:]...)...)
		}
		if found := run("-C") == nil; found != there {
			return fmt.Errorf("rule %v: found is %t", r, found)
		}
		if err := run(verb); err != nil {
			return err
		}
	}
	return nil
}

func (c chains) exec(stdin io.Reader, name string, args ...string) error {
	return execIn(c.ctx, c.netns, stdin, name, args...)
}

// execIn runs a command of this machine in a network namespace, with nothing
// between that takes time.
func execIn(ctx context.Context, path string, stdin io.Reader, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &stderr
	if err := netns.Do(path, cmd.Run); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return nil
}
