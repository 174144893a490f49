package driver

import (
	"cmp"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
)

// Counts are what the driver holds and what it could not do. Unlike [Status]
// they cost nobody a look at the host.
type Counts struct {
	// Networks are by their mode.
	Networks map[plan.Mode]int
	// Joined and Idle are the endpoints of containers that run, and the others.
	Joined, Idle int
	// Withdrawn are addresses that another host on an uplink holds.
	Withdrawn int
	// Problems and Warnings are as many as a Status has.
	Problems, Warnings int
	// Loop are what was done to the host.
	Loop reconcile.Counts
}

// Counts returns what the driver holds now. It waits for no call.
func (d *Driver) Counts() Counts {
	c := Counts{Networks: make(map[plan.Mode]int), Loop: d.loop.Counts(), Problems: len(d.loop.Problems())}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.networks {
		c.Networks[cmp.Or(n.Mode, plan.Routed)]++
	}
	for _, e := range d.endpoints {
		if c.Withdrawn += len(e.Withdrawn); e.Joined {
			c.Joined++
		} else {
			c.Idle++
		}
	}
	c.Problems += len(d.missing())
	c.Warnings = len(d.warnings())
	return c
}
