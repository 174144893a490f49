package reconcile

import (
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// departing is how many objects go at once: for the links among them the kernel
// keeps other changes of links waiting, a third of a millisecond each.
const departing = 48

// departures are objects of endpoints that left. They serve nobody any more: the
// rules let nothing through. The kernel takes tens of milliseconds to let go of
// them, for which no call waits. Each is there until all of its removal is done,
// so that the next process finds what a killed one did not come to.
type departures struct {
	log *slog.Logger
	// remove takes objects from the kernel, and returns why some stay.
	remove func(objects []plan.Object) map[plan.Key]error

	mu sync.Mutex
	// going holds a channel for each object, closed when it is gone or stays.
	going map[plan.Key]chan struct{}
	// waiting are those of them whose turn has not come, in their order.
	waiting []plan.Object
	working bool
	// stayed are objects that could not go. Those are removed while somebody
	// waits who can say why.
	stayed map[plan.Key]bool
	// untold is set where one stayed and nobody has looked at the host since.
	untold bool
}

func newDepartures(log *slog.Logger, remove func([]plan.Object) map[plan.Key]error) *departures {
	return &departures{log: log, remove: remove, going: make(map[plan.Key]chan struct{}), stayed: make(map[plan.Key]bool)}
}

// begin has an object go.
func (d *departures) begin(o plan.Object) error {
	k := o.Key()
	d.await(k)
	if d.takeStayed(k) {
		return d.remove([]plan.Object{o})[k]
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.going[k] = make(chan struct{})
	d.waiting = append(d.waiting, o)
	if !d.working {
		d.working = true
		go d.run() // awaitAll waits for it
	}
	return nil
}

func (d *departures) takeStayed(k plan.Key) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	stayed := d.stayed[k]
	delete(d.stayed, k)
	return stayed
}

// run removes what waits, and what comes meanwhile.
func (d *departures) run() {
	for objects := d.next(); len(objects) > 0; objects = d.next() {
		d.end(objects, d.remove(objects))
	}
}

// next takes those whose turn it is.
func (d *departures) next() []plan.Object {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(d.waiting), departing)
	objects := d.waiting[:n:n]
	d.waiting = d.waiting[n:]
	d.working = n > 0
	return objects
}

// end notes the outcome of a removal.
func (d *departures) end(objects []plan.Object, errs map[plan.Key]error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range objects {
		close(d.going[o.Key()])
		delete(d.going, o.Key())
		if err := errs[o.Key()]; err != nil {
			d.stayed[o.Key()], d.untold = true, true
			d.log.Warn("what an endpoint left is not removed, tried again", "object", o.String(), "err", err)
		}
	}
}

// await returns when an object is not on its way any more.
func (d *departures) await(k plan.Key) {
	d.mu.Lock()
	gone := d.going[k]
	d.mu.Unlock()
	if gone != nil {
		<-gone
	}
}

// awaitAll is await of all objects.
func (d *departures) awaitAll() {
	for keys := d.keys(); len(keys) > 0; keys = d.keys() {
		for _, k := range keys {
			d.await(k)
		}
	}
}

// keys returns what is on its way.
func (d *departures) keys() []plan.Key {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.going))
}

// look is keys for who looks at the host now: what stayed will be seen.
func (d *departures) look() []plan.Key {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.untold = false
	return slices.Collect(maps.Keys(d.going))
}

// stays reports whether something stayed that nobody has looked at since.
func (d *departures) stays() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.untold
}

// depart takes pairs and neighbors from the kernel. First the pairs go, so that
// nothing begins another flow; then the flows, which must not become those of an
// address's next owner; then the neighbors, by which a later process knows of
// which addresses there may be flows left.
func (h *Host) depart(objects []plan.Object) map[plan.Key]error {
	errs := make(map[plan.Key]error)
	var names []string
	var addrs []netip.Addr
	var neighbors []plan.Neighbor
	for _, o := range objects {
		switch o := o.(type) {
		case plan.Veth:
			names = append(names, o.Name)
		case plan.Neighbor:
			addrs = append(addrs, o.Addr)
			neighbors = append(neighbors, o)
		}
	}
	if h.conn.DeleteLinks(names...) != nil {
		for _, name := range names {
			errs[plan.Veth{Name: name}.Key()] = h.conn.DeleteLink(name)
		}
	}
	var flows error
	if len(addrs) > 0 {
		flows = h.conn.ForgetFlows(addrs...)
	}
	for _, n := range neighbors {
		err := flows
		if err == nil {
			err = h.conn.DeleteNeighbor(kernel.Neighbor{Addr: n.Addr, Link: n.Link, MAC: n.MAC, Protocol: plan.Protocol})
		}
		errs[n.Key()] = err
	}
	return errs
}

// leave takes out of what was observed what was on its way then.
func (h *Host) leave(have plan.Host) {
	h.mu.Lock()
	leaving := slices.Clone(h.leaving)
	h.mu.Unlock()
	for _, k := range leaving {
		delete(have.Objects, k)
	}
}
