package nft_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/nft"
)

// watch is a Watch that runs in the background of a test.
type watch struct {
	tb      testing.TB
	changes chan struct{}
	ended   chan error
	cancel  context.CancelFunc
}

func startWatch(tb testing.TB, c *nft.Conn) *watch {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	w := &watch{tb: tb, changes: make(chan struct{}), ended: make(chan error, 1), cancel: cancel}
	go func() {
		w.ended <- c.Watch(ctx, func(string, error) {
			select {
			case w.changes <- struct{}{}:
			case <-ctx.Done():
			}
		})
	}()
	w.wait("start")
	return w
}

// wait waits for one report.
func (w *watch) wait(what string) {
	w.tb.Helper()
	select {
	case <-w.changes:
	case err := <-w.ended:
		w.tb.Fatalf("%s: watch ended: %v", what, err)
	case <-time.After(10 * time.Second):
		w.tb.Fatalf("%s: not reported", what)
	}
}

// end ends the watch, which must not have more to report.
func (w *watch) end() {
	w.tb.Helper()
	select {
	case <-w.changes:
		w.tb.Error("reported what should not be")
	case <-time.After(50 * time.Millisecond):
	}
	w.cancel()
	if err := <-w.ended; err != nil {
		w.tb.Error(err)
	}
}

func TestWatch(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	w := startWatch(t, c)
	if err := c.Apply(sample()); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(); err != nil {
		t.Fatal(err)
	}
	nettest.Run(t, "nft add table inet other")
	w.wait("table of another")
	w.end()

	nettest.Run(t, "nft add table inet unseen")
	w = startWatch(t, c)
	nettest.Run(t, "nft flush ruleset")
	w.wait("flush")
	w.end()
}

func TestEnsureWakesNobody(t *testing.T) {
	nettest.Enter(t)
	nettest.Run(t, "ip6tables-nft -P FORWARD DROP")
	c := open(t)
	w := startWatch(t, open(t))
	for range 3 {
		if _, err := c.Ensure(sample()); err != nil {
			t.Fatal(err)
		}
	}
	w.wait("first")
	w.end()
}

func TestWatchSurvivesLostEvents(t *testing.T) {
	nettest.Enter(t)
	// The watch is stuck in its first report while more comes than fits.
	w := startWatch(t, open(t))
	nettest.Run(t, "nft add table inet other")
	c := open(t)
	for range 3 {
		if err := c.Apply(crowd(20_000)); err != nil {
			t.Fatal(err)
		}
	}
	w.wait("first")
	w.wait("after loss")
	for more := true; more; {
		select {
		case <-w.changes:
		case <-time.After(100 * time.Millisecond):
			more = false
		}
	}
	nettest.Run(t, "nft flush ruleset")
	w.wait("after recovery")
	w.end()
}

// crowd returns a ruleset with a set of n elements.
func crowd(n int) nft.Ruleset {
	r := sample()
	set := &r.Tables[0].Sets[0]
	set.Elements = nil
	for i := range n {
		set.Elements = append(set.Elements, nft.Element{nft.LinkName(fmt.Sprintf("link%d", i))})
	}
	return r
}

func TestManyElements(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	want := crowd(20_000)
	if err := c.Apply(want); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.Ensure(want); err != nil || changed {
		t.Errorf("changed %t, %v", changed, err)
	}
}

func BenchmarkApply(b *testing.B) {
	for _, n := range []int{2, 1000, 10_000} {
		b.Run(fmt.Sprintf("elements=%d", n), func(b *testing.B) {
			nettest.Enter(b)
			nettest.Run(b, "ip6tables-nft -P FORWARD DROP", "iptables-nft -P FORWARD DROP")
			c, r := open(b), crowd(n)
			for b.Loop() {
				if err := c.Apply(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEnsure(b *testing.B) {
	for _, n := range []int{2, 1000, 10_000} {
		b.Run(fmt.Sprintf("elements=%d", n), func(b *testing.B) {
			nettest.Enter(b)
			nettest.Run(b, "ip6tables-nft -P FORWARD DROP", "iptables-nft -P FORWARD DROP")
			c, r := open(b), crowd(n)
			for b.Loop() {
				if _, err := c.Ensure(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
