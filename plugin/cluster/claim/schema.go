package claim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
)

// Keys. All of ndp6 is below Root, for etcd's roles. Prefixes are written out in
// full, so that the order of keys is that of addresses, and the keys of what is
// inside a prefix are one range.
const (
	Root = "/ndp6/v1/"
	// Prefixes has a Claim for each block that is claimed, without a lease.
	Prefixes = Root + "prefix/"
	// Hosts has each host's blocks once more, below the host.
	Hosts = Root + "host/"
	// Hellos has a Hello of each host, with the host's lease.
	Hellos = Root + "live/"
)

// A Claim says who has a block.
type Claim struct {
	Prefix netip.Prefix `json:"prefix"`
	Host   string       `json:"host"`
	// Name is the host's name, for people.
	Name string       `json:"name,omitempty"`
	Base netip.Prefix `json:"base"`
	// Since is when it was claimed, by that host's clock.
	Since time.Time `json:"since"`
}

// A Hello is what a host that lives says of itself.
type Hello struct {
	Host string `json:"host"`
	Name string `json:"name,omitempty"`
	// BootID tells two hosts with one id from each other.
	BootID string `json:"boot_id"`
	// NextHop is the host's address on the link that all hosts share.
	NextHop netip.Addr `json:"next_hop"`
	// Prefixes are the blocks that lead to the host.
	Prefixes []netip.Prefix `json:"prefixes"`
	// Leaving is set by a host that stops: nothing leads to it from now on.
	Leaving bool `json:"leaving,omitempty"`
}

var hostID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// CheckHost says what is wrong with a host's id.
func CheckHost(id string) error {
	if !hostID.MatchString(id) {
		return errors.New("want 1 to 64 letters, digits, dots, dashes and underscores, such as a machine-id(5)")
	}
	return nil
}

// Key is the key of the claim of a block.
func Key(p netip.Prefix) string { return Prefixes + full(p) }

// Within returns the range of the keys of all blocks inside p, of whatever
// length: from first up to, and without, end.
func Within(p netip.Prefix) (first, end string) {
	// "0" follows "/", which comes behind each address.
	return Prefixes + p.Masked().Addr().StringExpanded(), Prefixes + inet.LastAddr(p).StringExpanded() + "0"
}

// Around returns the keys of all blocks that p is inside of, but p itself.
func Around(p netip.Prefix) []string {
	var keys []string
	for bits := minBase; bits < p.Bits(); bits++ {
		keys = append(keys, Key(netip.PrefixFrom(p.Addr(), bits).Masked()))
	}
	return keys
}

// HostKey is the key of a block below its host; with the zero Prefix it is the
// start of all of them.
func HostKey(host string, p netip.Prefix) string {
	if !p.IsValid() {
		return Hosts + host + "/"
	}
	return Hosts + host + "/" + full(p)
}

// HelloKey is the key of a host's Hello.
func HelloKey(host string) string { return Hellos + host }

func full(p netip.Prefix) string {
	return p.Addr().StringExpanded() + "/" + strconv.Itoa(p.Bits())
}

// ParsePrefix returns the block that a key of Key or HostKey ends in.
func ParsePrefix(key string) (netip.Prefix, error) {
	parts := strings.Split(key, "/")
	if len(parts) < 2 {
		return netip.Prefix{}, fmt.Errorf("key %q ends in no prefix", key)
	}
	p, err := netip.ParsePrefix(strings.Join(parts[len(parts)-2:], "/"))
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("key %q ends in no prefix", key)
	}
	return p, nil
}

// ParseClaim reads the claim of a key.
func ParseClaim(key string, value []byte) (Claim, error) {
	var c Claim
	if err := json.Unmarshal(value, &c); err != nil {
		return Claim{}, fmt.Errorf("claim %s: %w", key, err)
	}
	if !c.Prefix.IsValid() || Key(c.Prefix) != key {
		return Claim{}, fmt.Errorf("claim %s says that it is of %s", key, c.Prefix)
	}
	return c, nil
}

// maxBlocks is how many blocks are believed of a host: each is a route here.
const maxBlocks = 4096

// ParseHello reads what a host says of itself. It believes no more than a host
// of ndp6 would say: routes come of it.
func ParseHello(key string, value []byte) (Hello, error) {
	var h Hello
	if err := json.Unmarshal(value, &h); err != nil {
		return Hello{}, fmt.Errorf("host %s: %w", key, err)
	}
	switch {
	case HelloKey(h.Host) != key || CheckHost(h.Host) != nil:
		return Hello{}, fmt.Errorf("host %s says that it is %q", key, h.Host)
	case h.Leaving:
		return h, nil
	case !h.NextHop.Is6() || h.NextHop.Is4In6() || h.NextHop.Zone() != "" || h.NextHop.IsMulticast() || h.NextHop.IsLoopback() || h.NextHop.IsUnspecified():
		return Hello{}, fmt.Errorf("host %s is reached through %q, which is no address of a host", key, h.NextHop)
	case len(h.Prefixes) > maxBlocks:
		return Hello{}, fmt.Errorf("host %s has %d blocks, of at most %d", key, len(h.Prefixes), maxBlocks)
	}
	for _, p := range h.Prefixes {
		if err := CheckBase(p, p.Bits()); err != nil {
			return Hello{}, fmt.Errorf("host %s: %w", key, err)
		}
	}
	return h, nil
}
