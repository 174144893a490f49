package wire

import (
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ndp6/ndp6/plugin/exposition"
)

// other stands for all methods that do not exist: what a peer makes up must
// not become a metric.
const other = "other"

// Counts are what became of the calls so far.
type Counts struct {
	// Methods are all that there are, in the order of their names.
	Methods []MethodCounts
	// Panics are calls that ran into a defect of ours; they are errors too.
	Panics uint64
	// InFlight are the calls that have no answer yet.
	InFlight int64
}

// MethodCounts are those of one method.
type MethodCounts struct {
	Method    string
	OK, Error uint64
	// Took is how long the calls took.
	Took exposition.Spread
}

// Counts returns what became of the calls so far. It waits for nothing.
func (s *Server) Counts() Counts {
	c := Counts{Panics: s.panics.Load(), InFlight: s.inFlight.Load()}
	for _, name := range slices.Sorted(maps.Keys(s.tallies)) {
		t := s.tallies[name]
		c.Methods = append(c.Methods, MethodCounts{Method: name, OK: t.ok.Load(), Error: t.failed.Load(), Took: t.took.Spread()})
	}
	return c
}

// A tally counts the calls of one method.
type tally struct {
	ok, failed atomic.Uint64
	took       *exposition.Timer
}

// newTallies returns one for each method and one for all others. Bounds run
// from a call that changes nothing to the deadline.
func newTallies(methods map[string]method) map[string]*tally {
	tallies := make(map[string]*tally)
	for _, name := range append(slices.Collect(maps.Keys(methods)), other) {
		tallies[name] = &tally{took: exposition.NewTimer(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25)}
	}
	return tallies
}

func (s *Server) count(name string, took time.Duration, err error) {
	t, ok := s.tallies[name]
	if !ok {
		t = s.tallies[other]
	}
	t.took.Observe(took)
	if err == nil {
		t.ok.Add(1)
		return
	}
	t.failed.Add(1)
	if p := (*panicError)(nil); errors.As(err, &p) {
		s.panics.Add(1)
	}
}
