package lab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Requests are questions to a Teller at a steady rate, each on a new
// connection, under way.
type Requests struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu  sync.Mutex
	all []request // in the order of their ends
}

type request struct {
	began, ended time.Time
	err          error
}

// Requested is what Requests met.
type Requested struct {
	Sent  int
	First time.Time // when the first answer came, zero where none did
	// Those that began after it.
	Answered, Failed int
	Slowest          time.Duration // time to an answer
	Err              error         // of the first that failed
}

// String is one line of text.
func (r Requested) String() string {
	return fmt.Sprintf("%d requests; since the first answer %d answered, slowest %s, %d failed", r.Sent, r.Answered, r.Slowest.Round(time.Millisecond), r.Failed)
}

// Request begins to ask a TCP server for the address that it sees, rate times a
// second. Each answer has this time to come. The caller stops it.
func (n *Node) Request(ctx context.Context, server netip.AddrPort, rate int, timeout time.Duration) *Requests {
	r := new(Requests)
	until, stop := context.WithCancel(ctx)
	r.stop = stop
	r.done.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for until.Err() == nil {
			r.done.Go(func() {
				q := request{began: time.Now()}
				_, q.err = n.Ask(ctx, "tcp", server, timeout)
				q.ended = time.Now()
				r.mu.Lock()
				defer r.mu.Unlock()
				r.all = append(r.all, q)
			})
			select {
			case <-tick.C:
			case <-until.Done():
			}
		}
	})
	return r
}

// First is when the first answer came, zero as long as none did.
func (r *Requests) First() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.all, func(q request) bool { return q.err == nil })
	if i < 0 {
		return time.Time{}
	}
	return r.all[i].ended
}

// Stop waits for the last answers and tells what the requests met.
func (r *Requests) Stop() Requested {
	r.stop()
	r.done.Wait()
	met := Requested{Sent: len(r.all), First: r.First()}
	for _, q := range r.all {
		switch {
		case met.First.IsZero() || q.began.Before(met.First):
		case q.err != nil:
			met.Failed++
			if met.Err == nil {
				met.Err = fmt.Errorf("at %s: %w", q.began.UTC().Format("15:04:05.000"), q.err)
			}
		default:
			met.Answered++
			met.Slowest = max(met.Slowest, q.ended.Sub(q.began))
		}
	}
	return met
}
