package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ndp6/ndp6/plugin/engine"
	"github.com/ndp6/ndp6/plugin/sweep"
)

func TestOnce(t *testing.T) {
	const (
		nothing  = "[]"
		all      = "[web a b] [2001:db8:0:0:a::/80 10.166.0.0/24] [2001:db8::a:0:0:2 2001:db8::a:0:0:3 10.166.0.2 10.166.0.3]"
		endpoint = "[a] [] [2001:db8::a:0:0:2 10.166.0.2]"
	)
	forgetA := func(r rig) { r.docker.endpoints["web"] = r.docker.endpoints["web"][1:] }
	forgetWeb := func(r rig) { r.docker.networks = r.docker.networks[:1] }
	tests := []struct {
		name   string
		change func(r rig)
		// between changes things before the second look.
		between func(r rig)
		want    string
		looks   int
		daemon  string
		err     string
	}{
		{name: "all there", want: nothing, looks: 1, daemon: "D1"},
		{name: "endpoint forgotten", change: forgetA, want: endpoint, looks: 2, daemon: "D1"},
		{name: "network forgotten", change: forgetWeb, want: all, looks: 2, daemon: "D1"},
		{
			name:   "network forgotten between two questions",
			change: func(r rig) { delete(r.docker.endpoints, "web") },
			want:   all, looks: 2, daemon: "D1",
		},
		{
			name:   "back at the second look",
			change: forgetA,
			between: func(r rig) {
				r.docker.endpoints["web"] = append(r.docker.endpoints["web"], engine.Endpoint{
					ID: "a", Addrs: []netip.Addr{addr("2001:db8::a:0:0:2"), addr("10.166.0.2")},
				})
			},
			want: "[] [] []", looks: 2, daemon: "D1",
		},
		{name: "gone only at the second look", change: forgetA, between: forgetWeb, want: endpoint, looks: 2, daemon: "D1"},
		{
			name:   "lease alone",
			change: func(r rig) { r.addresses.leases = append(r.addresses.leases, addr("10.166.0.9")) },
			want:   "[] [] [10.166.0.9]", looks: 2, daemon: "D1",
		},
		{
			name: "pool that another driver's network has",
			change: func(r rig) {
				delete(r.networks.pools, "web")
				clear(r.networks.endpoints)
			},
			want: nothing, looks: 1, daemon: "D1",
		},
		{
			name: "endpoints on other hosts",
			change: func(r rig) {
				delete(r.networks.pools, "web")
				clear(r.networks.endpoints)
				r.docker.networks[1].Local = false
				r.docker.endpoints["web"] = nil
			},
			want: nothing, looks: 1, daemon: "D1",
		},
		{
			name: "pool not listed in a swarm",
			change: func(r rig) {
				r.docker.daemon.Swarm = true
				r.addresses.pools = append(r.addresses.pools, netip.MustParsePrefix("10.9.0.0/24"))
				r.addresses.leases = append(r.addresses.leases, addr("10.9.0.9"))
			},
			want: nothing, looks: 1, daemon: "D1",
		},
		{
			name: "network forgotten in a swarm",
			change: func(r rig) {
				r.docker.daemon.Swarm = true
				r.addresses.pools = append(r.addresses.pools, netip.MustParsePrefix("10.9.0.0/24"))
				forgetWeb(r)
			},
			want: all, looks: 2, daemon: "D1",
		},
		{
			name:   "another daemon",
			change: func(r rig) { r.docker.daemon.ID = "D2"; forgetWeb(r) },
			want:   nothing, looks: 1, daemon: "D1",
			err: "they are those of daemon D1, and D2 answers",
		},
		{
			name:    "another daemon at the second look",
			change:  forgetA,
			between: func(r rig) { r.docker.daemon.ID = "D2" },
			want:    nothing, looks: 2, daemon: "D1",
			err: "changed from D1 to D2",
		},
		{
			name:   "first daemon, with the network",
			change: func(r rig) { delete(r.daemons, "docker"); forgetA(r) },
			want:   endpoint, looks: 2, daemon: "D1",
		},
		{
			name:   "first daemon, without the network",
			change: func(r rig) { delete(r.daemons, "docker"); forgetWeb(r) },
			want:   nothing, looks: 1,
			err: "daemon D1 has none of the 1 networks on record",
		},
		{
			name: "new daemon of a host without networks",
			change: func(r rig) {
				r.docker.daemon.ID = "D2"
				clear(r.networks.pools)
				clear(r.networks.endpoints)
				r.addresses.pools, r.addresses.leases = nil, nil
			},
			want: nothing, looks: 1, daemon: "D2",
		},
		{
			name:   "no answer",
			change: func(r rig) { r.docker.err = engine.ErrAbsent },
			want:   nothing, looks: 1, daemon: "D1",
			err: engine.ErrAbsent.Error(),
		},
		{
			name:    "no second answer",
			change:  forgetWeb,
			between: func(r rig) { r.docker.err = engine.ErrAbsent },
			want:    nothing, looks: 2, daemon: "D1",
			err: engine.ErrAbsent.Error(),
		},
		{
			name:   "kernel in the way",
			change: func(r rig) { forgetA(r); r.networks.err = errors.New("broken") },
			want:   endpoint, looks: 2, daemon: "D1",
			err: "forget what docker does not have: broken",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				if tt.change != nil {
					tt.change(r)
				}
				if tt.between != nil {
					r.docker.between = func() { tt.between(r) }
				}
				start := time.Now()
				swept, err := r.Once(t.Context())
				if swept != (tt.looks == 2 && r.networks.swept != nil || r.addresses.swept != "") {
					t.Errorf("swept: %t", swept)
				}
				if (tt.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				if got := r.swept(); got != tt.want {
					t.Errorf("swept %s, want %s", got, tt.want)
				}
				if r.docker.looks != tt.looks || r.daemons["docker"].ID != tt.daemon {
					t.Errorf("%d looks, daemon %q; want %d, %q", r.docker.looks, r.daemons["docker"].ID, tt.looks, tt.daemon)
				}
				took := time.Since(start)
				if want := time.Duration(tt.looks-1) * 10 * time.Second; took != want {
					t.Errorf("took %s, want %s", took, want)
				}
				if tt.looks == 2 && !r.networks.since.IsZero() && r.networks.since.After(start) {
					t.Errorf("asked since %s, began at %s", r.networks.since, start)
				}
			})
		})
	}
}

// TestRun: Docker is asked at start, often while it does not answer, and then
// every ten minutes. What is in the way is said once.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		r.docker.err = fmt.Errorf("ask docker: %w", engine.ErrAbsent)
		go func() { done <- r.Run(ctx) }()
		expect := func(after time.Duration, looks int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := r.docker.looked(nil); got != looks {
				t.Errorf("%d looks after %s more, want %d", got, after, looks)
			}
		}
		expect(0, 1)
		expect(time.Second, 2)
		expect(2*time.Second, 3)
		expect(10*time.Minute, 16) // 4, 8, 16, 32 s, then every minute
		r.docker.looked(func(d *docker) { d.err = nil })
		expect(time.Minute, 17)
		expect(70*time.Second, 18)
		expect(10*time.Minute-time.Nanosecond, 18)
		r.docker.looked(func(d *docker) { d.daemon.ID = "D2" })
		expect(time.Minute, 19)
		expect(20*time.Minute, 21)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		log := r.log.String()
		if strings.Count(log, "level=INFO") != 1 || strings.Count(log, "level=WARN") != 1 || strings.Count(log, "\n") != 2 {
			t.Errorf("log:\n%s", log)
		}
	})
}

// TestRunWhenAsked: requests are one sweep, and never one at once: Docker still
// waits for the call that was the reason. What was too young then is looked for
// again.
func TestRunWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Soon = sweep.NewRequests()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		expect := func(after time.Duration, looks int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := r.docker.looked(nil); got != looks {
				t.Errorf("%d looks after %s more, want %d", got, after, looks)
			}
		}
		expect(0, 1)
		expect(70*time.Second, 2)
		expect(time.Minute, 2)
		for range 3 {
			r.Soon.Add()
		}
		expect(time.Second, 2)
		r.Soon.Add()
		expect(time.Second, 3)
		expect(69*time.Second, 3)
		expect(time.Second, 4)
		expect(10*time.Minute, 5)
		r.Soon.Add()
		synctest.Wait()
		cancel() // while it waits for more
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestRunEnds: the end of the context ends the pause between two looks.
func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.docker.networks = nil
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
		if r.swept() != "[]" || r.log.Len() > 0 {
			t.Errorf("swept %s; log:\n%s", r.swept(), r.log)
		}
	})
}

var _ sweep.Docker = (*engine.Client)(nil)
