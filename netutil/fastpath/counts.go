package fastpath

import "fmt"

// counters are enum count of the programs.
var counters = [...]string{"entered", "left"}

// Counts returns how many packets were forwarded since New, by "entered" for
// those to containers and "left" for those from them. What arrived as one and is
// sent in segments counts as one.
func (p *Path) Counts() (map[string]uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := make(map[string]uint64)
	for i, name := range counters {
		var each []uint64 // by CPU
		if err := p.kernel.Counts.Lookup(uint32(i), &each); err != nil {
			return nil, fmt.Errorf("read counts of the fast path: %w", err)
		}
		for _, n := range each {
			counts[name] += n
		}
	}
	return counts, nil
}
