package reconcile

import (
	"maps"
	"sync"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/nft"
)

// elements remember what the rules of endpoints are made of: a pass would make
// the elements of ten thousand anew, which are the same as before but for a few.
type elements struct {
	mu  sync.Mutex
	all map[string]made // by the endpoint's id
}

type made struct {
	of    firewall.Endpoint
	group nft.Group
}

// group returns the elements of an endpoint's rules.
func (e *elements) group(r plan.Rules) nft.Group {
	e.mu.Lock()
	defer e.mu.Unlock()
	if m, ok := e.all[r.ID]; ok && m.of.Equal(r.Endpoint) {
		return m.group
	}
	if e.all == nil {
		e.all = make(map[string]made)
	}
	group := firewall.Elements(r.Endpoint)
	e.all[r.ID] = made{r.Endpoint, group}
	return group
}

// forget is for the rules of an endpoint that are gone.
func (e *elements) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.all, id)
}

// keep forgets all but those that are wanted.
func (e *elements) keep(want plan.Host) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.all, func(id string, _ made) bool {
		_, ok := want.Objects[plan.Rules{ID: id}.Key()]
		return !ok
	})
}
