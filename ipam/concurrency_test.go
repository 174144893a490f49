package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	api "github.com/docker/go-plugins-helpers/ipam"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/source"
)

// TestConcurrentEndpoints: eight clients lease and release at once, in pools of
// both families; no two endpoints have one address, and the store agrees.
func TestConcurrentEndpoints(t *testing.T) {
	for _, pool := range []string{"pool6 2001:db8::/80", "pool6 2001:db8::/80 ndp6.iid=sequential", "pool4 10.50.0.0/16"} {
		t.Run(pool, func(t *testing.T) {
			l := newLab(t, nil)
			id := strings.Fields(l.call(pool))[0]
			var mu sync.Mutex
			held := map[string]bool{}
			var group errgroup.Group
			for client := range 8 {
				group.Go(func() error {
					for i := range 100 {
						// Every MAC comes twice, from two clients.
						mac := fmt.Sprintf("02:42:ac:11:%02x:%02x", client/2, i)
						r, err := l.RequestAddress(context.Background(), &api.RequestAddressRequest{
							PoolID: id, Options: map[string]string{"com.docker.network.endpoint.macaddress": mac},
						})
						if err != nil {
							return err
						}
						mu.Lock()
						taken := held[r.Address]
						held[r.Address] = true
						mu.Unlock()
						if taken {
							return fmt.Errorf("%s leased twice", r.Address)
						}
						if i%10 != 0 {
							continue
						}
						mu.Lock()
						delete(held, r.Address)
						mu.Unlock()
						addr, _, _ := strings.Cut(r.Address, "/")
						if err := l.ReleaseAddress(context.Background(), &api.ReleaseAddressRequest{PoolID: id, Address: addr}); err != nil {
							return err
						}
					}
					return nil
				})
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			recorded := map[string]bool{}
			for addr := range l.leases.snapshot() {
				recorded[addr] = true
			}
			want := map[string]bool{}
			for cidr := range held {
				addr, _, _ := strings.Cut(cidr, "/")
				want[addr] = true
			}
			if diff := cmp.Diff(want, recorded); diff != "" || len(want) != 720 {
				t.Errorf("%d held: %s", len(want), diff)
			}
		})
	}
}

// TestConcurrentPools: networks that ask for the same prefix, or for none, at once.
func TestConcurrentPools(t *testing.T) {
	l := newLab(t, nil)
	var mu sync.Mutex
	lent := map[string]int{}
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			for _, prefix := range []string{"2001:db8::/80", "", ""} {
				r, err := l.RequestPool(context.Background(), &api.RequestPoolRequest{Pool: prefix, V6: true})
				if err != nil {
					if prefix == "" {
						return err
					}
					continue
				}
				mu.Lock()
				lent[r.PoolID]++
				mu.Unlock()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for id, times := range lent {
		if times != 1 {
			t.Errorf("%s lent %d times", id, times)
		}
	}
	if len(lent) != 17 {
		t.Errorf("%d pools lent, want 17", len(lent))
	}
}

// slowHost answers when it is told to.
type slowHost struct{ ask, answer chan struct{} }

func (h slowHost) Facts(context.Context) (source.Facts, error) {
	h.ask <- struct{}{}
	<-h.answer
	return source.Facts{}, nil
}

// TestEndpointsDoNotWaitForHost: while a network waits for the host's facts,
// endpoints of others, and replays, go on.
func TestEndpointsDoNotWaitForHost(t *testing.T) {
	l := newLab(t, nil)
	l.call("pool6 2001:db8::/80")
	h := slowHost{make(chan struct{}), make(chan struct{})}
	l.config.Host = h
	if err := l.restart(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := l.RequestPool(context.Background(), &api.RequestPoolRequest{Pool: "2001:db8:1::/80", V6: true})
		done <- err
	}()
	<-h.ask
	got := l.play("> endpoint 2001:db8::/80 mac=02\n> dockerd\n> pool6 2001:db8::/80\n> release 2001:db8::/80 2001:db8::242:ac11:2\n")
	want := `> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:2/80
> dockerd
ok
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> release 2001:db8::/80 2001:db8::242:ac11:2
ok
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	close(h.answer)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestBrokenStore: a call that cannot be recorded changes nothing.
func TestBrokenStore(t *testing.T) {
	l := newLab(t, nil)
	l.play("> pool4 10.50.0.0/24\n> endpoint 10.50.0.0/24 mac=02\n")
	before := []map[string]string{l.pools.snapshot(), l.leases.snapshot()}
	l.pools.broken, l.leases.broken = true, true
	for _, call := range []string{
		"pool6 2001:db8::/80", "pool6", "gateway 10.50.0.0/24", "endpoint 10.50.0.0/24 mac=03",
		"release 10.50.0.0/24 10.50.0.1", "free 10.50.0.0/24", "endpoint ndp6,pool=2001:db8::/80 mac=02",
	} {
		if got := l.call(call); !strings.HasPrefix(got, "error: ") || !strings.HasSuffix(got, errBroken.Error()) {
			t.Errorf("%s: %s", call, got)
		}
	}
	l.pools.broken, l.leases.broken = false, false
	if diff := cmp.Diff(before, []map[string]string{l.pools.snapshot(), l.leases.snapshot()}); diff != "" {
		t.Error(diff)
	}
	want := `> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 10.50.0.0/24 mac=03
10.50.0.3/24
> release 10.50.0.0/24 10.50.0.1
ok
> gateway 10.50.0.0/24
10.50.0.1/24
`
	// The address after the one that could not be recorded: the count goes on.
	if diff := cmp.Diff(want, l.play(want)); diff != "" {
		t.Error(diff)
	}
}

// TestOneTransaction: a lease costs one write to the boot store and none to the
// other, which waits for the disk.
func TestOneTransaction(t *testing.T) {
	l := newLab(t, nil)
	l.call("pool6 2001:db8::/80")
	pools, asked := l.pools.writes, l.host.asked.Load()
	for _, call := range []string{"endpoint 2001:db8::/80 mac=02", "release 2001:db8::/80 2001:db8::242:ac11:2"} {
		before := l.leases.writes
		l.call(call)
		if writes := l.leases.writes - before; writes != 1 {
			t.Errorf("%s: %d transactions", call, writes)
		}
	}
	if l.pools.writes != pools || l.host.asked.Load() != asked {
		t.Errorf("%d writes of pools, host asked %d times", l.pools.writes-pools, l.host.asked.Load()-asked)
	}
}

// TestPairWindow: an IPv4 lease that is not of this attempt is not given back.
func TestPairWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		l.play("> pool4 10.50.0.0/24\n> pool6 2001:db8::/80\n> endpoint 10.50.0.0/24 mac=02\n")
		time.Sleep(time.Minute) // an endpoint without IPv6, whose MAC another is given
		l.call("endpoint 2001:db8::/80 mac=02 2001:db8::")
		if got := l.call("endpoint 10.50.0.0/24 mac=03 10.50.0.1"); !strings.Contains(got, "held by") {
			t.Errorf("10.50.0.1 was given back: %s", got)
		}
	})
}

func TestHostError(t *testing.T) {
	l := newLab(t, nil)
	l.host.err = errors.New("no netlink")
	want := `> pool6 2001:db8::/80
error: learn what the host uses: no netlink
> pool4
error: learn what the host uses: no netlink
`
	if diff := cmp.Diff(want, l.play(want)); diff != "" {
		t.Error(diff)
	}
}

// TestIdentifiersLast: what is made from a secret is the same after a restart,
// and another on another host.
//
// Shows RFC 7217 5 (stable).
func TestIdentifiersLast(t *testing.T) {
	address := func(l *lab, mode string) string {
		l.call("pool6 2001:db8::/80 ndp6.iid=" + mode)
		a := l.call("endpoint 2001:db8::/80 mac=02 name=web")
		addr, _, _ := strings.Cut(a, "/")
		l.call("release 2001:db8::/80 " + addr)
		l.call("free 2001:db8::/80")
		return a
	}
	for _, mode := range []string{"name", "opaque", "packed"} {
		t.Run(mode, func(t *testing.T) {
			l, other := newLab(t, nil), newLab(t, nil)
			first := address(l, mode)
			if got := l.call("plugin"); got != "ok" {
				t.Fatal(got)
			}
			if again := address(l, mode); again != first || strings.Contains(again, "error") {
				t.Errorf("%s, after restart %s", first, again)
			}
			if elsewhere := address(other, mode); elsewhere == first {
				t.Errorf("%s on two hosts", first)
			}
		})
	}
}

// TestDamagedRecords: what does not fit is left alone, and the rest works.
func TestDamagedRecords(t *testing.T) {
	l := newLab(t, nil)
	l.call("pool6 2001:db8::/80")
	good := maps.Clone(l.pools.snapshot())
	for _, err := range []error{
		l.pools.Put("another id", ipam.Pool{}),
		l.leases.Put("2001:db8::1", ipam.Lease{Pool: "another id"}),
		l.leases.Put("2001:db8:9::1", ipam.Lease{Pool: "ndp6,pool=2001:db8::/80"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := `> plugin
ok
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:2/80
> free ndp6,pool=2001:db8::/80
ok
`
	if diff := cmp.Diff(want, l.play(want)); diff != "" {
		t.Error(diff)
	}
	if len(good) != 1 {
		t.Errorf("%d pools", len(good))
	}
}

func BenchmarkEndpoint(b *testing.B) {
	for _, tt := range []struct{ name, pool string }{
		{"mac", "2001:db8::/80"}, {"sequential", "2001:db8::/80 ndp6.iid=sequential"}, {"ipv4", "10.0.0.0/16"},
	} {
		for _, leases := range []int{10, 10_000} {
			b.Run(fmt.Sprintf("%s-%d", tt.name, leases), func(b *testing.B) {
				l := newLab(b, nil)
				verb := "pool6 "
				if tt.name == "ipv4" {
					verb = "pool4 "
				}
				id := strings.Fields(l.call(verb + tt.pool))[0]
				ask := func(i int) string {
					r, err := l.RequestAddress(context.Background(), &api.RequestAddressRequest{
						PoolID: id, Options: map[string]string{
							"com.docker.network.endpoint.macaddress": fmt.Sprintf("02:42:%02x:%02x:%02x:%02x", i>>24&0xff, i>>16&0xff, i>>8&0xff, i&0xff),
						},
					})
					if err != nil {
						b.Fatal(err)
					}
					addr, _, _ := strings.Cut(r.Address, "/")
					return addr
				}
				for i := range leases {
					ask(i)
				}
				for b.Loop() {
					if err := l.ReleaseAddress(context.Background(), &api.ReleaseAddressRequest{PoolID: id, Address: ask(leases)}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
