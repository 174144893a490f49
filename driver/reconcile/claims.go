package reconcile

import (
	"slices"
	"sync"

	"github.com/ndp6/ndp6/driver/plan"
)

// claims let one goroutine at a time change an object, and several change
// different ones: nobody waits for what the kernel does for others.
type claims struct {
	mu    *sync.Mutex
	freed *sync.Cond
	taken map[plan.Key]bool
}

func newClaims() claims {
	mu := new(sync.Mutex)
	return claims{mu: mu, freed: sync.NewCond(mu), taken: make(map[plan.Key]bool)}
}

// kindOwner is the kind of a key that stands for all objects of an owner.
const kindOwner plan.Kind = -1

func ownerKey(owner string) plan.Key { return plan.Key{Kind: kindOwner, Name: owner} }

// take waits until none of the keys is taken and takes all of them at once. A
// goroutine that holds some may take more only if nobody who waits for those
// that it holds can hold what it waits for: owners come before objects.
func (c claims) take(keys ...plan.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for slices.ContainsFunc(keys, func(k plan.Key) bool { return c.taken[k] }) {
		c.freed.Wait()
	}
	for _, k := range keys {
		c.taken[k] = true
	}
}

func (c claims) free(keys ...plan.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		delete(c.taken, k)
	}
	c.freed.Broadcast()
}
