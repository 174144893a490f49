package responder

import (
	"fmt"

	"github.com/ndp6/ndp6/netutil/tc"
)

// Counts is numbers of solicitations.
type Counts struct {
	// Answers are those that were answered, by their kind: "multicast", "unicast",
	// or "probe" for one that asks whether an address is taken (RFC 4862 5.4).
	Answers map[string]uint64
	// Drops are those that were dropped, by the reason. "unassigned" is for an
	// address of a pool that nobody has, "limited" from a source that asks for too
	// many unknown ones. The others break RFC 4861 7.1.1: "hop_limit", "code",
	// "length", "checksum", "option", "source", "destination".
	Drops map[string]uint64
}

// counters are enum count of the program.
var counters = [...]struct {
	drop bool
	name string
}{
	{false, "multicast"},
	{false, "unicast"},
	{false, "probe"},
	{true, "unassigned"},
	{true, "limited"},
	{true, "hop_limit"},
	{true, "code"},
	{true, "length"},
	{true, "checksum"},
	{true, "option"},
	{true, "source"},
	{true, "destination"},
}

// Counts returns what the program did since New. It has every kind and reason.
func (r *Responder) Counts() (Counts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := Counts{Answers: map[string]uint64{}, Drops: map[string]uint64{}}
	for i, counter := range counters {
		n, err := tc.Count(r.kernel.Counts, i)
		if err != nil {
			return Counts{}, fmt.Errorf("read counts of the responder of uplink %q: %w", r.name, err)
		}
		if counter.drop {
			c.Drops[counter.name] = n
		} else {
			c.Answers[counter.name] = n
		}
	}
	return c, nil
}
