package source

import (
	"context"
	"net/netip"

	"github.com/ndp6/ndp6/netutil/inet"
)

// A Host tells what the host uses now.
type Host interface {
	Facts(ctx context.Context) (Facts, error)
}

// Facts are what a choice of prefix depends on.
type Facts struct {
	// MachineID tells hosts on one link apart. It may be empty.
	MachineID string
	// Uplink is the link towards the router, empty when there is none.
	Uplink string
	// OnLink are the on-link prefixes of the uplink, those that the host prefers
	// first. Only global ones count.
	OnLink []netip.Prefix
	// Routed are the global prefixes that are routed to the host.
	Routed []netip.Prefix
	// Foreign are the addresses and routes of the host that are not ndp6's.
	Foreign inet.Foreign
}
