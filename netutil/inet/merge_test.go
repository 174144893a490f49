package inet_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ndp6/ndp6/netutil/inet"
)

func TestMerge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		have, want []string
	}{
		{"none", nil, nil},
		{"one", []string{"2001:db8::/80"}, []string{"2001:db8::/80"}},
		{"two halves", []string{"2001:db8:0:0:1::/80", "2001:db8::/80"}, []string{"2001:db8::/79"}},
		{"neighbors that are no halves", []string{"2001:db8:0:0:1::/80", "2001:db8:0:0:2::/80"}, []string{"2001:db8:0:0:1::/80", "2001:db8:0:0:2::/80"}},
		{"again and again", []string{"2001:db8::/81", "2001:db8:0:0:0:8000::/81", "2001:db8:0:0:1::/80", "2001:db8:0:0:2::/79"}, []string{"2001:db8::/78"}},
		{"inside another", []string{"2001:db8::/64", "2001:db8::/80"}, []string{"2001:db8::/64"}},
		{"all there is", []string{"::/1", "8000::/1"}, []string{"::/0"}},
		{"two families", []string{"0.0.0.0/1", "::/1"}, []string{"0.0.0.0/1", "::/1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var have []netip.Prefix
			for _, text := range tt.have {
				have = append(have, netip.MustParsePrefix(text))
			}
			var got []string
			for _, p := range inet.Merge(have) {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Merge (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMergeKeepsAddresses(t *testing.T) {
	t.Parallel()
	base := netip.MustParsePrefix("2001:db8::/120")
	rapid.Check(t, func(t *rapid.T) {
		have := rapid.SliceOf(rapid.Custom(func(t *rapid.T) netip.Prefix {
			bits := rapid.IntRange(121, 128).Draw(t, "bits")
			return inet.Subnet(base, bits, rapid.Uint64Range(0, 1<<(bits-120)-1).Draw(t, "index"))
		})).Draw(t, "prefixes")
		got := inet.Merge(have)
		in := func(ps []netip.Prefix, a netip.Addr) int {
			n := 0
			for _, p := range ps {
				if p.Contains(a) {
					n++
				}
			}
			return n
		}
		for i := range uint64(256) {
			a := inet.Subnet(base, 128, i).Addr()
			if n := in(got, a); n > 1 || (n == 1) != (in(have, a) > 0) {
				t.Errorf("%s is in %d of %v, merged of %v", a, n, got, have)
			}
		}
		if again := inet.Merge(got); !slices.Equal(got, again) {
			t.Errorf("merged again: %v, not %v", again, got)
		}
	})
}
