package ndisc

import (
	"errors"
	"sync/atomic"

	"github.com/ndp6/ndp6/netutil/ndp"
)

// Counts are what a Speaker said and asked so far.
type Counts struct {
	// Announced are the advertisements that were sent, three for an address.
	Announced, AnnounceErrors uint64
	// Free and Taken are the probes that found no other owner of the address,
	// and one. ProbeErrors could not be sent, or ended early.
	Free, Taken, ProbeErrors uint64
}

// Counts returns what was said and asked so far.
func (s *Speaker) Counts() Counts {
	c := &s.counts
	return Counts{
		Announced: c.announcements.Load(), AnnounceErrors: c.announceErrors.Load(),
		Free: c.free.Load(), Taken: c.taken.Load(), ProbeErrors: c.probeErrors.Load(),
	}
}

type counts struct {
	announcements, announceErrors atomic.Uint64
	free, taken, probeErrors      atomic.Uint64
}

func (c *counts) announced(err error) {
	if err != nil {
		c.announceErrors.Add(1)
		return
	}
	c.announcements.Add(1)
}

func (c *counts) probed(err error) {
	duplicate := (*ndp.DuplicateError)(nil)
	switch {
	case err == nil:
		c.free.Add(1)
	case errors.As(err, &duplicate):
		c.taken.Add(1)
	default:
		c.probeErrors.Add(1)
	}
}
