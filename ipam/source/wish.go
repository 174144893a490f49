package source

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A From names a kind of prefix that IPv6 pools are taken from.
type From string

// The kinds, in the order in which Auto tries them.
const (
	Auto From = "auto"
	// Block is a configured block.
	Block From = "block"
	// Uplink is a global on-link prefix of the uplink.
	Uplink From = "uplink"
	// Routed is a global prefix that is routed to the host.
	Routed From = "routed"
	// ULA is the host's own unique local prefix.
	ULA From = "ula"
)

// Froms returns every From, the default first.
func Froms() []From { return append([]From{Auto}, kinds()...) }

func kinds() []From { return []From{Block, Uplink, Routed, ULA} }

// ParseFrom returns the From that s names.
func ParseFrom(s string) (From, error) {
	if slices.Contains(Froms(), From(s)) {
		return From(s), nil
	}
	var names []string
	for _, f := range Froms() {
		names = append(names, string(f))
	}
	return "", errors.New("want one of " + strings.Join(names, ", "))
}

// Lengths that IPv6 pools may be asked to have: the longest that neighbor
// discovery works in on every link, and the longest that holds two endpoints.
const (
	minBits6 = 64
	maxBits6 = 126
)

// ParseBits returns the length of IPv6 pools that s says.
func ParseBits(s string) (int, error) {
	bits, err := strconv.Atoi(s)
	if err != nil || bits < minBits6 || bits > maxBits6 {
		return 0, fmt.Errorf("want a number from %d to %d", minBits6, maxBits6)
	}
	return bits, nil
}

// A Wish says which IPv6 pool is wanted, its zero values any: that of the
// Source's Config, or else a /80 of Auto.
type Wish struct {
	From From
	// Bits is the length of the pool. One that is taken from a prefix of that
	// length or longer is longer.
	Bits int
}

// or returns w with other in place of zero values.
func (w Wish) or(other Wish) Wish {
	if w.From == "" {
		w.From = other.From
	}
	if w.Bits == 0 {
		w.Bits = other.Bits
	}
	return w
}
