package inet_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/ndp6/ndp6/netutil/inet"
)

func TestFreeSubnet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		block := netip.MustParsePrefix("2001:db8::/74")
		drawBits := rapid.IntRange(74, 82)
		length := drawBits.Draw(t, "length")
		count := inet.CountSubnets(block, length)
		start := rapid.Uint64Range(0, count-1).Draw(t, "start")
		first := rapid.Uint64Range(0, start).Draw(t, "first")
		obstacles := rapid.SliceOf(rapid.Custom(func(t *rapid.T) netip.Prefix {
			// One bit more, so that some are beside the block.
			bits := drawBits.Draw(t, "bits")
			return inet.Subnet(netip.MustParsePrefix("2001:db8::/73"), bits, rapid.Uint64Range(0, 1<<(bits-73)-1).Draw(t, "index"))
		})).Draw(t, "obstacles")

		var want netip.Prefix
		for _, span := range [][2]uint64{{start, count}, {first, start}} {
			for i := span[0]; i < span[1] && !want.IsValid(); i++ {
				if p := inet.Subnet(block, length, i); inet.CheckOverlap(p, obstacles) == nil {
					want = p
				}
			}
		}
		got, ok := inet.FreeSubnet(block, length, first, start, obstacles)
		if got != want || ok != want.IsValid() {
			t.Errorf("FreeSubnet = %s, %t, want %s", got, ok, want)
		}
	})
}

// A base of 65,536 blocks that is full but for one is searched at once.
func BenchmarkFreeSubnet(b *testing.B) {
	block := netip.MustParsePrefix("2001:db8::/64")
	var obstacles []netip.Prefix
	for i := range uint64(1<<16 - 1) {
		obstacles = append(obstacles, inet.Subnet(block, 80, i))
	}
	for b.Loop() {
		if p, ok := inet.FreeSubnet(block, 80, 0, 0, obstacles); !ok {
			b.Fatal(p, ok)
		}
	}
}
