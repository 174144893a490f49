package source

import (
	"crypto/sha256"
	"encoding/binary"
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
)

// Config says what an operator set, and what the host keeps.
type Config struct {
	// Blocks are IPv6 blocks to take pools from before anything else.
	Blocks []netip.Prefix
	// IPv4 are the ranges that IPv4 pools come from, DefaultIPv4 when empty.
	IPv4 []netip.Prefix
	// ULA is the host's own unique local /48, as RandomULA made it once.
	ULA netip.Prefix
}

// A Source chooses prefixes. It keeps no state: what is in use comes with each
// call.
type Source struct {
	blocks, ranges []netip.Prefix
	ula            netip.Prefix
}

// A Choice is a prefix and why it was taken.
type Choice struct {
	Prefix netip.Prefix
	// From is "block", "uplink" or "ula" for IPv6, "range" for IPv4.
	From string
	// Reason says for the log why no earlier source was taken.
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
	return &Source{blocks: blocks, ranges: ranges, ula: c.ULA.Masked()}, nil
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

// IPv6 chooses a pool that overlaps none of used and nothing of the host: from
// a configured block, from the uplink's on-link prefix, from the unique local
// prefix. It fails with an error that wraps inet.ErrConflict when all are full.
func (s *Source) IPv6(f Facts, used []netip.Prefix) (Choice, error) {
	var passed []string
	for _, b := range s.blocks {
		length := max(b.Bits(), poolBits6)
		if p, ok := freeSubnet(b, length, 0, 0, obstacles(f.Foreign, used, length)); ok {
			return Choice{Prefix: p, From: "block", Reason: reason(passed, "configured block "+b.String())}, nil
		}
		passed = append(passed, fmt.Sprintf("configured block %s is used up", b))
	}
	busy := obstacles(f.Foreign, used, poolBits6)
	global := slices.DeleteFunc(slices.Clone(f.OnLink), func(p netip.Prefix) bool { return !inet.IsGUA(p.Addr()) })
	if len(global) == 0 {
		passed = append(passed, fmt.Sprintf("uplink %q has no global on-link prefix", f.Uplink))
	}
	for _, b := range global {
		b = b.Masked()
		if b.Bits() >= poolBits6 {
			passed = append(passed, fmt.Sprintf("on-link prefix %s of uplink %q is too long to take a /%d from", b, f.Uplink, poolBits6))
			continue
		}
		if p, ok := freeSubnet(b, poolBits6, 1, s.start(f.MachineID, b), busy); ok {
			return Choice{Prefix: p, From: "uplink", Reason: reason(passed, fmt.Sprintf("on-link prefix %s of uplink %q", b, f.Uplink))}, nil
		}
		passed = append(passed, fmt.Sprintf("on-link prefix %s of uplink %q is used up", b, f.Uplink))
	}
	if p, ok := freeSubnet(s.ula, poolBits6, 0, 0, busy); ok {
		return Choice{Prefix: p, From: "ula", Reason: reason(passed, "unique local prefix "+s.ula.String())}, nil
	}
	passed = append(passed, fmt.Sprintf("unique local prefix %s is used up", s.ula))
	return Choice{}, fmt.Errorf("choose an IPv6 pool: %s: give --subnet, or a block to --pools: %w", strings.Join(passed, ", "), inet.ErrConflict)
}

// IPv4 chooses a pool that overlaps none of used and no route of the host. Its
// error wraps inet.ErrConflict.
func (s *Source) IPv4(f Facts, used []netip.Prefix) (Choice, error) {
	names := make([]string, 0, len(s.ranges))
	for _, r := range s.ranges {
		length := max(r.Bits(), poolBits4)
		if p, ok := freeSubnet(r, length, 0, 0, obstacles(f.Foreign, used, length)); ok {
			return Choice{Prefix: p, From: "range", Reason: "IPv4 range " + r.String()}, nil
		}
		names = append(names, r.String())
	}
	return Choice{}, fmt.Errorf("choose an IPv4 pool: no /%d of %s is free of routes and pools: give --subnet, or another range to --ipv4-pools: %w",
		poolBits4, strings.Join(names, ", "), inet.ErrConflict)
}

// start is the index that this machine begins at, so that hosts on one link
// rarely meet. It is never 0: people number their routers and hosts there.
func (s *Source) start(machineID string, block netip.Prefix) uint64 {
	if machineID == "" {
		machineID = s.ula.String() // as random, and as lasting
	}
	sum := sha256.Sum256([]byte("ndp6 pool\x00" + block.String() + "\x00" + machineID))
	return binary.BigEndian.Uint64(sum[:])%(countSubnets(block, poolBits6)-1) + 1
}

// obstacles are the prefixes that a chosen pool of the given length must not
// overlap. An IPv6 route that is shorter than the pool is none: the pool is to
// be inside it.
func obstacles(f inet.Foreign, used []netip.Prefix, length int) []netip.Prefix {
	busy := slices.Clone(used)
	for _, a := range f.Addrs {
		busy = append(busy, netip.PrefixFrom(a.Addr.WithZone(""), a.Addr.BitLen()))
	}
	for _, r := range f.Routes {
		if r.Dst.Addr().Is4() || r.Dst.Bits() >= length {
			busy = append(busy, r.Dst.Masked())
		}
	}
	return busy
}

func reason(passed []string, taken string) string {
	return strings.Join(append(passed, taken), ", ")
}
