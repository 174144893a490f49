package kernel_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// lan makes eth0, which learns from advertisements on lan0, and returns a Conn.
func lan(t *testing.T) *kernel.Conn {
	t.Helper()
	nettest.Enter(t)
	nettest.LAN(t)
	return open(t)
}

// TestAdvertisements renumbers a host by router advertisements. Whatever
// changes, in whatever way, comes with an event, and is seen from then on.
func TestAdvertisements(t *testing.T) {
	c := lan(t)
	events := watch(t, c)
	before, after := netip.MustParsePrefix("2001:db8:1::/64"), netip.MustParsePrefix("2001:db8:2::/64")
	advertise := func(prefixes ...nettest.RAPrefix) func() {
		return func() { nettest.Advertise(t, "lan0", nettest.RA{Router: time.Hour, Prefixes: prefixes}) }
	}
	const preferred, deprecated = "preferred", "deprecated"
	for _, step := range []struct {
		name   string
		do     func()
		prefix netip.Prefix
		want   string // what its address is in the end
		within time.Duration
	}{
		{
			name: "first prefix", do: advertise(nettest.RAPrefix{Prefix: before, Preferred: time.Hour, Valid: 2 * time.Hour}),
			prefix: before, want: preferred, within: patience,
		},
		{
			name: "second prefix, and no preferred lifetime for the first",
			do:   advertise(nettest.RAPrefix{Prefix: before, Valid: 2 * time.Hour}, nettest.RAPrefix{Prefix: after, Preferred: time.Hour, Valid: 2 * time.Hour}),
			// The first is looked at: the second is preferred at once.
			prefix: before, want: deprecated, within: time.Second,
		},
		{
			name: "preferred again", do: advertise(nettest.RAPrefix{Prefix: before, Preferred: time.Hour, Valid: 2 * time.Hour}),
			prefix: before, want: preferred, within: time.Second,
		},
		{
			name: "preferred lifetime that ends", do: advertise(nettest.RAPrefix{Prefix: after, Preferred: time.Second, Valid: 2 * time.Hour}),
			prefix: after, want: deprecated, within: 2*time.Second + time.Second, // The kernel's timer is up to a second late.
		},
		{
			name: "static address whose preferred lifetime ends", do: func() { nettest.Run(t, "ip addr add 2001:db8:3::1/64 dev eth0 nodad preferred_lft 1 valid_lft 100") },
			prefix: netip.MustParsePrefix("2001:db8:3::/64"), want: deprecated, within: 2*time.Second + time.Second,
		},
		{
			name: "valid lifetime that ends", do: func() {
				nettest.Run(t, "ip addr change 2001:db8:3::1/64 dev eth0 preferred_lft 0 valid_lft 1")
			},
			prefix: netip.MustParsePrefix("2001:db8:3::/64"), want: "", within: 2*time.Second + time.Second,
		},
	} {
		begin := time.Now()
		step.do()
		for state(t, c, step.prefix) != step.want {
			select {
			case <-events:
			case <-time.After(patience):
				t.Fatalf("%s: no event says that the address in %s is %q", step.name, step.prefix, step.want)
			}
		}
		if took := time.Since(begin); took > step.within {
			t.Errorf("%s: known after %s, want at most %s", step.name, took, step.within)
		}
	}
}

// TestAddressOrder has the newest address first, and tells the one that the
// kernel made for privacy.
func TestAddressOrder(t *testing.T) {
	c := lan(t)
	nettest.Run(t, "sysctl -qw net.ipv6.conf.eth0.use_tempaddr=2", "ip addr add 2001:db8:3::1/64 dev eth0 nodad")
	events := watch(t, c)
	var got []string
	learn := func(p string) {
		m := nettest.RA{Prefixes: []nettest.RAPrefix{{Prefix: netip.MustParsePrefix(p), Preferred: time.Hour, Valid: time.Hour}}}
		nettest.Advertise(t, "lan0", m)
		for before := len(got); len(got) != before+2; { // a lasting address and a temporary one
			select {
			case <-events:
			case <-time.After(patience):
				t.Fatalf("no addresses in %s, only %v", p, got)
			}
			got = order(t, c)
		}
	}
	got = order(t, c)
	learn("2001:db8:1::/64")
	learn("2001:db8:2::/64")
	want := []string{"2001:db8:2::/64 temporary", "2001:db8:2::/64", "2001:db8:1::/64 temporary", "2001:db8:1::/64", "2001:db8:3::/64"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

// order is the prefixes of eth0's global addresses.
func order(t *testing.T, c *kernel.Conn) []string {
	t.Helper()
	all, err := c.Addresses()
	if err != nil {
		t.Fatal(err)
	}
	var prefixes []string
	for _, a := range all {
		text := a.Prefix.Masked().String()
		if a.Temporary {
			text += " temporary"
		}
		if a.Link == "eth0" && !a.Prefix.Addr().IsLinkLocalUnicast() {
			prefixes = append(prefixes, text)
		}
	}
	return prefixes
}

// state is what the address of eth0 in p is, empty if it has none.
func state(t *testing.T, c *kernel.Conn, p netip.Prefix) string {
	t.Helper()
	for _, a := range addresses(t, c) {
		switch {
		case !p.Contains(a.Prefix.Addr()):
		case a.Deprecated:
			return "deprecated"
		default:
			return "preferred"
		}
	}
	return ""
}
