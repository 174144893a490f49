package reconcile

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// legacyPeriod is how often the tables of iptables-legacy are looked at: the
// kernel tells nobody of their changes.
const legacyPeriod = 50 * time.Millisecond

// Watch implements Kernel.
func (h *Host) Watch(ctx context.Context, changed func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group errgroup.Group
	watch := func(run func() error) {
		group.Go(func() error {
			defer cancel() // one that fails ends all, to be begun anew
			return run()
		})
	}
	watch(func() error {
		return h.conn.Watch(ctx, func(e kernel.Event) {
			switch {
			case h.relevant(e):
				changed()
			case e.Kind == kernel.KindLink && !e.Deleted && strings.HasPrefix(e.Link, plan.HostSidePrefix):
				h.expected.suspect(e.Link)
			}
		})
	})
	watch(func() error { return h.rules.Watch(ctx, h.repaired) })
	watch(func() error {
		h.zone.run(ctx, changed)
		return nil
	})
	if h.legacy != nil {
		watch(func() error {
			return h.legacy.Watch(ctx, legacyPeriod, func(repaired bool, err error) {
				h.repaired("iptables-legacy", err)
				if repaired {
					changed() // the tables may be new
				}
			})
		})
	}
	return group.Wait()
}

// relevant reports whether an event is reason for a pass. The ends of veth
// pairs and neighbors come and go with every container: the ends are not made
// again, and of neighbors only those matter that should be there. A bridge has
// a carrier from the first container to the last, and is the same otherwise.
func (h *Host) relevant(e kernel.Event) bool {
	switch {
	case e.Kind == kernel.KindNeighbor:
		return h.expected.hasNeighbor(plan.Neighbor{Addr: e.Addr, Link: e.Link})
	case e.Kind == kernel.KindLink && !e.Deleted && h.expected.hasBridge(bridge(e.Now)):
		return false
	}
	return !strings.HasPrefix(e.Link, plan.HostSidePrefix) && !strings.HasPrefix(e.Link, plan.ContainerSidePrefix)
}
