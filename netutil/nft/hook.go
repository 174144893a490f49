package nft

import (
	"fmt"

	"github.com/google/nftables"
)

// Hook is where a chain meets packets. Packets that reach its end are accepted.
type Hook struct {
	Type     ChainType
	Point    HookPoint
	Priority int // chains of one point run in ascending order
}

// ChainType is what a chain with a hook may do.
type ChainType string

// The chain types.
const (
	Filter ChainType = "filter"
	NAT    ChainType = "nat"
)

// HookPoint is a point on a packet's way.
type HookPoint string

// The hook points.
const (
	Forward     HookPoint = "forward"
	Postrouting HookPoint = "postrouting"
)

// The priorities that have names, to count from.
const (
	PriorityFilter    = 0
	PrioritySourceNAT = 100 // the only one at which a NAT chain may rewrite sources
)

// String returns the hook as nft prints it.
func (h Hook) String() string {
	return fmt.Sprintf("type %s hook %s priority %s; policy accept;", h.Type, h.Point, h.priority())
}

func (h Hook) priority() string {
	name, base := "filter", PriorityFilter
	if h.Type == NAT {
		name, base = "srcnat", PrioritySourceNAT
	}
	switch d := h.Priority - base; {
	case d < 0:
		return fmt.Sprintf("%s - %d", name, -d)
	case d > 0:
		return fmt.Sprintf("%s + %d", name, d)
	default:
		return name
	}
}

func (h Hook) number() *nftables.ChainHook {
	if h.Point == Postrouting {
		return nftables.ChainHookPostrouting
	}
	return nftables.ChainHookForward
}
