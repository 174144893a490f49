package reconcile

import (
	"maps"

	"github.com/ndp6/ndp6/driver/plan"
)

// holdings are what was asked of the kernel for each owner, so that Sync knows
// what to remove without a dump. An object is its last owner's: an endpoint
// that leaves late must not take down an address that another one has by now.
type holdings struct {
	parts  map[string]plan.Host
	owners map[plan.Key]string
}

func newHoldings() holdings {
	return holdings{parts: make(map[string]plan.Host), owners: make(map[plan.Key]string)}
}

// of returns what an owner holds, for the caller to keep.
func (h holdings) of(owner string) plan.Host {
	return plan.Host{Objects: maps.Clone(h.parts[owner].Objects)}
}

// owner returns whose an object is, empty where it is nobody's.
func (h holdings) owner(k plan.Key) string { return h.owners[k] }

func (h holdings) add(owner string, o plan.Object) {
	k := o.Key()
	if before, ok := h.owners[k]; ok && before != owner {
		h.remove(before, k)
	}
	h.owners[k] = owner
	part, ok := h.parts[owner]
	if !ok {
		part = plan.NewHost()
		h.parts[owner] = part
	}
	part.Objects[k] = plan.Owned{Object: o, Owner: owner}
}

// addAll gives an owner objects that are nobody's.
func (h holdings) addAll(owner string, part plan.Host) {
	for k, o := range part.Objects {
		if _, ok := h.owners[k]; !ok {
			h.add(owner, o.Object)
		}
	}
}

func (h holdings) remove(owner string, k plan.Key) {
	delete(h.owners, k)
	part := h.parts[owner]
	if delete(part.Objects, k); len(part.Objects) == 0 {
		delete(h.parts, owner)
	}
}

// drop forgets all objects of an owner.
func (h holdings) drop(owner string) {
	for k := range h.parts[owner].Objects {
		delete(h.owners, k)
	}
	delete(h.parts, owner)
}
