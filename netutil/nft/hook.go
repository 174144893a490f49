package nft

import (
	"fmt"
	"strconv"
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
	Prerouting  HookPoint = "prerouting"
	Input       HookPoint = "input"
	Forward     HookPoint = "forward"
	Output      HookPoint = "output"
	Postrouting HookPoint = "postrouting"
)

// The priorities that have names, to count from.
const (
	PriorityBridge         = -300 // Bridge: before anything else of a bridge
	PriorityRaw            = -300
	PriorityDestinationNAT = -100 // at which a NAT chain may rewrite destinations
	PriorityFilter         = 0
	PrioritySourceNAT      = 100 // the only one at which a NAT chain may rewrite sources
)

// String returns the hook as nft prints it in an Inet table.
func (h Hook) String() string { return h.text(Inet) }

func (h Hook) text(f Family) string {
	return fmt.Sprintf("type %s hook %s priority %s; policy accept;", h.Type, h.Point, h.priority(f))
}

// priority returns the priority counted from a name that is not far away.
func (h Hook) priority(f Family) string {
	type named struct {
		name  string
		base  int
		point HookPoint
	}
	names := []named{
		{"raw", PriorityRaw, ""},
		{"mangle", -150, ""},
		{"dstnat", PriorityDestinationNAT, Prerouting},
		{"filter", PriorityFilter, ""},
		{"security", 50, ""},
		{"srcnat", PrioritySourceNAT, Postrouting},
	}
	if f == Bridge {
		names = []named{
			{"dstnat", -300, Prerouting}, {"filter", -200, ""}, {"out", 100, Output}, {"srcnat", 300, Postrouting},
		}
	}
	for _, n := range names {
		d := h.Priority - n.base
		switch {
		case n.point != "" && n.point != h.Point, d < -10, d > 10:
		case d < 0:
			return fmt.Sprintf("%s - %d", n.name, -d)
		case d > 0:
			return fmt.Sprintf("%s + %d", n.name, d)
		default:
			return n.name
		}
	}
	return strconv.Itoa(h.Priority)
}

// number returns the kernel's number for the hook point, the same for all families.
func (p HookPoint) number() uint32 {
	switch p {
	case Prerouting:
		return 0
	case Input:
		return 1
	case Forward:
		return 2
	case Output:
		return 3
	default:
		return 4
	}
}
