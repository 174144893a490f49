package nft_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/nettest"
)

// storm is somebody who changes nftables all the time, as dockerd does while it starts.
type storm struct {
	stop, ended chan struct{}
}

// startStorm starts a storm, from a thread of the test's namespace.
func startStorm(tb testing.TB) storm {
	tb.Helper()
	nettest.Run(tb, "nft add table ip storm", "nft add chain ip storm c")
	s := storm{make(chan struct{}), make(chan struct{})}
	started := make(chan struct{})
	path := fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
	go func() {
		defer close(s.ended)
		for first := true; ; first = false {
			cmd := exec.Command("nsenter", "--net="+path, "nft", "add rule ip storm c counter accept; flush chain ip storm c")
			if out, err := cmd.CombinedOutput(); err != nil {
				tb.Errorf("storm: %v\n%s", err, out)
			}
			if first {
				close(started)
			}
			select {
			case <-s.stop:
				return
			default:
			}
		}
	}()
	<-started
	return s
}

func (s storm) end() {
	close(s.stop)
	<-s.ended
}

// percentiles measures single operations.
type percentiles struct {
	b     *testing.B
	times []time.Duration
}

func newPercentiles(b *testing.B) *percentiles {
	b.Helper()
	return &percentiles{b: b}
}

func (p *percentiles) measure(fn func()) {
	start := time.Now()
	fn()
	p.times = append(p.times, time.Since(start))
}

func (p *percentiles) report() {
	slices.Sort(p.times)
	us := func(q int) float64 { return float64(p.times[(len(p.times)-1)*q/100].Nanoseconds()) / 1000 }
	p.b.ReportMetric(us(50), "p50-us")
	p.b.ReportMetric(us(99), "p99-us")
}
