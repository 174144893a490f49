package fastpath

import (
	"fmt"

	"github.com/ndp6/ndp6/netutil/tc"
)

// Counts is how many packets were forwarded. What arrived as one and is sent in
// segments counts as one.
type Counts struct {
	Entered, Left uint64 // to containers, and from them
}

// Counts returns those since New.
func (p *Path) Counts() (c Counts, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, n := range []*uint64{&c.Entered, &c.Left} { // enum count of the programs
		if *n, err = tc.Count(p.kernel.Counts, i); err != nil {
			return Counts{}, fmt.Errorf("read counts of the fast path: %w", err)
		}
	}
	return c, nil
}
