package inet

import (
	"net/netip"
	"slices"
)

// Merge returns the fewest prefixes that have exactly the addresses of these, in
// order.
func Merge(prefixes []netip.Prefix) []netip.Prefix {
	sorted := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		sorted = append(sorted, p.Masked())
	}
	slices.SortFunc(sorted, netip.Prefix.Compare)
	var merged []netip.Prefix
	for _, p := range sorted {
		if n := len(merged); n > 0 && Covers(merged[n-1], p) {
			continue
		}
		// What both halves of a prefix are in is the prefix.
		for n := len(merged); n > 0 && p.Bits() > 0; n-- {
			half := merged[n-1]
			whole := netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked()
			if half.Bits() != p.Bits() || half == p || !whole.Contains(half.Addr()) {
				break
			}
			p, merged = whole, merged[:n-1]
		}
		merged = append(merged, p)
	}
	return merged
}
