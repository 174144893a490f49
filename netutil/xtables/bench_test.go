package xtables_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/xtables"
)

// BenchmarkLook measures a look at both tables that finds nothing to change.
func BenchmarkLook(b *testing.B) {
	for _, rules := range []int{0, 100, 10000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			c := enter(b)
			for _, command := range commands {
				restore := exec.Command(command + "-restore")
				restore.Stdin = strings.NewReader("*filter\n" + strings.Repeat("-A FORWARD -i lo -j ACCEPT\n", rules) + "COMMIT\n")
				if out, err := restore.CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
			}
			ensure(b, c)
			for b.Loop() {
				ensure(b, c)
			}
		})
	}
}

// BenchmarkRepair measures from the end of a flush to the rule being there
// again, with a look every 50 ms.
func BenchmarkRepair(b *testing.B) {
	c := enter(b)
	nettest.Run(b, "ip6tables-legacy -P FORWARD DROP")
	ensure(b, c)
	repaired := make(chan time.Time)
	ctx := b.Context()
	go c.Watch(ctx, 50*time.Millisecond, func(bool, error) { //nolint:errcheck // ends with the benchmark.
		select {
		case repaired <- time.Now():
		case <-ctx.Done():
		}
	})
	var worst time.Duration
	for b.Loop() {
		nettest.Run(b, "ip6tables-legacy -F")
		flushed := time.Now()
		worst = max(worst, (<-repaired).Sub(flushed))
	}
	b.ReportMetric(float64(worst.Milliseconds()), "worst-ms")
}

func ensure(tb testing.TB, c *xtables.Conn) {
	tb.Helper()
	if _, err := c.Ensure(true); err != nil {
		tb.Fatal(err)
	}
}
