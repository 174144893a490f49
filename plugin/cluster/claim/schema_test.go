package claim_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/cluster/claim"
)

var byValue = []cmp.Option{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

func drawBlock(t *rapid.T, label string) netip.Prefix {
	base := netip.MustParsePrefix("2001:db8::/64")
	bits := rapid.IntRange(64, 84).Draw(t, label+" length")
	return inet.Subnet(base, bits, rapid.Uint64Range(0, 1<<(bits-64)-1).Draw(t, label))
}

// What a transaction compares is what would overlap, and nothing else.
func TestKeysFindEveryOverlap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, other := drawBlock(t, "p"), drawBlock(t, "other")
		first, end := claim.Within(p)
		key := claim.Key(other)
		found := first <= key && key < end || slices.Contains(claim.Around(p), key)
		if found != p.Overlaps(other) {
			t.Errorf("%s: key of %s found: %t", p, other, found)
		}
	})
}

func TestKeysAreReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawBlock(t, "p")
		for _, key := range []string{claim.Key(p), claim.HostKey("box", p)} {
			got, err := claim.ParsePrefix(key)
			if err != nil || got != p {
				t.Errorf("ParsePrefix(%q) = %s, %v, want %s", key, got, err, p)
			}
		}
	})
}

func TestRecordsAreReadBack(t *testing.T) {
	t.Parallel()
	c := claim.Claim{
		Prefix: netip.MustParsePrefix("2001:db8:0:0:7::/80"), Host: "box", Name: "box.example",
		Base: netip.MustParsePrefix("2001:db8::/64"), Since: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	got, err := claim.ParseClaim(claim.Key(c.Prefix), encode(t, c))
	if diff := cmp.Diff(c, got, byValue...); diff != "" || err != nil {
		t.Errorf("claim (-want +got): %v\n%s", err, diff)
	}
	h := hello()
	back, err := claim.ParseHello(claim.HelloKey("box"), encode(t, h))
	if diff := cmp.Diff(h, back, byValue...); diff != "" || err != nil {
		t.Errorf("hello (-want +got): %v\n%s", err, diff)
	}
}

func hello() claim.Hello {
	return claim.Hello{
		Host: "box", Name: "box.example", BootID: "b1", NextHop: netip.MustParseAddr("2001:db8::5"),
		Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8:0:0:7::/80")},
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Routes come of what others wrote.
func TestParseHelloRefuses(t *testing.T) {
	t.Parallel()
	change := func(f func(*claim.Hello)) claim.Hello {
		h := hello()
		f(&h)
		return h
	}
	tests := []struct {
		name  string
		hello claim.Hello
		want  string
	}{
		{"another host's key", change(func(h *claim.Hello) { h.Host = "bix" }), `says that it is "bix"`},
		{"no next hop", change(func(h *claim.Hello) { h.NextHop = netip.Addr{} }), "no address of a host"},
		{"a group as next hop", change(func(h *claim.Hello) { h.NextHop = netip.MustParseAddr("ff02::1") }), "no address of a host"},
		{"IPv4", change(func(h *claim.Hello) { h.NextHop = netip.MustParseAddr("192.0.2.1") }), "no address of a host"},
		{"the default route", change(func(h *claim.Hello) { h.Prefixes = []netip.Prefix{netip.MustParsePrefix("::/0")} }), "not global or unique local"},
		{"half the internet", change(func(h *claim.Hello) { h.Prefixes = []netip.Prefix{netip.MustParsePrefix("2000::/3")} }), "/32 to /126"},
		{"the link's own", change(func(h *claim.Hello) { h.Prefixes = []netip.Prefix{netip.MustParsePrefix("fe80::/64")} }), "not global or unique local"},
		{"too many", change(func(h *claim.Hello) { h.Prefixes = slices.Repeat(h.Prefixes, 5000) }), "5000 blocks"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := claim.ParseHello(claim.HelloKey("box"), encode(t, test.hello))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("ParseHello = %v, %v, want %q", got, err, test.want)
			}
		})
	}
	if _, err := claim.ParseHello(claim.HelloKey("box"), []byte("{")); err == nil {
		t.Error("half an object is a hello")
	}
	leaving := change(func(h *claim.Hello) { h.Leaving, h.NextHop = true, netip.Addr{} })
	if _, err := claim.ParseHello(claim.HelloKey("box"), encode(t, leaving)); err != nil {
		t.Errorf("a host that leaves: %v", err)
	}
}

func TestCheckHost(t *testing.T) {
	t.Parallel()
	for id, good := range map[string]bool{
		"0123456789abcdef0123456789abcdef": true, "node-1.example_x": true,
		"": false, "a/b": false, "-a": false, "a b": false, strings.Repeat("a", 65): false, "ä": false,
	} {
		if err := claim.CheckHost(id); (err == nil) != good {
			t.Errorf("CheckHost(%q) = %v", id, err)
		}
	}
}
