package ipam_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/source"
)

var stablePool = netip.MustParsePrefix("2001:db8::/80")

// stable asks for the address of a container, of whose network Docker has
// these endpoints.
func (l *lab) stable(t *testing.T, name, endpoint string, alive ...string) netip.Addr {
	t.Helper()
	addr, err := l.LendStable(ipam.Stable{
		Pool: stablePool, Name: name, Endpoint: endpoint,
		Alive: func(id string) bool { return strings.Contains(strings.Join(alive, " "), id) },
	})
	if err != nil {
		t.Fatalf("stable address of %s: %v", name, err)
	}
	return addr
}

func (l *lab) give(t *testing.T, endpoint string) {
	t.Helper()
	if err := l.ReturnStable(endpoint); err != nil {
		t.Fatal(err)
	}
}

func newStableLab(t *testing.T) *lab {
	t.Helper()
	l := newLab(t, nil)
	l.call("pool6 2001:db8::/80")
	return l
}

func TestStable(t *testing.T) {
	l := newStableLab(t)
	first := l.stable(t, "www", "e1")
	if !stablePool.Contains(first) {
		t.Errorf("%s is not in %s", first, stablePool)
	}
	if again := l.stable(t, "www", "e1", "e1"); again != first {
		t.Errorf("asked again: %s, want %s", again, first)
	}
	if other := l.stable(t, "db", "e2", "e1", "e2"); other == first {
		t.Errorf("another container has %s as well", other)
	}
	if got := l.call("endpoint 2001:db8::/80 mac=05 " + first.String()); !strings.Contains(got, `is held by container "www": use another`) {
		t.Errorf("an endpoint that asks for it: %s", got)
	}

	l.give(t, "e1")
	if again := l.stable(t, "www", "e3", "e3"); again != first {
		t.Errorf("after a restart of the container: %s, want %s", again, first)
	}
	l.give(t, "e1") // the release of an endpoint that lost it
	if err := l.restart(); err != nil {
		t.Fatal(err)
	}
	if other := l.stable(t, "www", "e4", "e3", "e4"); other == first {
		t.Errorf("after a rename, two containers have %s", other)
	}
	if again := l.stable(t, "www", "e5", "e4", "e5"); again != first {
		t.Errorf("after the loss of its endpoint: %s, want %s", again, first)
	}
}

// Secret and pool outlive the boot, and the pool its network.
func TestStableOutlives(t *testing.T) {
	l := newStableLab(t)
	want := l.stable(t, "www", "e1")
	l.call("host")
	if got := l.stable(t, "www", "e2"); got != want {
		t.Errorf("after a boot: %s, want %s", got, want)
	}
	l.give(t, "e2")
	l.call("free 2001:db8::/80")
	l.call("pool6 2001:db8::/80")
	if got := l.stable(t, "www", "e3"); got != want {
		t.Errorf("in a new network: %s, want %s", got, want)
	}
}

// Docker 29 says the name itself, so that the first address is the stable one.
func TestStableIsTheFirst(t *testing.T) {
	l := newLab(t, nil)
	l.call("pool6 2001:db8::/80 ndp6.iid=name")
	given := netip.MustParsePrefix(l.call("endpoint 2001:db8::/80 mac=02 name=www")).Addr()
	got, err := l.LendStable(ipam.Stable{Pool: stablePool, Name: "www", Endpoint: "e1", Addrs: []netip.Addr{given}})
	if err != nil || got != given {
		t.Errorf("stable address: %s, %v, want %s", got, err, given)
	}
	if n := len(l.leases.snapshot()); n != 1 {
		t.Errorf("%d leases, want 1", n)
	}
}

func TestStableErrors(t *testing.T) {
	l := newStableLab(t)
	l.leases.broken = true
	ask := ipam.Stable{Pool: stablePool, Name: "www", Endpoint: "e1", Alive: func(string) bool { return true }}
	if _, err := l.LendStable(ask); !errors.Is(err, errBroken) {
		t.Errorf("a lease that is not recorded: got %v", err)
	}
	l.leases.broken = false
	l.stable(t, "www", "e2")
	l.leases.broken = true
	if err := l.ReturnStable("e2"); !errors.Is(err, errBroken) {
		t.Errorf("a lease that is not forgotten: got %v", err)
	}
	ask.Pool = netip.MustParsePrefix("2001:db8:1::/80")
	if _, err := l.LendStable(ask); err == nil || err.Error() != "pool 2001:db8:1::/80 is not lent: create the network again" {
		t.Errorf("a pool that is not lent: got %v", err)
	}
}

func TestCheckStable(t *testing.T) {
	l := newLab(t, nil)
	for _, line := range []string{"pool6 2001:db8::/80", "pool6 2001:db8:1::/96", "pool6 2001:db8:2::/64 range=2001:db8:2::/96"} {
		l.call(line)
	}
	const long = " has no room for addresses made of names: use a --subnet, and an --ip-range where there is one, of /80 or shorter"
	tests := []struct{ pool, want string }{
		{"2001:db8::/80", ""},
		{"2001:db8:1::/96", "pool 2001:db8:1::/96" + long},
		{"2001:db8:2::/64", "pool 2001:db8:2::/64" + long},
		{"2001:db8::/64", "pool 2001:db8::/64 is that of another IPAM driver: add --ipam-driver ndp6 to docker network create"},
	}
	for _, tt := range tests {
		got := ""
		if err := l.CheckStable(netip.MustParsePrefix(tt.pool)); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.pool, diff)
		}
	}
}

func TestPoolSource(t *testing.T) {
	l := newLab(t, func(_ *ipam.Config, f *source.Facts) {
		f.Uplink, f.OnLink = "eth0", []netip.Prefix{netip.MustParsePrefix("2001:db8:5::/64")}
	})
	l.call("pool6 2001:db8::/80")
	l.call("pool6")
	for _, p := range l.Prefixes() {
		want := "given"
		if p != stablePool {
			want = "uplink"
		}
		if got := l.PoolSource(p); got != want {
			t.Errorf("source of %s: %q, want %q", p, got, want)
		}
	}
	if got := l.PoolSource(netip.MustParsePrefix("2001:db8::/64")); got != "" {
		t.Errorf("source of no pool: %q", got)
	}
}
