package e2e_test

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// killedPublishing kills the plugin again and again while containers with
// published ports start. What was published before goes on, what was not stays
// closed, also while the plugin is dead; and then the rules are those of the
// containers that run.
func killedPublishing(b *bed) {
	const containers, clients = 40, 4
	b.network("n", "--subnet", pool, "-o", "ndp6.dad=off")
	p := b.newPlaces()
	p.serve("outside", "9999/tcp")
	p.start("c1", "n", served, "-p", "8080:80")
	k, err := b.Outside.Knock(b.ctx(), netip.AddrPortFrom(p.addrs["c1"], 80), netip.AddrPortFrom(p.addrs["c1"], 81), netip.AddrPortFrom(p.addrs["host"], 8080))
	b.ok(err)

	ctx, cancel := context.WithCancel(b.ctx())
	defer cancel()
	kills := 0
	var killer errgroup.Group
	killer.Go(func() (err error) {
		defer cancel()
		kills, err = b.killPlugin(ctx, 1500*time.Millisecond)
		return err
	})
	var g errgroup.Group
	g.SetLimit(clients)
	for i := range containers {
		g.Go(func() error {
			name := fmt.Sprintf("k%d", i)
			return (&load{bed: b, errors: map[string]int{}}).retry(func() error {
				_, err := b.host.Docker(b.ctx(), "run", "-d", "--stop-signal", "KILL", "--name", name, "--network", "n",
					"-p", fmt.Sprintf("%d:80", 9000+i), lab.Image, "sh", "-c", "httpd -p 81 -h /etc; exec httpd -f -p 80 -h /etc")
				if err != nil {
					_, _ = b.host.Docker(b.ctx(), "rm", "-f", name)
				}
				return err
			})
		})
	}
	loadErr := g.Wait()
	cancel()
	b.ok(killer.Wait())
	b.ok(loadErr)
	seen, err := k.Stop()
	b.ok(err)
	b.Logf("%d containers, %d kills; knocks: %+v", containers, kills, seen)
	for port, s := range seen {
		switch {
		case port.Port() == 81 && s.Open+s.Refused > 0:
			b.Errorf("unpublished %s answered: %+v", port, s)
		case port.Port() != 81 && (s.Open == 0 || s.Gap > 5*time.Second):
			b.Errorf("published %s did not go on: %+v", port, s)
		}
	}

	running := b.all("n")
	if len(running) != containers+1 {
		b.Errorf("%d containers run, want %d", len(running), containers+1)
	}
	b.rulesHold(running)
	b.publishedAlone(running)

	b.ok(b.host.StopPlugin(b.ctx(), "KILL"))
	p.want("while the plugin is dead", `
		outside c1:80 open
		outside c1:81 silent
		outside host:8080 open
		outside host.4:8080 open
		c1 outside:9999 open
		c1 outside.4:9999 host.4
	`)
	b.publishedAlone(running)
	b.startPlugin()
	b.rulesHold(running)
	p.want("when it is back", "outside c1:80 open\noutside c1:81 silent\noutside host:8080 open\nhost loopback:8080 served")
}

// publishedAlone wants port 80 of each container to answer, and port 81 not.
func (b *bed) publishedAlone(containers []container) {
	b.Helper()
	var g errgroup.Group
	g.SetLimit(8)
	for _, c := range containers {
		g.Go(func() error {
			conn, err := b.Outside.Dial(b.ctx(), "tcp", netip.AddrPortFrom(c.addr, 80), answerTime)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			conn.Close()
			if conn, err = b.Outside.Dial(b.ctx(), "tcp", netip.AddrPortFrom(c.addr, 81), silenceTime); err == nil {
				conn.Close()
				return fmt.Errorf("port 81 of %s, which is not published, answers", c.name)
			}
			if got := result(netip.Addr{}, err); got != "silent" {
				return fmt.Errorf("port 81 of %s, which is not published, is %s", c.name, got)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Error(err)
	}
}

// rulesHold wants the addresses in our tables to be those of these containers,
// once the plugin found what Docker did not tell.
func (b *bed) rulesHold(containers []container) {
	b.Helper()
	var want []string
	for _, c := range containers {
		want = append(want, c.addr.String())
	}
	slices.Sort(want)
	addr := regexp.MustCompile(`2001:db8:1:0:a:[0-9a-f:]+`)
	b.within(2*time.Minute, func() error {
		for _, family := range []string{"inet", "bridge"} {
			rules, err := b.host.Exec(b.ctx(), "nft", "list", "table", family, "ndp6")
			if err != nil {
				return err
			}
			got := addr.FindAllString(strings.ReplaceAll(rules, pool, ""), -1)
			slices.Sort(got)
			if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
				return fmt.Errorf("addresses in table %s ndp6 (-want +got):\n%s", family, diff)
			}
		}
		return nil
	})
}
