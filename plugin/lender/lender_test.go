package lender_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/plugin/engine"
	"github.com/ndp6/ndp6/plugin/lender"
)

var (
	pool      = netip.MustParsePrefix("2001:db8::/80")
	address   = netip.MustParseAddr("2001:db8::5")
	errBroken = errors.New("broken")
)

// docker takes a second to answer.
type docker struct {
	mu        sync.Mutex
	asked     int
	endpoints []engine.Endpoint
	err       error
}

func (d *docker) Endpoints(context.Context, string) ([]engine.Endpoint, error) {
	d.mu.Lock()
	d.asked++
	d.mu.Unlock()
	time.Sleep(time.Second)
	return d.endpoints, d.err
}

// addresses lends one address, and tells for whom.
type addresses struct {
	mu   sync.Mutex
	lent []string
	err  error
}

func (a *addresses) PoolSource(netip.Prefix) string { return "uplink" }

func (a *addresses) Random(addr netip.Addr) bool { return addr == address }

func (a *addresses) CheckStable(netip.Prefix) error { return a.err }

func (a *addresses) LendStable(s ipam.Stable) (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	line := s.Name + " " + s.Endpoint + " of " + s.Pool.String()
	for _, id := range []string{"e1", "lost"} {
		if s.Alive(id) {
			line += ", " + id + " alive"
		}
	}
	a.lent = append(a.lent, line)
	return address, a.err
}

func (a *addresses) ReturnStable(endpoint string) error {
	a.lent = append(a.lent, "return "+endpoint)
	return a.err
}

func TestStable(t *testing.T) {
	named := []engine.Endpoint{{ID: "e1", Name: "www"}}
	tests := []struct {
		name      string
		docker    *docker
		addresses *addresses
		want      string // what was lent
		err       error
		text      string
	}{
		{name: "named", docker: &docker{endpoints: named}, want: "www e1 of 2001:db8::/80, e1 alive"},
		{name: "not listed", docker: &docker{}, err: driver.ErrUnnamed},
		{name: "listed without a name", docker: &docker{endpoints: []engine.Endpoint{{ID: "e1"}}}, err: driver.ErrUnnamed},
		{name: "Docker does not answer", docker: &docker{err: errBroken}, err: errBroken},
		{
			name: "nothing to lend", docker: &docker{endpoints: named}, addresses: &addresses{err: errBroken},
			want: "www e1 of 2001:db8::/80, e1 alive", err: errBroken, text: `stable address of container "www": broken`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := tt.addresses
				if a == nil {
					a = &addresses{}
				}
				got, err := lender.New(tt.docker, a).Stable(t.Context(), driver.StableRequest{Network: "n1", Endpoint: "e1", Pool: pool})
				if !errors.Is(err, tt.err) || err == nil && got != address || tt.text != "" && err.Error() != tt.text {
					t.Errorf("Stable = %s, %v, want error %v", got, err, tt.err)
				}
				if diff := cmp.Diff(tt.want, strings.Join(a.lent, "\n")); diff != "" {
					t.Errorf("lent (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Containers of one network that start together ask once.
func TestStableAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, a := &docker{endpoints: []engine.Endpoint{{ID: "e1", Name: "www"}}}, &addresses{}
		l := lender.New(d, a)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := l.Stable(t.Context(), driver.StableRequest{Network: "n1", Endpoint: "e1", Pool: pool}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if d.asked != 1 || len(a.lent) != 10 {
			t.Errorf("asked %d times for %d addresses, want 1 and 10", d.asked, len(a.lent))
		}
	})
}

func TestWithoutDocker(t *testing.T) {
	l := lender.New(nil, &addresses{})
	if err := l.CheckStable(pool); err == nil || !strings.Contains(err.Error(), "--docker-socket") {
		t.Errorf("CheckStable names no setting: %v", err)
	}
	if _, err := l.Stable(t.Context(), driver.StableRequest{Pool: pool}); err == nil {
		t.Error("Stable: no error")
	}
	if !l.Random(address) || l.Random(pool.Addr()) {
		t.Error("addresses were not asked which are random")
	}
	if got := l.Source(pool); got != "uplink" {
		t.Errorf("Source = %q", got)
	}
}
