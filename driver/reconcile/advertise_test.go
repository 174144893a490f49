package reconcile_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/nettest"
)

var (
	oldPrefix = netip.MustParsePrefix("2001:db8:1::/64")
	newPrefix = netip.MustParsePrefix("2001:db8:2::/64")
)

// enterLAN makes a host whose eth0 hears a router on lan0.
func enterLAN(tb testing.TB) {
	tb.Helper()
	nettest.Enter(tb)
	alive.test = nil // the tables of another namespace are others
	nettest.LAN(tb)
}

// prefix is one that hosts use for this long.
func prefix(p netip.Prefix, preferred time.Duration) nettest.RAPrefix {
	return nettest.RAPrefix{Prefix: p, Preferred: preferred, Valid: 3 * time.Hour}
}

// awaitAll waits until commands show what is wanted.
func awaitAll(t *testing.T, want map[string]string) {
	t.Helper()
	repaired(t, time.Now(), func() string { return shows(t, want) })
}

// What the kernel learned from a router stays when ndp6 makes the host forward,
// is renewed from then on, and stays when the last network goes.
//
// Shows RFC 4861 6.3.4 (default router).
func TestHostLearnsWhileItForwards(t *testing.T) {
	enterLAN(t)
	advertise := func(router time.Duration, prefixes ...nettest.RAPrefix) {
		nettest.Advertise(t, "lan0", nettest.RA{Router: router, Prefixes: prefixes})
	}
	learned := func(lifetime string, more ...string) map[string]string {
		want := map[string]string{
			"ip -6 route show default dev eth0": "via fe80::9 proto ra metric 1024 expires " + lifetime,
			"ip -6 addr show dev eth0":          "inet6 2001:db8:1:0:42:ff:fe00:5/64 scope global",
		}
		for i := 0; i < len(more); i += 2 {
			want[more[i]] = more[i+1]
		}
		return want
	}
	advertise(1000*time.Second, prefix(oldPrefix, time.Hour))
	awaitAll(t, learned(""))

	n := newNode(t, memory{})
	n.serve(t)
	if missing := shows(t, learned("", "sysctl net.ipv6.conf.eth0.accept_ra", "= 2", "sysctl net.ipv6.conf.all.forwarding", "= 1")); missing != "" {
		t.Errorf("after the network was made: %s", missing)
	}
	advertise(9000*time.Second, prefix(oldPrefix, time.Hour))
	awaitAll(t, learned("89"))

	n.stop(t)
	if missing := shows(t, learned("89", "sysctl net.ipv6.conf.eth0.accept_ra", "= 1", "sysctl net.ipv6.conf.all.forwarding", "= 0")); missing != "" {
		t.Errorf("after the network was removed: %s", missing)
	}
	advertise(7000*time.Second, prefix(oldPrefix, time.Hour))
	awaitAll(t, learned("69"))
}

// A daemon that handles advertisements keeps the kernel from it, and must not
// find its own routes and addresses beside the kernel's.
//
// Shows RFC 4861 6.3.4 (default router).
func TestHostLeavesAdvertisementsToADaemon(t *testing.T) {
	enterLAN(t)
	nettest.Run(t,
		"sysctl -qw net.ipv6.conf.eth0.accept_ra=0",
		"ip addr add 2001:db8:1::d/64 dev eth0 nodad valid_lft 9000 preferred_lft 9000",
		"ip -6 route add default via fe80::9 dev eth0 proto ra metric 1024 expires 9000",
	)
	check := func(when string) {
		t.Helper()
		missing := shows(t, map[string]string{
			"sysctl net.ipv6.conf.eth0.accept_ra": "= 0",
			"ip -6 route show default dev eth0":   "via fe80::9 proto ra metric 1024 expires",
			"ip -6 addr show dev eth0":            "inet6 2001:db8:1::d/64 scope global",
		})
		if missing != "" {
			t.Errorf("%s: %s", when, missing)
		}
	}
	n := newNode(t, memory{})
	n.serve(t)
	check("after the network was made")
	n.stop(t)
	check("after the network was removed")
}

// heard passes on what uplinks are recorded as.
type heard chan uplink.Uplink

func (heard) All() (map[string]uplink.Uplink, error) { return map[string]uplink.Uplink{}, nil }

func (h heard) Put(_ string, u uplink.Uplink) error {
	h <- u
	return nil
}

// await waits until the uplink has these prefixes, and says how long that took.
func (h heard) await(t *testing.T, begin time.Time, onLink, deprecated []netip.Prefix) {
	t.Helper()
	byValue := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	timeout := time.After(patience)
	diff := "nothing"
	for diff != "" {
		select {
		case u := <-h:
			diff = cmp.Diff(onLink, u.OnLink, byValue) + cmp.Diff(deprecated, u.Deprecated, byValue)
		case <-timeout:
			t.Fatalf("uplink (-want +got):\n%s", diff)
		}
	}
	t.Logf("known after %v", time.Since(begin).Round(time.Millisecond))
}

// A router that changes the prefix is followed, and in the end nothing is left
// of the old one. The host waits for its first advertisement here, already
// forwarding.
func TestHostIsRenumbered(t *testing.T) {
	enterLAN(t)
	up := make(heard, 100)
	n := newNode(t, memory{}, func(c *reconcile.HostConfig) { c.Uplinks = up })
	n.serve(t)
	t.Cleanup(n.run(t))
	advertise := func(prefixes ...nettest.RAPrefix) time.Time {
		nettest.Advertise(t, "lan0", nettest.RA{Router: time.Hour, Prefixes: prefixes})
		return time.Now()
	}
	begin := advertise(prefix(oldPrefix, time.Hour))
	up.await(t, begin, []netip.Prefix{oldPrefix}, nil)
	begin = advertise(prefix(oldPrefix, 0), prefix(newPrefix, time.Hour))
	up.await(t, begin, []netip.Prefix{newPrefix, oldPrefix}, []netip.Prefix{oldPrefix})
	// Two hours later (RFC 4862 5.5.3):
	nettest.Run(t, "ip -6 addr del 2001:db8:1:0:42:ff:fe00:5/64 dev eth0", "ip -6 route del 2001:db8:1::/64 dev eth0")
	begin = time.Now()
	up.await(t, begin, []netip.Prefix{newPrefix}, nil)
}
