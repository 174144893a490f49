package reconcile

import (
	"log/slog"
	"sync"

	"github.com/ndp6/ndp6/driver/plan"
)

// departures are objects of endpoints that left. They serve nobody any more, and
// the kernel takes tens of milliseconds to let go of them, for which no call
// waits. Each is there until all of its removal is done, so that the next
// process finds what a killed one did not come to.
type departures struct {
	log *slog.Logger
	all sync.WaitGroup

	mu sync.Mutex
	// going holds a channel for each object, closed when it is gone or stays.
	going map[plan.Key]chan struct{}
	// stayed are objects that could not go. Those are removed while somebody
	// waits who can say why.
	stayed map[plan.Key]bool
	// untold is set where one stayed and no pass has begun since.
	untold bool
}

func newDepartures(log *slog.Logger) *departures {
	return &departures{log: log, going: make(map[plan.Key]chan struct{}), stayed: make(map[plan.Key]bool)}
}

// begin has remove take an object from the kernel, which stays there, of no
// consequence to anybody, until remove returns.
func (d *departures) begin(o plan.Object, remove func() error) error {
	k := o.Key()
	d.await(k)
	if d.takeStayed(k) {
		return remove()
	}
	gone := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.going[k] = gone
	d.all.Go(func() {
		defer close(gone)
		d.end(o, remove())
	})
	return nil
}

// end notes the outcome of a removal.
func (d *departures) end(o plan.Object, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.going, o.Key())
	if err != nil {
		d.stayed[o.Key()], d.untold = true, true
		d.log.Warn("what an endpoint left is not removed, tried again", "object", o.String(), "err", err)
	}
}

func (d *departures) takeStayed(k plan.Key) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	stayed := d.stayed[k]
	delete(d.stayed, k)
	return stayed
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
func (d *departures) awaitAll() { d.all.Wait() }

// keys returns what is on its way. What stayed is not: who looks now will see it.
func (d *departures) keys() []plan.Key {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.untold = false
	keys := make([]plan.Key, 0, len(d.going))
	for k := range d.going {
		keys = append(keys, k)
	}
	return keys
}

// stays reports whether something stayed that nobody has looked at since.
func (d *departures) stays() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.untold
}
