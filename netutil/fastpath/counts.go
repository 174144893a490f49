package fastpath

import "fmt"

// Counts is how many packets were forwarded. What arrived as one and is sent in
// segments counts as one.
type Counts struct {
	Entered, Left uint64 // to containers, and from them
}

// Counts returns those since New.
func (p *Path) Counts() (c Counts, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, sum := range []*uint64{&c.Entered, &c.Left} { // enum count of the programs
		var each []uint64 // by CPU
		if err := p.kernel.Counts.Lookup(uint32(i), &each); err != nil {
			return Counts{}, fmt.Errorf("read counts of the fast path: %w", err)
		}
		for _, n := range each {
			*sum += n
		}
	}
	return c, nil
}
