package source

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/netutil/inet"
)

// Lengths of the pools that are chosen here.
const (
	// poolBits6 is the longest that has room for a MAC.
	poolBits6 = 80
	poolBits4 = 24
	// subnetBits is the length of a link's prefix.
	subnetBits = 64
)

// Config says what an operator set, and what the host keeps.
type Config struct {
	// Blocks are IPv6 blocks to take pools from before anything else.
	Blocks []netip.Prefix
	// IPv4 are the ranges that IPv4 pools come from, DefaultIPv4 when empty.
	IPv4 []netip.Prefix
	// ULA is the host's own unique local /48, as RandomULA made it once.
	ULA netip.Prefix
	// Wish is what requests that wish for nothing get.
	Wish Wish
}

// A Source chooses prefixes. It keeps no state: what is in use comes with each
// call.
type Source struct {
	blocks, ranges []netip.Prefix
	ula            netip.Prefix
	wish           Wish
}

// A Choice is a prefix and why it was taken.
type Choice struct {
	Prefix netip.Prefix
	// From is a From other than Auto for IPv6, "range" for IPv4.
	From string
	// Reason says for people what the prefix was taken from, and why nothing else.
	Reason string
}

// New checks c and returns a Source of it.
func New(c Config) (*Source, error) {
	if len(c.IPv4) == 0 {
		c.IPv4 = DefaultIPv4()
	}
	blocks, err := checkBlocks(c.Blocks, false)
	if err != nil {
		return nil, err
	}
	ranges, err := checkBlocks(c.IPv4, true)
	if err != nil {
		return nil, err
	}
	if !inet.IsULA(c.ULA) || c.ULA.Bits() != ulaBits {
		return nil, fmt.Errorf("unique local prefix %s is not a /%d of fd00::/8", c.ULA, ulaBits)
	}
	return &Source{blocks: blocks, ranges: ranges, ula: c.ULA.Masked(), wish: c.Wish.or(Wish{Auto, poolBits6})}, nil
}

// DefaultIPv4 is the range of IPv4 pools when none is configured: private, and
// neither what Docker takes from nor what home routers number.
func DefaultIPv4() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("10.166.0.0/16")}
}

func checkBlocks(blocks []netip.Prefix, is4 bool) ([]netip.Prefix, error) {
	masked := make([]netip.Prefix, 0, len(blocks))
	for _, b := range blocks {
		if !b.IsValid() || b.Addr().Is4() != is4 {
			return nil, fmt.Errorf("block %s is of the wrong family: give IPv6 blocks to --pools, IPv4 ranges to --ipv4-pools", b)
		}
		b = b.Masked()
		if err := CheckGiven(b); err != nil {
			return nil, fmt.Errorf("configured block: %w", err)
		}
		masked = append(masked, b)
	}
	return masked, nil
}

// IPv6 chooses a pool that overlaps none of used and nothing of the host. Where
// the wish names no kind of prefix, it is taken from the first that has room.
// Its error wraps inet.ErrConflict.
func (s *Source) IPv6(f Facts, used []netip.Prefix, w Wish) (Choice, error) {
	w = w.or(s.wish)
	var passed, beside []string
	for _, from := range kinds() {
		found := s.origins(from, f)
		wanted := w.From == Auto || w.From == from
		if wanted && len(found) == 0 && (from != Block || w.From == Block) {
			passed = append(passed, absent(from, f))
		}
		for _, o := range found {
			if !wanted {
				beside = append(beside, o.name)
				continue
			}
			p, why := s.take(o, w.Bits, f, used)
			if why == "" {
				return Choice{Prefix: p, From: string(from), Reason: o.reason(passed)}, nil
			}
			passed = append(passed, o.name+" "+why)
		}
	}
	why := strings.Join(passed, ", ")
	if w.From != Auto {
		return Choice{}, fmt.Errorf("choose an IPv6 pool from %s: %s: use another --ipam-opt ndp6.source or --pool-source, there is %s; or give --subnet: %w",
			w.From, why, strings.Join(beside, ", "), inet.ErrConflict)
	}
	return Choice{}, fmt.Errorf("choose an IPv6 pool: %s: give --subnet, or a block to --pools: %w", why, inet.ErrConflict)
}

// Bits is the length of an IPv6 pool that a wish asks for.
func (s *Source) Bits(w Wish) int { return w.or(s.wish).Bits }

// Has reports whether p is inside a prefix that pools of this kind come from.
func (s *Source) Has(from From, f Facts, p netip.Prefix) bool {
	return slices.ContainsFunc(s.origins(from, f), func(o origin) bool { return inet.Covers(o.prefix, p) })
}

// IPv4 chooses a pool that overlaps none of used and no route of the host. Its
// error wraps inet.ErrConflict.
func (s *Source) IPv4(f Facts, used []netip.Prefix) (Choice, error) {
	names := make([]string, 0, len(s.ranges))
	for _, r := range s.ranges {
		length := max(r.Bits(), poolBits4)
		if p, ok := inet.FreeSubnet(r, length, 0, 0, Obstacles(f.Foreign, used, r, length)); ok {
			return Choice{Prefix: p, From: "range", Reason: "IPv4 range " + r.String()}, nil
		}
		names = append(names, r.String())
	}
	return Choice{}, fmt.Errorf("choose an IPv4 pool: no /%d of %s is free of routes and pools: give --subnet, or another range to --ipv4-pools: %w",
		poolBits4, strings.Join(names, ", "), inet.ErrConflict)
}

// reason says that o was taken, and why nothing before it.
func (o origin) reason(passed []string) string {
	if len(passed) == 0 {
		return o.name
	}
	return o.name + ", because " + strings.Join(passed, " and ")
}
