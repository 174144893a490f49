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
	const noRouted, noOnLink = "no global prefix is routed to the host", `uplink "eth0" has no global on-link prefix`
	tests := []struct {
		name   string
		blocks []string
		facts  source.Facts
		used   []string
		wish   source.Wish
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
			name: "a small block with the host's address", blocks: []string{"2001:db8:a::/96"}, facts: hostAddr("2001:db8:a::1"),
			want: "2001:db8:a::8000:0/97 block: configured block 2001:db8:a::/96",
		},
		{
			name: "second block", blocks: []string{"2001:db8:a::/80", "2001:db8:b::/80"}, used: []string{"2001:db8:a::/80"},
			want: "2001:db8:b::/80 block: configured block 2001:db8:b::/80, because configured block 2001:db8:a::/80 is used up",
		},
		{
			name: "a block of unique local addresses", blocks: []string{"fd00:9::/48"}, facts: onLink("2001:db8::/64"),
			want: "fd00:9::/80 block: configured block fd00:9::/48",
		},
		{
			name: "not where the host has an address", blocks: []string{"2001:db8:a::/56"}, facts: hostAddr("2001:db8:a::1"),
			want: "2001:db8:a:0:1::/80 block: configured block 2001:db8:a::/56",
		},
		{
			name: "not where the router has its address", blocks: []string{"2001:db8:a::/56"}, facts: router("2001:db8:a::1"),
			want: "2001:db8:a:0:1::/80 block: configured block 2001:db8:a::/56",
		},
		{
			name: "not in another link's prefix", blocks: []string{"2001:db8:a::/56"}, facts: hostRoute("2001:db8:a::/64"),
			want: "2001:db8:a:1::/80 block: configured block 2001:db8:a::/56",
		},
		{
			name: "a block that is shorter than what is asked for", blocks: []string{"2001:db8:a::/56"}, used: []string{"2001:db8:a::/80"}, wish: source.Wish{Bits: 64},
			want: "2001:db8:a:1::/64 block: configured block 2001:db8:a::/56",
		},
		{
			name: "a block of just that length", blocks: []string{"2001:db8:a::/64"}, wish: source.Wish{Bits: 64},
			want: "2001:db8:a::/64 block: configured block 2001:db8:a::/64",
		},
		{
			name: "uplink", facts: onLink("2001:db8::/64"),
			want: `2001:db8:0:0:afb0::/80 uplink: on-link prefix 2001:db8::/64 of uplink "eth0"`,
		},
		{
			name: "uplink, the prefix that comes first", facts: onLink("2001:db8:1::/64", "2001:db8::/64"),
			want: `2001:db8:1:0:8f9d::/80 uplink: on-link prefix 2001:db8:1::/64 of uplink "eth0"`,
		},
		{
			name: "uplink, another length", facts: onLink("2001:db8::/64"), wish: source.Wish{Bits: 96},
			want: `2001:db8::abc7:3e9:0:0/96 uplink: on-link prefix 2001:db8::/64 of uplink "eth0"`,
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
			name: "uplink, all of its prefix asked for", facts: onLink("2001:db8::/64"), wish: source.Wish{Bits: 64},
			want: `fd00:1:2:9089::/64 ula: unique local prefix fd00:1:2::/48, because on-link prefix 2001:db8::/64 of uplink "eth0" is too long to take a /64 from and ` + noRouted,
		},
		{
			name: "routed before a unique local prefix", facts: routed("2001:db8:5::/56"),
			want: "2001:db8:5:ff::/80 routed: prefix 2001:db8:5::/56 that is routed to the host, because " + noOnLink,
		},
		{
			name: "routed, next of the last /64", facts: routed("2001:db8:5::/56"), used: []string{"2001:db8:5:ff::/80"},
			want: "2001:db8:5:ff:1::/80 routed: prefix 2001:db8:5::/56 that is routed to the host, because " + noOnLink,
		},
		{
			name: "routed /64: not where the host's own addresses are", facts: routed("2001:db8:5::/64"),
			want: "2001:db8:5:0:1::/80 routed: prefix 2001:db8:5::/64 that is routed to the host, because " + noOnLink,
		},
		{
			name: "routed, the last /64 is a LAN's", facts: routed("2001:db8:5::/63", "2001:db8:5:1::/64"),
			want: "2001:db8:5:0:1::/80 routed: prefix 2001:db8:5::/63 that is routed to the host, because " + noOnLink,
		},
		{
			name: "uplink with a unique local prefix", facts: onLink("fd00:7::/64"),
			want: `fd00:1:2:0:246::/80 ula: unique local prefix fd00:1:2::/48, because ` + noOnLink + " and " + noRouted,
		},
		{
			name: "no uplink", used: []string{"fd00:1:2:0:8f1a::/80"},
			want: "fd00:1:2:0:8f1b::/80 ula: unique local prefix fd00:1:2::/48, because the host has no uplink and " + noRouted,
		},
		{
			name: "everything used", used: []string{"fd00::/8"},
			want: "choose an IPv6 pool: the host has no uplink, " + noRouted + ", unique local prefix fd00:1:2::/48 is used up: give --subnet, or a block to --pools: conflict",
		},
		{
			name: "asked for", blocks: []string{"2001:db8:a::/56"}, facts: onLink("2001:db8::/64"), wish: source.Wish{From: source.ULA},
			want: "fd00:1:2:0:246::/80 ula: unique local prefix fd00:1:2::/48",
		},
		{
			name: "asked for what is not there", blocks: []string{"2001:db8:a::/56"}, facts: onLink("2001:db8::/64"), wish: source.Wish{From: source.Routed},
			want: "choose an IPv6 pool from routed: " + noRouted + ": use another --ipam-opt ndp6.source or --pool-source, there is " +
				`configured block 2001:db8:a::/56, on-link prefix 2001:db8::/64 of uplink "eth0", unique local prefix fd00:1:2::/48; or give --subnet: conflict`,
		},
		{
			name: "asked for a block without one", wish: source.Wish{From: source.Block},
			want: "choose an IPv6 pool from block: no block is configured: use another --ipam-opt ndp6.source or --pool-source, there is unique local prefix fd00:1:2::/48; or give --subnet: conflict",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSource(t, source.Config{Blocks: prefixes(tt.blocks), ULA: ula})
			if diff := cmp.Diff(tt.want, text(s.IPv6(tt.facts, prefixes(tt.used), tt.wish))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSmallAllotments takes pools from an on-link prefix until none is left.
//
// Shows RFC 6164 6 (uplink).
func TestSmallAllotments(t *testing.T) {
	tests := []struct {
		name, prefix, host, router string
		want                       []string
	}{
		{name: "/124 numbered from the start", prefix: "2001:db8::/124", host: "2001:db8::2", router: "2001:db8::1", want: []string{"2001:db8::8/125", "2001:db8::4/126"}},
		{name: "/124 with the router at the end", prefix: "2001:db8::/124", host: "2001:db8::5", router: "2001:db8::f", want: []string{"2001:db8::/126", "2001:db8::8/126"}},
		{name: "/124 with a link-local router", prefix: "2001:db8::/124", host: "2001:db8::9", want: []string{"2001:db8::/125", "2001:db8::c/126"}},
		{name: "/112", prefix: "2001:db8::/112", host: "2001:db8::2", router: "2001:db8::1", want: []string{"2001:db8::8000/113", "2001:db8::4000/114", "2001:db8::2000/115"}},
		{name: "/80", prefix: "2001:db8::/80", host: "2001:db8::2", router: "2001:db8::1", want: []string{"2001:db8::8000:0:0/81"}},
		{name: "/79", prefix: "2001:db8::/79", host: "2001:db8::2", router: "2001:db8::1", want: []string{"2001:db8:0:0:1::/80"}},
		{name: "/126", prefix: "2001:db8::/126", host: "2001:db8::2", router: "2001:db8::1"},
		{name: "/127", prefix: "2001:db8::/127", host: "2001:db8::", router: "2001:db8::1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSource(t, source.Config{ULA: ula})
			f := onLink(tt.prefix)
			f.Foreign.Addrs = hostAddr(tt.host).Foreign.Addrs
			if tt.router != "" {
				f.Foreign.Routers = router(tt.router).Foreign.Routers
			}
			f.Foreign.Routes = hostRoute(tt.prefix).Foreign.Routes
			var got []string
			var used []netip.Prefix
			for range max(1, len(tt.want)) {
				c, err := s.IPv6(f, used, source.Wish{From: source.Uplink})
				if err != nil {
					break
				}
				got, used = append(got, c.Prefix.String()), append(used, c.Prefix)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
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
		{name: "in a private range that the host keeps from its router", facts: source.Facts{Foreign: inet.Foreign{Routes: []inet.HostRoute{{Dst: netip.MustParsePrefix("10.0.0.0/8")}}}}, want: "10.166.0.0/24 range: IPv4 range 10.166.0.0/16"},
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
		c, err := s.IPv6(f, nil, source.Wish{})
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
// host's own check, has the length that is wanted, and is never the part of the
// uplink's prefix that people number by hand.
func TestChoiceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		link := netip.MustParsePrefix("2001:db8::/64")
		blocks := prefixes([]string{"2001:db8:1::/76", "2001:db8:2::/126", "2002:c000:201::/77", "fd00:3::/78"})
		s, err := source.New(source.Config{ULA: ula, Blocks: blocks[rapid.IntRange(0, len(blocks)).Draw(t, "blocks"):]})
		if err != nil {
			t.Fatal(err)
		}
		f := onLink(link.String())
		f.MachineID = rapid.StringN(0, 8, 8).Draw(t, "machine")
		f.Foreign.Routes = []inet.HostRoute{{Dst: link, Link: "eth0"}}
		for range rapid.IntRange(0, 8).Draw(t, "addresses") {
			b := rapid.SampledFrom(append(blocks, link)).Draw(t, "in").Addr().As16()
			copy(b[8:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "IID"))
			f.Foreign.Addrs = append(f.Foreign.Addrs, inet.HostAddr{Addr: netip.AddrFrom16(b), Link: "eth0"})
		}
		wish := source.Wish{Bits: rapid.IntRange(65, 100).Draw(t, "bits")}
		six := func(f source.Facts, used []netip.Prefix) (source.Choice, error) { return s.IPv6(f, used, wish) }
		var used []netip.Prefix
		for range rapid.IntRange(1, 64).Draw(t, "pools") {
			for i, choose := range []func(source.Facts, []netip.Prefix) (source.Choice, error){six, s.IPv4} {
				c, err := choose(f, used)
				if err != nil {
					if wish.Bits < 70 {
						continue // so few that they may be used up
					}
					t.Fatal(err)
				}
				if err := errors.Join(f.Foreign.CheckPool(c.Prefix), inet.CheckOverlap(c.Prefix, used), source.CheckGiven(c.Prefix)); err != nil {
					t.Fatal(err)
				}
				if i == 0 && (c.Prefix.Bits() < wish.Bits || c.From == "uplink" && (c.Prefix.Bits() != wish.Bits || c.Prefix.Contains(link.Addr()))) {
					t.Fatalf("chose %v, wanted a /%d", c, wish.Bits)
				}
				used = append(used, c.Prefix)
			}
		}
	})
}

// TestBlocksInOrder takes what each block has, then goes to the next.
func TestBlocksInOrder(t *testing.T) {
	s := newSource(t, source.Config{ULA: ula, Blocks: prefixes([]string{"2001:db8:1::/79", "2002:c000:201::/96", "fd00:3::/78"})})
	var got []string
	var used []netip.Prefix
	for range 8 {
		c, err := s.IPv6(source.Facts{MachineID: machine}, used, source.Wish{})
		if err != nil {
			t.Fatal(err)
		}
		got, used = append(got, c.Prefix.String()), append(used, c.Prefix)
	}
	want := []string{
		"2001:db8:1::/80", "2001:db8:1:0:1::/80", "2002:c000:201::/96",
		"fd00:3::/80", "fd00:3:0:0:1::/80", "fd00:3:0:0:2::/80", "fd00:3:0:0:3::/80", "fd00:1:2:0:246::/80",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}

// TestHas says which given pools agree with a source.
func TestHas(t *testing.T) {
	s := newSource(t, source.Config{ULA: ula, Blocks: prefixes([]string{"2001:db8:a::/56"})})
	f := routed("2001:db8:5::/56")
	for from, inside := range map[source.From]string{
		source.Block: "2001:db8:a:1::/80", source.Uplink: "", source.Routed: "2001:db8:5::/64", source.ULA: "fd00:1:2:3::/64",
	} {
		for _, p := range []string{"2001:db8:a:1::/80", "2001:db8:5::/64", "fd00:1:2:3::/64", "2001:db8::/32"} {
			if got := s.Has(from, f, netip.MustParsePrefix(p)); got != (p == inside) {
				t.Errorf("Has(%s, %s) = %v", from, p, got)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for _, f := range source.Froms() {
		if got, err := source.ParseFrom(string(f)); got != f || err != nil {
			t.Errorf("ParseFrom(%q) = %q, %v", f, got, err)
		}
	}
	if _, err := source.ParseFrom("given"); fmt.Sprint(err) != "want one of auto, block, uplink, routed, ula" {
		t.Errorf("error %v", err)
	}
	for _, text := range []string{"64", "126"} {
		if got, err := source.ParseBits(text); fmt.Sprint(got) != text || err != nil {
			t.Errorf("ParseBits(%q) = %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"63", "127", "/80", ""} {
		if _, err := source.ParseBits(text); fmt.Sprint(err) != "want a number from 64 to 126" {
			t.Errorf("ParseBits(%q): error %v", text, err)
		}
	}
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

// Shows RFC 4193 3.2.1 (random).
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

func onLink(ps ...string) source.Facts {
	return source.Facts{MachineID: machine, Uplink: "eth0", OnLink: prefixes(ps)}
}

// routed is a host to which p is routed, with an address of it and these LANs.
func routed(p string, lans ...string) source.Facts {
	prefix := netip.MustParsePrefix(p)
	f := source.Facts{MachineID: machine, Uplink: "eth0", Routed: []netip.Prefix{prefix}}
	f.Foreign = inet.Foreign{
		Addrs:  []inet.HostAddr{{Addr: prefix.Addr().Next(), Link: "lo"}},
		Routes: []inet.HostRoute{{Dst: prefix}},
	}
	for _, lan := range lans {
		f.Foreign.Routes = append(f.Foreign.Routes, inet.HostRoute{Dst: netip.MustParsePrefix(lan), Link: "lan0"})
	}
	return f
}

func router(a string) source.Facts {
	return source.Facts{Foreign: inet.Foreign{Routers: hostAddr(a).Foreign.Addrs}}
}

func hostAddr(a string) source.Facts {
	return source.Facts{Foreign: inet.Foreign{Addrs: []inet.HostAddr{{Addr: netip.MustParseAddr(a), Link: "eth0"}}}}
}

func hostRoute(p string) source.Facts {
	return source.Facts{Foreign: inet.Foreign{Routes: []inet.HostRoute{{Dst: netip.MustParsePrefix(p), Link: "eth0"}}}}
}
