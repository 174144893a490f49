package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// pingPool is that of the network of the first pings. It does not wait for
// duplicates: as for the random MACs that containers have unless one is chosen.
const pingPool = "2001:db8:1:0:a::/80"

// measureStarts measures one version after the other and prints a line for each.
func measureStarts(ctx context.Context, w io.Writer, binary string, rounds int, versions string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "docker\tfirst ping p50\tp99\tstart, no network\tnetwork share: bridge\tndp6\tratio\t")
	for _, release := range lab.Releases() {
		if versions != "" && !slices.Contains(strings.Split(versions, ","), release.Docker) {
			continue
		}
		f, err := measureStart(ctx, release, binary, rounds)
		if err != nil {
			return fmt.Errorf("docker %s: %w", release.Docker, err)
		}
		bridge, ndp6 := f.bridge-f.none, f.ndp6-f.none
		fmt.Fprintf(table, "%s\t%.2f ms\t%.2f ms\t%.0f ms\t%.1f ms\t%.1f ms\t%.2f\t\n", release.Docker,
			ms(f.ping50), ms(f.ping99), ms(f.none), ms(bridge), ms(ndp6), float64(ndp6)/float64(bridge))
	}
	return table.Flush()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// figures of one Docker version.
type figures struct {
	ping50, ping99     time.Duration
	none, bridge, ndp6 time.Duration // medians of docker run --rm on each network
}

func measureStart(ctx context.Context, release lab.Release, binary string, rounds int) (f figures, err error) {
	root, err := lab.Root(ctx, release, os.Stderr)
	if err != nil {
		return f, err
	}
	l, err := lab.New(ctx, lab.Options{})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	h, err := l.AddHost(ctx, 10, root)
	if err != nil {
		return f, err
	}
	if err := h.StartPlugin(ctx, binary, "--log-level=info"); err != nil {
		return f, err
	}
	if err := h.StartEngine(ctx); err != nil {
		return f, err
	}
	for _, args := range []string{
		"network create -d ndp6 --ipam-driver ndp6 --ipv6 --subnet 2001:db8:1:0:b::/80 ndp6",
		"network create -d ndp6 --ipam-driver ndp6 --ipv6 -o ndp6.dad=async --subnet " + pingPool + " ping",
		"network create -d bridge --ipv6 --subnet fd00:1::/64 bridge6",
	} {
		if _, err := h.Docker(ctx, strings.Fields(args)...); err != nil {
			return f, err
		}
	}
	pings, err := firstPings(ctx, l.Router, h, rounds)
	if err != nil {
		return f, err
	}
	f.ping50, f.ping99 = quantile(pings, 0.5), quantile(pings, 0.99)
	starts, err := startTimes(ctx, h, rounds, "none", "bridge6", "ndp6")
	if err != nil {
		return f, err
	}
	f.none, f.bridge, f.ndp6 = quantile(starts[0], 0.5), quantile(starts[1], 0.5), quantile(starts[2], 0.5)
	return f, nil
}

// firstPings times the router's first ping to each new container.
func firstPings(ctx context.Context, router *lab.Node, h *lab.Host, rounds int) ([]time.Duration, error) {
	var times []time.Duration
	for i := range rounds {
		// A chosen MAC tells the address beforehand, so that nothing stands between run and ping.
		mac := inet.MAC{0x02, 0x42, 0, 0, byte(i >> 8), byte(i)}
		addr, err := inet.EmbedMAC(netip.MustParsePrefix(pingPool), mac)
		if err != nil {
			return nil, err
		}
		id, err := h.Docker(ctx, "run", "-d", "--network", "ping", "--mac-address", mac.String(), lab.Image, "sleep", "1h")
		if err != nil {
			return nil, err
		}
		took, err := router.Ping(ctx, addr, 5*time.Second)
		if err != nil {
			return nil, err
		}
		times = append(times, took)
		if _, err := h.Docker(ctx, "rm", "-f", strings.TrimSpace(id)); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// startTimes times `docker run --rm` on each network in turn, so that what else
// the machine does falls on all of them.
func startTimes(ctx context.Context, h *lab.Host, rounds int, networks ...string) ([][]time.Duration, error) {
	times := make([][]time.Duration, len(networks))
	for round := range rounds + 1 {
		for i, network := range networks {
			start := time.Now()
			if _, err := h.Docker(ctx, "run", "--rm", "--network", network, lab.Image, "true"); err != nil {
				return nil, err
			}
			if round > 0 { // The first only warms up.
				times[i] = append(times[i], time.Since(start))
			}
		}
	}
	return times, nil
}

func quantile[T cmp.Ordered](values []T, q float64) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1))]
}
