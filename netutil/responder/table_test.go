package responder_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/responder"
)

func addrs(all ...string) []netip.Addr {
	var parsed []netip.Addr
	for _, s := range all {
		parsed = append(parsed, netip.MustParseAddr(s))
	}
	return parsed
}

func TestTargets(t *testing.T) {
	r := start(t, uplink(t))
	expectTargets := func(want ...string) {
		t.Helper()
		got, err := r.Targets()
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, netip.Addr.Compare)
		if diff := cmp.Diff(addrs(want...), got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("Targets (-want +got):\n%s", diff)
		}
	}
	expectTargets("2001:db8::a:2")
	for range 2 {
		if err := r.Add(addrs("fd00::9", "2001:db8::a:7", "2001:db8::a:2")...); err != nil {
			t.Fatal(err)
		}
		expectTargets("2001:db8::a:2", "2001:db8::a:7", "fd00::9")
	}
	for range 2 {
		if err := r.Remove(addrs("fd00::9", "2001:db8::a:2")...); err != nil {
			t.Fatal(err)
		}
		expectTargets("2001:db8::a:7")
	}
	// Who is no target any more is dropped like others of the pool.
	expect(t, r, "removed", usual().frame(), dropped, "unassigned 1")
	for _, a := range []netip.Addr{{}, nobody, netip.MustParseAddr("ff02::1"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.1")} {
		if err := r.Add(a); err == nil {
			t.Errorf("Add(%s) succeeds", a)
		}
	}
}

func TestFull(t *testing.T) {
	r := start(t, uplink(t))
	many := make([]netip.Addr, responder.MaxTargets)
	for i := range many {
		a := target.As16()
		binary.BigEndian.PutUint32(a[8:], uint32(i))
		many[i] = netip.AddrFrom16(a)
	}
	if err := r.Add(many[1:]...); err != nil {
		t.Fatal(err) // With the one that is there, they are all that there is room for.
	}
	if err := r.Add(many[1:]...); err != nil {
		t.Errorf("those that are there, when full: %v", err)
	}
	if err := r.Add(netip.MustParseAddr("fd00::1")); !errors.Is(err, responder.ErrFull) {
		t.Errorf("one more: %v", err)
	}
	if err := r.Remove(many[1]); err != nil {
		t.Fatal(err)
	}
	if err := r.Add(netip.MustParseAddr("fd00::1")); err != nil {
		t.Errorf("one more, where one went: %v", err)
	}
	pools := make([]netip.Prefix, responder.MaxPools+1)
	for i := range pools {
		pools[i] = netip.PrefixFrom(many[i], 96)
	}
	if err := r.SetPools(pools); !errors.Is(err, responder.ErrFull) {
		t.Errorf("too many pools: %v", err)
	}
	if err := r.SetPools(pools[1:]); err != nil {
		t.Errorf("as many pools as there may be: %v", err)
	}
}

func TestPools(t *testing.T) {
	r := start(t, uplink(t))
	nettest.Run(t, "ip -6 route add 2001:db8:0:1::/64 dev eth0")
	inside, outside := usual(), usual()
	ask(netip.MustParseAddr("2001:db8:0:1:2:3:0:9"))(&inside)
	ask(netip.MustParseAddr("2001:db8:0:1:2:4:0:9"))(&outside)
	a, b := netip.MustParsePrefix("2001:db8:0:1:2:3::1/96"), netip.MustParsePrefix("2001:db8:0:1:2::/80")
	for _, c := range []struct {
		name            string
		pools           []netip.Prefix
		inside, outside bool
	}{
		{"one", []netip.Prefix{a}, true, false},
		{"one in the other", []netip.Prefix{b, a}, true, true},
		{"the other", []netip.Prefix{b, b}, true, true},
		{"none", nil, false, false},
	} {
		if err := r.SetPools(c.pools); err != nil {
			t.Fatal(err)
		}
		for frame, in := range map[*solicitation]bool{&inside: c.inside, &outside: c.outside} {
			if in {
				expect(t, r, c.name, frame.frame(), dropped, "unassigned 1")
			} else {
				expect(t, r, c.name, frame.frame(), kernels)
			}
		}
	}
	for _, p := range []netip.Prefix{{}, netip.MustParsePrefix("192.0.2.0/24")} {
		if err := r.SetPools([]netip.Prefix{p}); err == nil {
			t.Errorf("SetPools(%s) succeeds", p)
		}
	}
}

// BenchmarkAdd adds and removes one address.
func BenchmarkAdd(b *testing.B) {
	r := start(b, uplink(b))
	a := netip.MustParseAddr("2001:db8::a:9")
	for b.Loop() {
		if err := r.Add(a); err != nil {
			b.Fatal(err)
		}
		if err := r.Remove(a); err != nil {
			b.Fatal(err)
		}
	}
}
