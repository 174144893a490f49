package alloc

import (
	"fmt"
	"slices"
	"strings"
)

// A Mode says what an automatic address is made from.
type Mode string

// The modes of IPv6 pools. Every IPv4 pool is Sequential.
const (
	// MAC puts the endpoint's MAC in the low 48 bits, zeros above.
	MAC Mode = "mac"
	// Name derives the identifier from the container's name, a secret and the
	// pool (after RFC 7217): it survives restart and re-creation.
	Name Mode = "name"
	// Sequential counts upwards.
	Sequential Mode = "sequential"
	// Opaque derives the identifier from the MAC, a secret and the pool (RFC 7217).
	Opaque Mode = "opaque"
	// Packed is Opaque with at most 32 values in the low 24 bits, so that the
	// uplink joins at most 32 solicited-node groups however many addresses there are.
	Packed Mode = "packed"
)

// Modes returns every mode, the default first.
func Modes() []Mode { return []Mode{MAC, Name, Sequential, Opaque, Packed} }

// ParseMode returns the mode that s names.
func ParseMode(s string) (Mode, error) {
	if m := Mode(s); slices.Contains(Modes(), m) {
		return m, nil
	}
	names := make([]string, 0, len(Modes()))
	for _, m := range Modes() {
		names = append(names, string(m))
	}
	return "", fmt.Errorf("mode %q is unknown: use one of %s", s, strings.Join(names, ", "))
}
