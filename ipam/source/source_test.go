package source_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/inet"
)

const machine = "0123456789abcdef0123456789abcdef"

var ula = netip.MustParsePrefix("fd00:1:2::/48")

func TestIPv6(t *testing.T) {
	tests := []struct {
		name   string
		blocks []string
		facts  source.Facts
		used   []string
		want   string
	}{
		{
			name: "configured block first", blocks: []string{"2001:db8:a::/56"}, facts: onLink("2001:db8::/64"),
			want: "2001:db8:a::/80 block: configured block 2001:db8:a::/56",
		},
		{
			name: "next of the block", blocks: []string{"2001:db8:a::/56"}, used: []string{"2001:db8:a::/80", "2001:db8:a:0:1::/80"},
			want: "2001:db8:a:0:2::/80 block: configured block 2001:db8:a::/56",
		},
		{
			name: "behind a pool that is shorter than /80", blocks: []string{"2001:db8:a::/56"}, used: []string{"2001:db8:a::/64"},
			want: "2001:db8:a:1::/80 block: configured block 2001:db8:a::/56",
		},
		{
			name: "a long block is one pool", blocks: []string{"2001:db8:a::/96"},
			want: "2001:db8:a::/96 block: configured block 2001:db8:a::/96",
		},
		{
			name: "second block", blocks: []string{"2001:db8:a::/80", "2001:db8:b::/80"}, used: []string{"2001:db8:a::/80"},
			want: "2001:db8:b::/80 block: configured block 2001:db8:a::/80 is used up, configured block 2001:db8:b::/80",
		},
		{
			name: "not where the host has an address", blocks: []string{"2001:db8:a::/56"}, facts: hostAddr("2001:db8:a::1"),
			want: "2001:db8:a:0:1::/80 block: configured block 2001:db8:a::/56",
		},
		{
			name: "uplink", facts: onLink("2001:db8::/64"),
			want: `2001:db8:0:0:afb0::/80 uplink: on-link prefix 2001:db8::/64 of uplink "eth0"`,
		},
		{
			name: "uplink, index taken", facts: onLink("2001:db8::/64"), used: []string{"2001:db8:0:0:afb0::/80"},
			want: `2001:db8:0:0:afb1::/80 uplink: on-link prefix 2001:db8::/64 of uplink "eth0"`,
		},
		{
			name: "uplink, last index taken goes round past 0", facts: onLink("2001:db8::/64"), used: []string{"2001:db8:0:0:8000::/65", "2001:db8::1:0:0:0/80"},
			want: `2001:db8:0:0:2::/80 uplink: on-link prefix 2001:db8::/64 of uplink "eth0"`,
		},
		{
			name: "uplink with a unique local prefix", facts: onLink("fd00:7::/64"),
			want: `fd00:1:2::/80 ula: uplink "eth0" has no global on-link prefix, unique local prefix fd00:1:2::/48`,
		},
		{
			name: "on-link prefix too long", facts: onLink("2001:db8::/124"),
			want: `fd00:1:2::/80 ula: on-link prefix 2001:db8::/124 of uplink "eth0" is too long to take a /80 from, unique local prefix fd00:1:2::/48`,
		},
		{
			name: "no uplink", used: []string{"fd00:1:2::/80"},
			want: `fd00:1:2:0:1::/80 ula: uplink "" has no global on-link prefix, unique local prefix fd00:1:2::/48`,
		},
		{
			name: "everything used", used: []string{"fd00::/8"},
			want: `choose an IPv6 pool: uplink "" has no global on-link prefix, unique local prefix fd00:1:2::/48 is used up: give --subnet, or a block to --pools: conflict`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSource(t, source.Config{Blocks: prefixes(tt.blocks), ULA: ula})
			if diff := cmp.Diff(tt.want, text(s.IPv6(tt.facts, prefixes(tt.used)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIPv4(t *testing.T) {
	tests := []struct {
		name   string
		ranges []string
		facts  source.Facts
		used   []string
		want   string
	}{
		{name: "first", want: "10.166.0.0/24 range: IPv4 range 10.166.0.0/16"},
		{name: "next", used: []string{"10.166.0.0/24"}, want: "10.166.1.0/24 range: IPv4 range 10.166.0.0/16"},
		{name: "behind a route", facts: hostRoute("10.166.0.0/20"), want: "10.166.16.0/24 range: IPv4 range 10.166.0.0/16"},
		{name: "beside a host route", facts: hostRoute("10.166.0.9/32"), want: "10.166.1.0/24 range: IPv4 range 10.166.0.0/16"},
		{name: "second range", ranges: []string{"10.1.0.0/24", "10.2.0.0/23"}, used: []string{"10.0.0.0/15"}, want: "10.2.0.0/24 range: IPv4 range 10.2.0.0/23"},
		{name: "short range", ranges: []string{"10.1.0.0/28"}, want: "10.1.0.0/28 range: IPv4 range 10.1.0.0/28"},
		{
			name: "all routed", facts: hostRoute("10.0.0.0/8"),
			want: "choose an IPv4 pool: no /24 of 10.166.0.0/16 is free of routes and pools: give --subnet, or another range to --ipv4-pools: conflict",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSource(t, source.Config{IPv4: prefixes(tt.ranges), ULA: ula})
			if diff := cmp.Diff(tt.want, text(s.IPv4(tt.facts, prefixes(tt.used)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMachinesDiffer(t *testing.T) {
	s := newSource(t, source.Config{ULA: ula})
	seen := map[netip.Prefix]bool{}
	for i := range 20 {
		f := onLink("2001:db8::/64")
		f.MachineID = fmt.Sprint("machine ", i)
		c, err := s.IPv6(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[c.Prefix] = true
	}
	if len(seen) < 19 {
		t.Errorf("20 machines chose %d prefixes", len(seen))
	}
}

// TestChoiceProperties: a chosen pool overlaps nothing in use, passes the
// host's own check, and is never the /80 that people number by hand.
func TestChoiceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := source.New(source.Config{ULA: ula})
		if err != nil {
			t.Fatal(err)
		}
		link := netip.MustParsePrefix("2001:db8::/64")
		f := onLink(link.String())
		f.MachineID = rapid.StringN(0, 8, 8).Draw(t, "machine")
		f.Foreign.Routes = []inet.HostRoute{{Dst: link, Link: "eth0"}}
		for range rapid.IntRange(0, 8).Draw(t, "addresses") {
			b := link.Addr().As16()
			copy(b[8:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "IID"))
			f.Foreign.Addrs = append(f.Foreign.Addrs, inet.HostAddr{Addr: netip.AddrFrom16(b), Link: "eth0"})
		}
		var used []netip.Prefix
		for range rapid.IntRange(1, 64).Draw(t, "pools") {
			for i, choose := range []func(source.Facts, []netip.Prefix) (source.Choice, error){s.IPv6, s.IPv4} {
				c, err := choose(f, used)
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(f.Foreign.CheckPool(c.Prefix), inet.CheckOverlap(c.Prefix, used), source.CheckGiven(c.Prefix)); err != nil {
					t.Fatal(err)
				}
				if i == 0 && (c.From != "uplink" || c.Prefix.Contains(link.Addr())) {
					t.Fatalf("chose %v", c)
				}
				used = append(used, c.Prefix)
			}
		}
	})
}

func TestCheckGiven(t *testing.T) {
	tests := []struct {
		pool string
		want string
	}{
		{"2001:db8::/80", ""},
		{"2001:db8::/126", ""},
		{"fd00::/64", ""},
		{"10.0.0.0/30", ""},
		{"192.0.2.0/24", ""},
		{"2001:db8::/127", "pool 2001:db8::/127 is longer than /126: use a --subnet of /126 or shorter, the longest that has room for containers in IPv6"},
		{"10.0.0.0/31", "pool 10.0.0.0/31 is longer than /30: use a --subnet of /30 or shorter, the longest that has room for containers in IPv4"},
		{"ff0e::/80", "pool ff0e::/80 overlaps ff00::/8, which is for multicast: use a --subnet of unicast addresses"},
		{"fe80::/64", "pool fe80::/64 overlaps fe80::/10, which is for link-local addresses: use a --subnet of unicast addresses"},
		{"::/0", "pool ::/0 overlaps ::/96, which is for the unspecified, loopback and IPv4-compatible addresses: use a --subnet of unicast addresses"},
		{"127.9.0.0/16", "pool 127.9.0.0/16 overlaps 127.0.0.0/8, which is for loopback: use a --subnet of unicast addresses"},
		{"224.0.0.0/24", "pool 224.0.0.0/24 overlaps 224.0.0.0/4, which is for multicast: use a --subnet of unicast addresses"},
	}
	for _, tt := range tests {
		t.Run(tt.pool, func(t *testing.T) {
			got := ""
			if err := source.CheckGiven(netip.MustParsePrefix(tt.pool)); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]source.Config{
		"IPv4 block":      {Blocks: prefixes([]string{"10.0.0.0/8"}), ULA: ula},
		"IPv6 range":      {IPv4: prefixes([]string{"2001:db8::/64"}), ULA: ula},
		"multicast block": {Blocks: prefixes([]string{"ff0e::/64"}), ULA: ula},
		"no ULA":          {},
		"long ULA":        {ULA: netip.MustParsePrefix("fd00::/64")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := source.New(c); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestRandomULA(t *testing.T) {
	a, b := source.RandomULA(), source.RandomULA()
	if a == b || !inet.IsULA(a) || a.Bits() != 48 || a != a.Masked() {
		t.Errorf("RandomULA = %s, then %s", a, b)
	}
}

func newSource(t *testing.T, c source.Config) *source.Source {
	t.Helper()
	s, err := source.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func text(c source.Choice, err error) string {
	if err != nil {
		if !errors.Is(err, inet.ErrConflict) {
			return "not a conflict: " + err.Error()
		}
		return err.Error()
	}
	return fmt.Sprintf("%s %s: %s", c.Prefix, c.From, c.Reason)
}

func prefixes(ss []string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range ss {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func onLink(p string) source.Facts {
	return source.Facts{MachineID: machine, Uplink: "eth0", OnLink: prefixes([]string{p})}
}

func hostAddr(a string) source.Facts {
	return source.Facts{Foreign: inet.Foreign{Addrs: []inet.HostAddr{{Addr: netip.MustParseAddr(a), Link: "eth0"}}}}
}

func hostRoute(p string) source.Facts {
	return source.Facts{Foreign: inet.Foreign{Routes: []inet.HostRoute{{Dst: netip.MustParsePrefix(p), Link: "eth0"}}}}
}
