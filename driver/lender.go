package driver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/ndp6/ndp6/driver/plan"
)

// ErrUnnamed is wrapped by a Lender's errors while Docker has not said whose
// endpoint it is.
var ErrUnnamed = errors.New("docker does not list the endpoint yet")

// A Lender knows more of pools and containers than Docker's calls tell the
// network driver: ndp6's own IPAM driver lent the one, Docker's API lists the other.
type Lender interface {
	// Source says where a pool came from, "uplink" where it was chosen in a
	// prefix of the uplink. It is empty for a pool of another IPAM driver.
	Source(pool netip.Prefix) string
	// Random reports whether an address was picked at random, so that no other
	// host has it in practice (RFC 4429 2.1). It is false for one that was asked
	// for, and for one of another IPAM driver.
	Random(addr netip.Addr) bool
	// CheckStable returns why containers can have no stable addresses in a pool.
	CheckStable(pool netip.Prefix) error
	// Stable lends the address that the container's name gives, until Return. It
	// may be one of the endpoint's own already. Never call it where Docker waits.
	Stable(ctx context.Context, r StableRequest) (netip.Addr, error)
	// Return ends what Stable lent to an endpoint, if anything.
	Return(endpoint string) error
}

// A StableRequest asks for the stable address of an endpoint.
type StableRequest struct {
	Network, Endpoint string
	Pool              netip.Prefix
	// Addrs are those that Docker gave the endpoint.
	Addrs []netip.Addr
}

// checkInside refuses options of n that change addresses in running containers
// where that cannot be.
func (d *Driver) checkInside(n plan.Network) error {
	option := keyStable + "=" + stableName
	if n.Follow {
		option = keyRenumber + "=" + renumberFollow
	}
	if !n.Follow && !n.StableName {
		return nil
	}
	if err := d.config.Host.Enterable(); err != nil {
		return fmt.Errorf("option %s sets addresses inside running containers, and ndp6 may not enter their namespaces: leave it out, or run ndp6 as a service with CAP_SYS_ADMIN instead of the managed plugin: %w", option, err)
	}
	for _, p := range n.Prefixes() {
		if p.Addr().Is4() {
			continue
		}
		if err := d.checkFollow(n, p); err != nil {
			return err
		}
		if !n.StableName {
			continue
		}
		if err := d.config.Lender.CheckStable(p); err != nil {
			return fmt.Errorf("option %s=%s: %w", keyStable, stableName, err)
		}
	}
	return nil
}

// checkFollow refuses a pool that did not come from the uplink: it has no
// prefix to follow.
func (d *Driver) checkFollow(n plan.Network, pool netip.Prefix) error {
	source := d.config.Lender.Source(pool)
	if !n.Follow || source == "uplink" {
		return nil
	}
	why := "was not taken from a prefix of the uplink"
	switch source {
	case "":
		why = "is that of another IPAM driver"
	case "given":
		why = "was given with --subnet"
	}
	return fmt.Errorf("option %s=%s: pool %s %s: leave out --subnet and add --ipam-driver ndp6, on a host whose uplink has a global on-link prefix, or leave out the option", keyRenumber, renumberFollow, pool, why)
}
