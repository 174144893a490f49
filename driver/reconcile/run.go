package reconcile

import (
	"context"
	"sync"
	"time"
)

const (
	// settle is how long Run waits for more events after the first: a starting
	// dockerd causes dozens within a moment.
	settle = 100 * time.Millisecond
	// lookPeriod is how often Run looks for what vanishes without an event.
	lookPeriod = 500 * time.Millisecond
	// A pass is followed by a rest of restFactor times its length, up to
	// longestRest, so that a storm of events leaves the CPU to others.
	restFactor  = 3
	longestRest = 400 * time.Millisecond
	// firstRetry is how long Run waits after a pass that met errors, and twice as
	// long after each that follows, up to its period.
	firstRetry = time.Second
)

// Run passes over the host at events and periodically until ctx ends, and
// returns nil then. After a pass that met errors it tries again with growing
// delay. All that it does to the host it does on the goroutine that calls it,
// as a sysctl of a namespace demands; it only listens on others.
func (l *Loop) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { l.watch(ctx) })

	look := time.NewTicker(lookPeriod)
	defer look.Stop()
	next := time.Now().Add(l.period)
	for {
		select {
		case <-ctx.Done():
			return nil
		case l.alive <- struct{}{}:
			continue
		case <-look.C:
			if !l.drifted() {
				continue
			}
		case <-time.After(time.Until(l.due(next))):
		case <-l.kick:
			if !sleep(ctx, settle) {
				return nil
			}
			// What came meanwhile is served by the pass that follows.
			select {
			case <-l.kick:
			default:
			}
		}
		begin := time.Now()
		l.repair(ctx)
		next = time.Now().Add(l.period)
		if !sleep(ctx, min(restFactor*time.Since(begin), longestRest)) {
			return nil
		}
	}
}

// Alive returns nil as soon as Run is between two passes, or the error of ctx
// where that does not come to pass: the kernel or a Sync keeps it.
func (l *Loop) Alive(ctx context.Context) error {
	select {
	case <-l.alive:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Loop) repair(ctx context.Context) {
	l.passing.Lock()
	defer l.passing.Unlock()
	l.tally.repaired(l.pass(ctx))
}

func (l *Loop) drifted() bool {
	drifted, err := l.kernel.Drifted()
	if err != nil {
		// A pass would meet the same error, and say it.
		l.log.Debug("host not looked at", "err", err)
	}
	return drifted
}

// due returns when the next pass is: at the latest at next, or when something
// is to be retried.
func (l *Loop) due(next time.Time) time.Time {
	for _, p := range l.Problems() {
		if p.Retry.Before(next) {
			next = p.Retry
		}
	}
	return next
}

// watch keeps the kernel's events coming: a broken subscription is renewed,
// with a pass for what was missed.
func (l *Loop) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.kernel.Watch(ctx, l.Kick); err != nil && ctx.Err() == nil {
			l.log.Warn("kernel events interrupted", "err", err)
			l.Kick()
			sleep(ctx, time.Second)
		}
	}
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
