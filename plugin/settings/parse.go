package settings

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
)

// none is the value of --ipv4-pools that wants no IPv4 pools, of --docker-socket
// that asks no Docker, and of --sysctl-dropin that keeps no file.
const none = "none"

func levels() []string { return []string{"debug", "info", "warn", "error"} }

// choose returns the choice that v spells.
func choose[T ~string](v string, choices ...T) (T, error) {
	if slices.Contains(choices, T(v)) {
		return T(v), nil
	}
	return "", fmt.Errorf("want one of %s", oneOf(choices...))
}

func oneOf[T ~string](choices ...T) string {
	words := make([]string, len(choices))
	for i, c := range choices {
		words[i] = string(c)
	}
	return strings.Join(words, ", ")
}

// split returns the words of a comma-separated list, none of an empty one.
func split(v string) []string {
	if strings.TrimSpace(v) == "" {
		return nil
	}
	words := strings.Split(v, ",")
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	return words
}

// shortestPeriod keeps a mistyped period from becoming a busy loop.
const shortestPeriod = time.Second

func parsePeriod(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		return 0, errors.New("not a duration: want one such as 60s or 5m")
	case d < shortestPeriod:
		return 0, fmt.Errorf("too short: want at least %s", shortestPeriod)
	}
	return d, nil
}

func parseSockets(v string) ([]string, error) {
	paths := split(v)
	if len(paths) == 0 {
		return nil, errors.New("want at least one path, such as /run/docker/plugins/ndp6.sock")
	}
	for i, p := range paths {
		if err := checkPath(p); err != nil {
			return nil, err
		}
		if slices.Contains(paths[:i], p) {
			return nil, fmt.Errorf("%s is there twice: want each path once", p)
		}
	}
	return paths, nil
}

func checkPath(p string) error {
	if !filepath.IsAbs(p) || strings.ContainsRune(p, 0) {
		return fmt.Errorf("path %q is not absolute: want one that starts with /", p)
	}
	if clean := filepath.Clean(p); clean != p {
		return fmt.Errorf("path %q has more to it than it needs: want %s", p, clean)
	}
	return nil
}

// parseListen takes an address and a port of the host, or a port after a colon.
// A name is refused: what it stands for may change.
func parseListen(v string) (string, error) {
	if v == "" {
		return "", nil
	}
	const example = "want [::1]:9166, 127.0.0.1:9166, or :9166 for all addresses"
	if addr, port, err := net.SplitHostPort(v); err == nil && addr == "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("%q is not a port from 1 to 65535: %s", port, example)
		}
		return v, nil
	}
	at, err := netip.ParseAddrPort(v)
	switch {
	case err != nil:
		return "", errors.New("not an IP address and a port: " + example)
	case at.Port() == 0:
		return "", errors.New("port 0 is another one at each start: " + example)
	case at.Addr().IsMulticast():
		return "", fmt.Errorf("%s is no address of a host: %s", at.Addr(), example)
	}
	return at.String(), nil
}

// Protocols of routes that a program of the host may have: the kernel and
// administrators up to 4, ndp6's own for other routes, and what iproute2 lists.
const lastReserved = 4

func taken() map[int]string {
	return map[int]string{
		8: "gated", 9: "the kernel, for router advertisements", 10: "mrt", 11: "zebra", 12: "BIRD", 13: "dnrouted", 14: "xorp",
		15: "ntk", 16: "dhcp", 17: "mrouted", 18: "keepalived", 42: "babel", 99: "openr", 167: "ndp6's routes to other hosts",
		168: "ndp6's IPv4 routes to bridges", 186: "FRR's bgp", 187: "FRR's isis", 188: "FRR's ospf", 189: "FRR's rip",
		190: "FRR's ripng", 191: "FRR's nhrp", 192: "FRR's eigrp", 193: "FRR's ldp", 194: "FRR's sharp", 195: "FRR's pbr", 196: "FRR's static routes",
	}
}

// parseProtocol refuses what others have: a daemon would announce their routes.
func parseProtocol(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n <= lastReserved || n > 255 {
		return 0, fmt.Errorf("want a number from %d to 255 that no other program has, such as %d", lastReserved+1, plan.Protocol)
	}
	if owner, ok := taken()[n]; ok {
		return 0, fmt.Errorf("protocol %d is that of %s: want one that no other program has, such as %d", n, owner, plan.Protocol)
	}
	return n, nil
}

// checkLink holds a name to the kernel's rules; whether the link is there shows
// when a network wants it.
func checkLink(name string) error {
	bad := strings.IndexFunc(name, func(r rune) bool {
		return r == '/' || r == ':' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
	if name == "" || len(name) > 15 || name == "." || name == ".." || bad >= 0 {
		return fmt.Errorf("no link can have this name: want %s, or one that ip link lists, of at most 15 bytes", Auto)
	}
	return nil
}

// A family is what a list of pools may hold.
type family struct {
	name     string
	example  string
	required bool
	holds    func(netip.Addr) bool
}

func ipv6() family {
	return family{
		name: "global or unique local IPv6", example: "2001:db8:1::/64 or fd00:1::/48",
		holds: func(a netip.Addr) bool {
			return a.Is6() && !a.Is4In6() && (inet.IsGUA(a) || a.IsPrivate())
		},
	}
}

func ipv4() family {
	return family{
		name: "unicast IPv4", example: "10.166.0.0/16, or " + none, required: true,
		holds: func(a netip.Addr) bool { return a.Is4() && a.IsGlobalUnicast() },
	}
}

func parsePools(v string, f family) ([]netip.Prefix, error) {
	var pools []netip.Prefix
	for _, word := range split(v) {
		p, err := netip.ParsePrefix(word)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is not a prefix: want one such as %s", word, f.example)
		case !f.holds(p.Addr()):
			return nil, fmt.Errorf("%s is not %s: want a prefix such as %s", p, f.name, f.example)
		case p != p.Masked():
			return nil, fmt.Errorf("%s has bits beyond its length: want %s", p, p.Masked())
		}
		for _, other := range pools {
			if p.Overlaps(other) {
				return nil, fmt.Errorf("%s overlaps %s: want one of the two", p, other)
			}
		}
		pools = append(pools, p)
	}
	if len(pools) == 0 && f.required {
		return nil, fmt.Errorf("want prefixes such as %s", f.example)
	}
	return pools, nil
}
