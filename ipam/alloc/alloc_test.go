package alloc_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/inet"
)

var (
	mac    = inet.MAC{0x02, 0x42, 0xac, 0x11, 0x00, 0x02}
	secret = []byte("a secret of these tests")
)

func TestPick(t *testing.T) {
	tests := []struct {
		name  string
		pool  string
		span  string
		mode  alloc.Mode
		mac   inet.MAC
		id    string
		after string
		taken []string
		want  string
	}{
		{name: "MAC in a /80", pool: "2001:db8::/80", mode: alloc.MAC, mac: mac, want: "2001:db8::242:ac11:2"},
		{name: "MAC in a /64 has zeros above", pool: "2001:db8::/64", mode: alloc.MAC, mac: mac, want: "2001:db8::242:ac11:2"},
		{name: "MAC in a /48", pool: "2001:db8::/48", mode: alloc.MAC, mac: mac, want: "2001:db8::242:ac11:2"},
		{name: "MAC in use", pool: "2001:db8::/80", mode: alloc.MAC, mac: mac, taken: []string{"2001:db8::242:ac11:2"}, want: "2001:db8::242:ac11:3"},
		{name: "MAC in a range", pool: "2001:db8::/64", span: "2001:db8::1:0:0:0/80", mode: alloc.MAC, mac: mac, want: "2001:db8::1:242:ac11:2"},
		{name: "MAC in a range longer than /80", pool: "2001:db8::/80", span: "2001:db8::1000/116", mode: alloc.MAC, mac: mac, want: "2001:db8::1000"},
		{name: "MAC in a pool longer than /80", pool: "2001:db8::/112", mode: alloc.MAC, mac: mac, want: "2001:db8::1"},
		{
			name: "MAC near the anycast identifiers", pool: "2001:db8::/80", mode: alloc.MAC,
			mac: inet.MAC{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff}, want: "2001:db8::feff:ffff:ffff",
		},
		{name: "no MAC", pool: "2001:db8::/80", mode: alloc.MAC, want: "2001:db8::1"},
		{name: "name not given", pool: "2001:db8::/80", mode: alloc.Name, mac: mac, want: "2001:db8::242:ac11:2"},
		{name: "name", pool: "2001:db8::/80", mode: alloc.Name, mac: mac, id: "web", want: "NAME"},
		{name: "first of a pool", pool: "2001:db8::/80", mode: alloc.Sequential, want: "2001:db8::1"},
		{name: "goes on", pool: "2001:db8::/80", mode: alloc.Sequential, after: "2001:db8::9", want: "2001:db8::a"},
		{name: "steps over", pool: "2001:db8::/80", mode: alloc.Sequential, after: "2001:db8::9", taken: []string{"2001:db8::a"}, want: "2001:db8::b"},
		{name: "carries", pool: "2001:db8::/80", mode: alloc.Sequential, after: "2001:db8::ffff", want: "2001:db8::1:0"},
		{name: "wraps before the anycast identifiers", pool: "2001:db8::/112", mode: alloc.Sequential, after: "2001:db8::ff7f", want: "2001:db8::1"},
		{name: "a /124 has all but the first", pool: "2001:db8::/124", mode: alloc.MAC, mac: mac, after: "2001:db8::e", want: "2001:db8::f"},
		{name: "hint outside the range", pool: "10.0.0.0/24", span: "10.0.0.128/25", after: "10.0.0.7", want: "10.0.0.128"},
		{name: "IPv4 skips the network", pool: "10.0.0.0/24", mode: alloc.MAC, mac: mac, want: "10.0.0.1"},
		{name: "IPv4 skips the broadcast", pool: "10.0.0.0/24", span: "10.0.0.128/25", after: "10.0.0.254", want: "10.0.0.128"},
		{name: "IPv4 full", pool: "10.0.0.0/30", taken: []string{"10.0.0.1", "10.0.0.2"}, want: ""},
		{name: "/126 full", pool: "2001:db8::/126", taken: []string{"2001:db8::1", "2001:db8::2", "2001:db8::3"}, want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := alloc.Request{
				Pool: netip.MustParsePrefix(tt.pool), Mode: tt.mode, MAC: tt.mac, Name: tt.id, Secret: secret,
				Taken: takenOf(tt.taken...),
			}
			if tt.span != "" {
				r.Range = netip.MustParsePrefix(tt.span)
			}
			if tt.after != "" {
				r.After = netip.MustParseAddr(tt.after)
			}
			got, err := alloc.Pick(r)
			switch {
			case tt.want == "":
				if !errors.Is(err, alloc.ErrExhausted) {
					t.Fatalf("Pick = %v, %v; want ErrExhausted", got, err)
				}
			case err != nil:
				t.Fatal(err)
			case tt.want == "NAME":
				if again, _ := alloc.Pick(r); again != got || got == netip.MustParseAddr("2001:db8::242:ac11:2") {
					t.Errorf("name gives %s, then %s", got, again)
				}
			default:
				if diff := cmp.Diff(tt.want, got.String()); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// Shows RFC 2526 2 (reserved).
// Shows RFC 4291 2.6.1 (subnet-router anycast).
func TestReserved(t *testing.T) {
	tests := []struct {
		pool, addr string
		want       string
	}{
		{"2001:db8::/80", "2001:db8::", "the subnet-router anycast address (RFC 4291 2.6.1)"},
		{"2001:db8::/80", "2001:db8::1", ""},
		{"2001:db8::/80", "2001:db8::ffff:ffff:ff7f", ""},
		{"2001:db8::/80", "2001:db8::ffff:ffff:ff80", "a reserved anycast address (RFC 2526)"},
		{"2001:db8::/80", "2001:db8::ffff:ffff:ffff", "a reserved anycast address (RFC 2526)"},
		{"2001:db8::/64", "2001:db8::fdff:ffff:ffff:ff7f", ""},
		{"2001:db8::/64", "2001:db8::fdff:ffff:ffff:ff80", "a reserved anycast address (RFC 2526)"},
		{"2001:db8::/64", "2001:db8::fdff:ffff:ffff:ffff", "a reserved anycast address (RFC 2526)"},
		{"2001:db8::/64", "2001:db8::fe00:0:0:0", ""},
		{"2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", ""},
		{"2001:db8::/120", "2001:db8::7f", ""},
		{"2001:db8::/120", "2001:db8::80", "a reserved anycast address (RFC 2526)"},
		{"2001:db8::/121", "2001:db8::7f", ""},
		{"10.0.0.0/24", "10.0.0.0", "the network address"},
		{"10.0.0.0/24", "10.0.0.255", "the broadcast address"},
		{"10.0.0.0/24", "10.0.0.254", ""},
	}
	for _, tt := range tests {
		t.Run(tt.addr+" in "+tt.pool, func(t *testing.T) {
			got := alloc.Reserved(netip.MustParsePrefix(tt.pool), netip.MustParseAddr(tt.addr))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseMode(t *testing.T) {
	for _, m := range alloc.Modes() {
		if got, err := alloc.ParseMode(string(m)); got != m || err != nil {
			t.Errorf("ParseMode(%q) = %q, %v", m, got, err)
		}
	}
	_, err := alloc.ParseMode("eui64")
	if diff := cmp.Diff(`mode "eui64" is unknown: use one of mac, name, sequential, opaque, packed`, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}

// TestPickProperties: whatever is asked, an address is inside, free, not
// reserved, and the same when asked again.
//
// Shows RFC 2526 2 (reserved).
// Shows RFC 4291 2.6.1 (subnet-router anycast).
// Shows RFC 7217 6 (collision).
func TestPickProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		used := map[netip.Addr]bool{}
		r.Taken = func(a netip.Addr) bool { return used[a] }
		span := r.Pool
		if r.Range.IsValid() {
			span = r.Range
		}
		for range rapid.IntRange(1, 300).Draw(t, "addresses") {
			if rapid.Bool().Draw(t, "same endpoint again") {
				r.MAC[5]++
			}
			got, err := alloc.Pick(r)
			if errors.Is(err, alloc.ErrExhausted) {
				requireFull(t, r, span, used)
				return
			}
			if again, _ := alloc.Pick(r); again != got {
				t.Fatalf("asked twice: %s, then %s", got, again)
			}
			switch {
			case used[got]:
				t.Fatalf("%s given twice", got)
			case !span.Contains(got):
				t.Fatalf("%s is not in %s", got, span)
			case alloc.Reserved(r.Pool, got) != "":
				t.Fatalf("%s is %s", got, alloc.Reserved(r.Pool, got))
			}
			used[got], r.After = true, got
		}
	})
}

// TestSequentialReuses: an address that was given back is found again, however
// far the hint has moved.
func TestSequentialReuses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := netip.MustParsePrefix("10.0.0.0/28")
		used := map[netip.Addr]bool{}
		r := alloc.Request{Pool: pool, Taken: func(a netip.Addr) bool { return used[a] }}
		for range 14 {
			got, err := alloc.Pick(r)
			if err != nil {
				t.Fatal(err)
			}
			used[got], r.After = true, got
		}
		back := pool.Addr()
		for range rapid.IntRange(1, 14).Draw(t, "freed") {
			back = back.Next()
		}
		delete(used, back)
		if got, err := alloc.Pick(r); got != back || err != nil {
			t.Fatalf("Pick = %v, %v; want %s", got, err, back)
		}
	})
}

func TestPackedGroups(t *testing.T) {
	for _, pool := range []string{"2001:db8::/80", "2001:db8::/64", "2001:db8::/72"} {
		t.Run(pool, func(t *testing.T) {
			used, groups := map[netip.Addr]bool{}, map[netip.Addr]bool{}
			for i := range 10_000 {
				got, err := alloc.Pick(alloc.Request{
					Pool: netip.MustParsePrefix(pool), Mode: alloc.Packed, Secret: secret,
					MAC:   inet.MAC{0x02, 0x42, 0, byte(i >> 16), byte(i >> 8), byte(i)},
					Taken: func(a netip.Addr) bool { return used[a] },
				})
				if err != nil {
					t.Fatal(err)
				}
				used[got], groups[inet.SolicitedNode(got)] = true, true
			}
			if len(used) != 10_000 || len(groups) > 32 {
				t.Errorf("%d addresses in %d groups, want 10000 in at most 32", len(used), len(groups))
			}
		})
	}
}

// Shows RFC 7217 5 (function).
func TestSecretAndPoolChangeIdentifiers(t *testing.T) {
	base := alloc.Request{
		Pool: netip.MustParsePrefix("2001:db8::/80"), Mode: alloc.Name, Name: "web", MAC: mac, Secret: secret, Taken: takenOf(),
	}
	seen := map[[6]byte]string{}
	for name, edit := range map[string]func(*alloc.Request){
		"base":         func(*alloc.Request) {},
		"other name":   func(r *alloc.Request) { r.Name = "web2" },
		"other secret": func(r *alloc.Request) { r.Secret = []byte("another secret") },
		"other pool":   func(r *alloc.Request) { r.Pool = netip.MustParsePrefix("2001:db8:1::/80") },
		"other mode":   func(r *alloc.Request) { r.Mode = alloc.Opaque },
	} {
		r := base
		edit(&r)
		got, err := alloc.Pick(r)
		if err != nil {
			t.Fatal(err)
		}
		b := got.As16()
		iid := [6]byte(b[10:])
		if other, dup := seen[iid]; dup {
			t.Errorf("%s and %s give the same identifier %s", name, other, got)
		}
		seen[iid] = name
	}
}

func BenchmarkPickSequential(b *testing.B) {
	used := map[netip.Addr]bool{}
	r := alloc.Request{Pool: netip.MustParsePrefix("2001:db8::/80"), Mode: alloc.Sequential, Taken: func(a netip.Addr) bool { return used[a] }}
	for range 10_000 {
		got, _ := alloc.Pick(r)
		used[got], r.After = true, got
	}
	for b.Loop() {
		_, _ = alloc.Pick(r)
	}
}

func drawRequest(t *rapid.T) alloc.Request {
	r := alloc.Request{Mode: rapid.SampledFrom(alloc.Modes()).Draw(t, "mode"), Secret: secret}
	if rapid.Bool().Draw(t, "IPv4") {
		b := rapid.IntRange(16, 30).Draw(t, "bits")
		r.Pool = netip.PrefixFrom(netip.MustParseAddr("10.7.9.0"), b).Masked()
	} else {
		b := rapid.IntRange(32, 126).Draw(t, "bits")
		r.Pool = netip.PrefixFrom(netip.MustParseAddr("2001:db8:1:2:3:4:5:6"), b).Masked()
	}
	if rapid.Bool().Draw(t, "has range") {
		b := rapid.IntRange(r.Pool.Bits(), r.Pool.Addr().BitLen()).Draw(t, "range bits")
		at := r.Pool.Addr()
		if rapid.Bool().Draw(t, "at the end") {
			at = inet.LastAddr(r.Pool)
		}
		r.Range = netip.PrefixFrom(at, b).Masked()
	}
	if rapid.Bool().Draw(t, "has MAC") {
		copy(r.MAC[:], rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "MAC"))
	}
	if rapid.Bool().Draw(t, "has name") {
		r.Name = rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "name")
	}
	return r
}

// requireFull checks that an exhausted range really has nothing left. Only
// ranges of at most 2^16 addresses can fill up in these tests.
func requireFull(t *rapid.T, r alloc.Request, span netip.Prefix, used map[netip.Addr]bool) {
	if span.Addr().BitLen()-span.Bits() > 16 {
		t.Fatalf("%s exhausted with %d addresses given", span, len(used))
	}
	for a := span.Addr(); span.Contains(a); a = a.Next() {
		if alloc.Reserved(r.Pool, a) == "" && !used[a] {
			t.Fatalf("%s exhausted, but %s is free", span, a)
		}
	}
}

func takenOf(addrs ...string) func(netip.Addr) bool {
	used := map[netip.Addr]bool{}
	for _, a := range addrs {
		used[netip.MustParseAddr(a)] = true
	}
	return func(a netip.Addr) bool { return used[a] }
}
