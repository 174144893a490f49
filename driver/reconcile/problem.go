package reconcile

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/request"
)

// A Problem is an owner for whom the host is not as planned. Run retries with
// growing delay until it is.
type Problem struct {
	// Owner is the id of a network or an endpoint, empty for what all share.
	Owner string
	// Err says which operations did not work, and why.
	Err error
	// Since is when the first attempt was.
	Since time.Time
	// Attempts counts the attempts since then, 1 or more.
	Attempts int
	// Retry is when the next attempt is due, at the latest.
	Retry time.Time
	// Request is the number of the call that made the first one, 0 if none did.
	Request uint64
}

// Problems returns what is not as planned and is being retried, in the order
// of the owners. It waits for nothing.
func (l *Loop) Problems() []Problem {
	l.state.Lock()
	defer l.state.Unlock()
	byOwner := func(a, b Problem) int { return cmp.Compare(a.Owner, b.Owner) }
	return slices.SortedFunc(maps.Values(l.problems), byOwner)
}

// Drift observes the whole host and returns the operations that would make it
// match, without applying any. Run is asked for a pass where there are some.
func (l *Loop) Drift(ctx context.Context) ([]plan.Op, error) {
	l.passing.Lock()
	defer l.passing.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	want, have, err := l.observe()
	if err != nil {
		return nil, err
	}
	ops := l.own(plan.Diff(have, want))
	if len(ops) > 0 {
		l.Kick()
	}
	return ops, nil
}

// attempted notes the outcome of an attempt for one owner, and returns that
// of the attempt before, the zero Problem where it went well.
func (l *Loop) attempted(ctx context.Context, owner string, err error) (before Problem) {
	l.state.Lock()
	defer l.state.Unlock()
	before, known := l.problems[owner]
	if err == nil {
		delete(l.problems, owner)
		return before
	}
	now := time.Now()
	p := Problem{Owner: owner, Err: err, Since: now, Attempts: before.Attempts + 1, Request: request.ID(ctx)}
	if known {
		p.Since, p.Request = before.Since, before.Request
	}
	p.Retry = now.Add(delay(p.Attempts, l.period))
	l.problems[owner] = p
	return before
}

// report is attempted by a pass, whose outcome nobody else hears of. It logs
// what is new.
func (l *Loop) report(ctx context.Context, owner string, err error) {
	before := l.attempted(ctx, owner, err)
	switch {
	case err == nil && before.Err != nil:
		l.log.InfoContext(ctx, "host as planned again", "owner", owner, "attempts", before.Attempts+1)
	case err != nil && (before.Err == nil || before.Err.Error() != err.Error()):
		l.log.WarnContext(ctx, "host not as planned", "owner", owner, "err", err)
	}
}

// delay is how long to wait after that many attempts.
func delay(attempts int, longest time.Duration) time.Duration {
	d := firstRetry
	for range attempts - 1 {
		if d *= 2; d >= longest {
			return longest
		}
	}
	return min(d, longest)
}

// problem returns what went wrong for an owner at the last attempt.
func (l *Loop) problem(owner string) error {
	l.state.Lock()
	defer l.state.Unlock()
	return l.problems[owner].Err
}
