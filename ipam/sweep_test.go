package ipam_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/docker/go-plugins-helpers/ipam"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/source"
)

// asked is what is known, by words: prefixes are pools, with a ! shared ones,
// addresses are those of endpoints.
func asked(since time.Time, words string) ipam.Known {
	k := ipam.Known{
		Since: since,
		Pools: map[netip.Prefix]bool{}, Shared: map[netip.Prefix]bool{}, Addrs: map[netip.Addr]bool{},
	}
	for w := range strings.FieldsSeq(words) {
		text, shared := strings.CutPrefix(w, "!")
		if addr, err := netip.ParseAddr(text); err == nil {
			k.Addrs[addr] = true
			continue
		}
		prefix := netip.MustParsePrefix(text)
		k.Pools[prefix] = true
		k.Shared[prefix] = shared
	}
	return k
}

func words(s ipam.Swept) string { return fmt.Sprint(s.Pools, s.Addrs) }

// later is when all that was made by now may be swept.
func later() time.Time { return time.Now().Add(2 * time.Minute) }

func TestSweep(t *testing.T) {
	const all = "2001:db8::/80 10.50.0.0/24"
	tests := []struct {
		name  string
		known string
		want  string
		// script is played after it.
		script string
	}{
		{
			name:  "all known",
			known: all + " 2001:db8::242:ac11:2 10.50.0.2",
			want:  "[] []",
		},
		{
			name:  "lease without endpoint",
			known: all + " 2001:db8::242:ac11:2",
			want:  "[] [10.50.0.2]",
			script: `
> endpoint 10.50.0.0/24 mac=09 10.50.0.2
10.50.0.2/24
> endpoint 2001:db8::/80 mac=09 2001:db8::242:ac11:2
error: --ip6 2001:db8::242:ac11:2 of pool 2001:db8::/80 is held by the container with MAC 02:42:ac:11:00:02: use another address, or remove what holds it: address in use
`,
		},
		{
			name:  "pool without network",
			known: "2001:db8::/80 2001:db8::242:ac11:2",
			want:  "[10.50.0.0/24] [10.50.0.2]",
			script: `
> pool4 10.50.0.0/24
ndp6,pool=10.50.0.0/24
> gateway 10.50.0.0/24 10.50.0.2
10.50.0.2/24
`,
		},
		{
			name:  "pool without network and with an endpoint",
			known: "10.50.0.2",
			want:  "[2001:db8::/80] [2001:db8::242:ac11:2]",
		},
		{
			name:  "endpoints on other hosts",
			known: "!2001:db8::/80 10.50.0.0/24",
			want:  "[] [10.50.0.2]",
		},
		{
			name: "nothing known",
			want: "[10.50.0.0/24 2001:db8::/80] [10.50.0.2 2001:db8::242:ac11:2]",
			script: `
> plugin
ok
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
`,
		},
	}
	for _, tt := range tests {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarted %t", tt.name, restarted), func(t *testing.T) {
				l := newLab(t, nil)
				l.play(`> pool4 10.50.0.0/24
> pool6 2001:db8::/80
> gateway 10.50.0.0/24
> endpoint 10.50.0.0/24 mac=02
> endpoint 2001:db8::/80 mac=02`)
				if restarted {
					l.play("> plugin")
				}
				k := asked(later(), tt.known)
				if got := words(l.Unknown(k)); got != tt.want {
					t.Errorf("Unknown: %s, want %s", got, tt.want)
				}
				got, err := l.Sweep(k)
				if err != nil || words(got) != tt.want {
					t.Errorf("Sweep: %s, %v, want %s", words(got), err, tt.want)
				}
				if again, err := l.Sweep(k); err != nil || words(again) != "[] []" {
					t.Errorf("Sweep again: %s, %v", words(again), err)
				}
				script := strings.TrimPrefix(tt.script, "\n")
				if diff := cmp.Diff(script, l.play(script)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestSweepGrace: what Docker asked for lately may not be in its answers yet.
func TestSweepGrace(t *testing.T) {
	l := newLab(t, nil)
	l.play("> pool4 10.50.0.0/24\n> endpoint 10.50.0.0/24 mac=02")
	k := asked(time.Now().Add(50*time.Second), "")
	if got := words(l.Unknown(k)); got != "[] []" {
		t.Errorf("young: %s", got)
	}
	l.play("> plugin")
	if got := words(l.Unknown(k)); got != "[] []" {
		t.Errorf("young and restarted: %s", got)
	}
	// A clock that was set back must not keep records for ever.
	ahead := ipam.Lease{Pool: "ndp6,pool=10.50.0.0/24", Addr: netip.MustParseAddr("10.50.0.9"), Since: time.Now().Add(time.Hour)}
	if err := l.leases.Put("10.50.0.9", ahead); err != nil {
		t.Fatal(err)
	}
	l.play("> plugin")
	if got := words(l.Unknown(asked(later(), "10.50.0.0/24 10.50.0.1"))); got != "[] [10.50.0.9]" {
		t.Errorf("from the future: %s", got)
	}
}

// TestStale: a pool that Docker gives back with leases left is a sign of lost
// releases, and a sweep need not wait until they are old.
func TestStale(t *testing.T) {
	stale := 0
	l := newLab(t, func(c *ipam.Config, _ *source.Facts) { c.Stale = func() { stale++ } })
	l.play(`> pool4 10.50.0.0/24
> gateway 10.50.0.0/24
> endpoint 10.50.0.0/24 mac=02
> pool4 10.51.0.0/24
> gateway 10.51.0.0/24
> endpoint 10.51.0.0/24 mac=02
> release 10.51.0.0/24 10.51.0.2
> free 10.51.0.0/24
> free 10.52.0.0/24`)
	if stale != 0 {
		t.Errorf("asked for a sweep %d times with no lease left behind", stale)
	}
	l.play("> free 10.50.0.0/24")
	if stale != 1 {
		t.Errorf("asked for a sweep %d times, want once", stale)
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			l.play("> plugin")
		}
		if got := words(l.Unknown(asked(time.Now().Add(-time.Minute), ""))); got != "[] []" {
			t.Errorf("restarted %t: unknown to who asked before: %s", restarted, got)
		}
		if got := words(l.Unknown(asked(time.Now(), "10.50.0.2"))); got != "[] []" {
			t.Errorf("restarted %t: unknown with the endpoint known: %s", restarted, got)
		}
	}
	if got, err := l.Sweep(asked(time.Now(), "")); err != nil || words(got) != "[] [10.50.0.2]" || len(l.Prefixes()) > 0 {
		t.Errorf("Sweep: %s, %v; pools left %v, want none: it goes with its last lease", words(got), err, l.Prefixes())
	}
	l.play("> pool4 10.50.0.0/24\n> endpoint 10.50.0.0/24 mac=02")
	if got := words(l.Unknown(asked(time.Now(), ""))); got != "[] []" {
		t.Errorf("a pool that was lent again: %s", got)
	}
}

// TestSweepAskedAgain: a pool or an address that dockerd asks for again when it
// starts is as good as new.
func TestSweepAskedAgain(t *testing.T) {
	l := newLab(t, nil)
	old := func(kind string) {
		t.Helper()
		past := time.Now().Add(-time.Hour)
		for id, p := range mustAll(t, &l.pools) {
			p.Since = past
			if err := l.pools.Put(id, p); err != nil {
				t.Fatal(err)
			}
		}
		for id, lease := range mustAll(t, &l.leases) {
			lease.Since = past
			if err := l.leases.Put(id, lease); err != nil {
				t.Fatal(err)
			}
		}
		l.play("> plugin")
		if got := words(l.Unknown(asked(time.Now(), ""))); got != "[10.50.0.0/24] [10.50.0.1]" {
			t.Fatalf("%s: unknown before: %s", kind, got)
		}
	}
	l.play("> pool4 10.50.0.0/24\n> endpoint 10.50.0.0/24 mac=02")
	old("pool")
	l.play("> dockerd\n> pool4 10.50.0.0/24")
	if got := words(l.Unknown(asked(time.Now(), ""))); got != "[] [10.50.0.1]" {
		t.Errorf("pool confirmed: %s", got)
	}
	old("address")
	l.play("> aux 10.50.0.0/24 10.50.0.1")
	if got := words(l.Unknown(asked(time.Now(), ""))); got != "[] []" {
		t.Errorf("address confirmed: %s", got)
	}
}

func mustAll[T any](t *testing.T, m *memory[T]) map[string]T {
	t.Helper()
	all, err := m.All()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSweepBrokenStore: what cannot be forgotten is kept, and said.
func TestSweepBrokenStore(t *testing.T) {
	l := newLab(t, nil)
	l.play("> pool4 10.50.0.0/24\n> endpoint 10.50.0.0/24 mac=02")
	l.leases.broken, l.pools.broken = true, true
	k := asked(later(), "")
	if got, err := l.Sweep(k); err == nil || words(got) != "[] []" {
		t.Errorf("Sweep: %s, %v", words(got), err)
	}
	l.leases.broken, l.pools.broken = false, false
	if got, err := l.Sweep(k); err != nil || words(got) != "[10.50.0.0/24] [10.50.0.1]" {
		t.Errorf("Sweep with a store that works: %s, %v", words(got), err)
	}
}

// TestSweepAmongCalls sweeps without end while endpoints come: their leases are
// too young, whatever is known.
func TestSweepAmongCalls(t *testing.T) {
	l := newLab(t, nil)
	id := strings.Fields(l.call("pool6 2001:db8::/80"))[0]
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if got, err := l.Sweep(asked(time.Now(), "")); err != nil || words(got) != "[] []" {
					t.Errorf("Sweep: %s, %v", words(got), err)
					return
				}
			}
		}
	})
	for i := range 200 {
		_, err := l.RequestAddress(context.Background(), &api.RequestAddressRequest{PoolID: id, Options: map[string]string{
			"com.docker.network.endpoint.macaddress": fmt.Sprintf("02:42:ac:11:01:%02x", i),
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if got := len(l.leases.snapshot()); got != 200 {
		t.Errorf("%d leases, want 200", got)
	}
}

// TestSweepAndAsk: a swept address is free or held, never both, while the same
// one is asked for.
func TestSweepAndAsk(t *testing.T) {
	for range 50 {
		l := newLab(t, nil)
		l.play("> pool4 10.50.0.0/24\n> endpoint 10.50.0.0/24 mac=02")
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := l.Sweep(asked(later(), "10.50.0.0/24")); err != nil {
				t.Error(err)
			}
		})
		answer := l.call("endpoint 10.50.0.0/24 mac=03 10.50.0.1")
		wg.Wait()
		want := 0
		if answer == "10.50.0.1/24" {
			want = 1
		}
		// The new lease is older than grace for this sweep, so it may be swept as well.
		if got := len(l.leases.snapshot()); got > want {
			t.Fatalf("%d leases after the answer %q", got, answer)
		}
	}
}
