package nft_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/nft"
)

// watch is a Watch that runs in the background of a test.
type watch struct {
	tb      testing.TB
	repairs chan string
	ended   chan error
	cancel  context.CancelFunc
}

func startWatch(tb testing.TB, c *nft.Conn) *watch {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	w := &watch{tb: tb, repairs: make(chan string, 1000), ended: make(chan error, 1), cancel: cancel}
	go func() {
		w.ended <- c.Watch(ctx, func(what string, err error) {
			if err != nil {
				what = err.Error()
			}
			w.repairs <- what
		})
	}()
	return w
}

// wait waits for one report.
func (w *watch) wait(want string) {
	w.tb.Helper()
	select {
	case got := <-w.repairs:
		if got != want {
			w.tb.Errorf("repaired %q, want %q", got, want)
		}
	case err := <-w.ended:
		w.tb.Fatalf("%s: watch ended: %v", want, err)
	case <-time.After(10 * time.Second):
		w.tb.Fatalf("%s: not repaired", want)
	}
}

// end ends the watch, which must not have more to report.
func (w *watch) end() {
	w.tb.Helper()
	w.cancel()
	if err := <-w.ended; err != nil {
		w.tb.Error(err)
	}
	select {
	case what := <-w.repairs:
		w.tb.Errorf("repaired %q too", what)
	default:
	}
}

func TestWatchRepairs(t *testing.T) {
	for _, test := range []struct {
		name   string
		owned  bool
		tamper []string
		want   string
	}{
		{"ruleset flushed", false, []string{"nft flush ruleset"}, "inet table, bridge table"},
		// The tables stay, but the FORWARD chains beside them are gone.
		{"ruleset flushed, tables owned", true, []string{"nft flush ruleset"}, "inet table"},
		{"table deleted", false, []string{"nft delete table bridge ndp6"}, "bridge table"},
		{"element deleted", false, []string{"nft delete element bridge ndp6 macs { ndh-1 . 02:00:00:00:00:01 }"}, "bridge table"},
		{"FORWARD flushed", true, []string{"ip6tables-nft -F FORWARD"}, "accept rule"},
		{"rule appended", true, []string{"iptables-nft -A FORWARD -i lo -j ACCEPT"}, "accept rule"},
		{"FORWARD gone", true, []string{"nft delete table ip filter", "nft delete table ip6 filter"}, "inet table"},
	} {
		t.Run(test.name, func(t *testing.T) {
			nettest.Enter(t)
			nettest.Run(t, "ip6tables-nft -P FORWARD DROP", "iptables-nft -P FORWARD DROP")
			c := open(t)
			c.Pretend(func(f *nft.Features) { f.Owned = test.owned })
			want := withGroups(endpoints(), 3)
			want.Beside = want.Tables
			want.Tables = slices.Clone(want.Tables)
			want.Tables[0].Chains = want.Tables[0].Chains[:len(want.Tables[0].Chains)-1]
			ensure(t, c, want, true)
			w := startWatch(t, c)
			nettest.Run(t, "nft add table inet other", "iptables-nft -A INPUT -j ACCEPT")
			start := time.Now()
			nettest.Run(t, test.tamper...)
			tampered := time.Since(start)
			w.wait(test.want)
			t.Logf("repaired within %v of the command's start, which took %v", time.Since(start), tampered)
			ensure(t, c, want, false)
			w.end()
		})
	}
}

func TestVariant(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	r := sample()
	r.Beside = []nft.Table{{Family: nft.Inet, Chains: []nft.Chain{{Name: "beside"}}}}
	is := func(when string, want bool) {
		t.Helper()
		got := strings.Contains(nettest.Run(t, "nft list table inet ndp6"), "beside")
		if got != want {
			t.Errorf("%s: beside %t", when, got)
		}
	}
	ensure(t, c, r, true)
	is("alone", false)
	w := startWatch(t, c)
	nettest.Run(t, "iptables-nft -P FORWARD ACCEPT")
	w.wait("accept rule, inet table")
	is("with iptables", true)
	nettest.Run(t, "nft delete table ip filter")
	w.wait("inet table")
	is("without", false)
	c.SetForeign(true)
	w.wait("inet table")
	is("told", true)
	c.SetForeign(false)
	w.wait("inet table")
	is("told otherwise", false)
	w.end()
}

func TestRestoreWhileWatched(t *testing.T) {
	nettest.Enter(t)
	nettest.Run(t, "ip6tables-nft -P FORWARD DROP")
	saved := nettest.Run(t, "ip6tables-nft-save")
	c := open(t)
	ensure(t, c, sample(), true)
	w := startWatch(t, c)
	restore(t, "ip6tables-nft", saved)
	w.wait("accept rule")
	w.end()
}

func TestStorm(t *testing.T) {
	nettest.Enter(t)
	nettest.Run(t, "ip6tables-nft -P FORWARD DROP")
	c := open(t)
	ensure(t, c, withGroups(endpoints(), 3), true)
	w := startWatch(t, c)
	s := startStorm(t)
	for range 30 {
		nettest.Run(t, "ip6tables-nft -A FORWARD -i lo -j ACCEPT")
		if err := c.SetGroup("new", endpoint(9)); err != nil {
			t.Fatal(err)
		}
		if err := c.SetGroup("new", nil); err != nil {
			t.Fatal(err)
		}
	}
	s.end()
	for rules := ""; !strings.HasSuffix(rules, acceptRule); rules = nettest.Run(t, "ip6tables-nft -S FORWARD") {
		if t.Context().Err() != nil {
			t.Fatal("never repaired")
		}
	}
	ensure(t, c, withGroups(endpoints(), 3), false)
	w.cancel()
	if err := <-w.ended; err != nil {
		t.Error(err)
	}
}

func TestEnsureWakesNobody(t *testing.T) {
	nettest.Enter(t)
	nettest.Run(t, "ip6tables-nft -P FORWARD DROP")
	c := open(t)
	ensure(t, c, sample(), true)
	text := nettest.Run(t, "nft list ruleset")
	generation := c.Generation(t)
	for range 3 {
		ensure(t, c, sample(), false)
	}
	if got := c.Generation(t); got != generation || nettest.Run(t, "nft list ruleset") != text {
		t.Errorf("generation %d, was %d", got, generation)
	}
}

func TestLostEvents(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	ensure(t, c, sample(), true)
	another := open(t)
	another.Pretend(func(f *nft.Features) { f.Owned = false })
	// More than the socket holds, while nobody reads.
	nettest.Run(t, "nft add table ip many", "nft add set ip many s { type ipv4_addr ; }")
	var list strings.Builder
	list.WriteString("add element ip many s { 10.0.0.0")
	for i := range 100_000 {
		fmt.Fprintf(&list, ", 10.%d.%d.%d", i>>16, i>>8&255, i&255)
	}
	list.WriteString(" }\n")
	file := filepath.Join(t.TempDir(), "many")
	if err := os.WriteFile(file, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	nettest.Run(t, "nft -f "+file)
	ensure(t, c, sample(), false)
	w := startWatch(t, c)
	nettest.Run(t, "ip6tables-nft -P FORWARD DROP")
	w.wait("accept rule")
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
