package exposition

import (
	"slices"
	"sync"
	"time"
)

// A Spread says how many observations there were below each bound.
type Spread struct {
	// Bounds are the buckets' upper ends in seconds, growing.
	Bounds []float64
	// Counts are the observations in each bucket alone; the last is of those
	// beyond all bounds.
	Counts []uint64
	// Sum is that of all observations, in seconds.
	Sum float64
}

// Count returns how many observations there were.
func (s Spread) Count() uint64 { return s.upTo(len(s.Counts) - 1) }

// upTo returns how many observations the buckets up to i hold.
func (s Spread) upTo(i int) (n uint64) {
	for _, c := range s.Counts[:i+1] {
		n += c
	}
	return n
}

// A Timer collects durations. It may be used by several goroutines.
type Timer struct {
	mu     sync.Mutex
	spread Spread
}

// NewTimer returns a Timer with buckets up to these bounds in seconds, which grow.
func NewTimer(bounds ...float64) *Timer {
	return &Timer{spread: Spread{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}}
}

// Observe counts one duration.
func (t *Timer) Observe(d time.Duration) {
	seconds := d.Seconds()
	t.mu.Lock()
	defer t.mu.Unlock()
	i, _ := slices.BinarySearch(t.spread.Bounds, seconds) // a bound is in its own bucket
	t.spread.Counts[i]++
	t.spread.Sum += seconds
}

// Spread returns what was observed so far.
func (t *Timer) Spread() Spread {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.spread
	s.Counts = slices.Clone(s.Counts)
	return s
}
