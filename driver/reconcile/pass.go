package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
)

// pass observes the whole host and makes it match. What fails for an owner is
// kept with its problems, so that one broken object never blocks the others.
func (l *Loop) pass(ctx context.Context) passage {
	begin := time.Now()
	did, errs, err := l.match(ctx)
	l.tally.passed(begin, did, err)
	if err != nil {
		// Nothing was looked at, so nothing that was broken is known to be well;
		// but it was tried, or Run would not wait before it tries again.
		for _, p := range l.Problems() {
			if p.Owner != "" {
				l.attempted(ctx, p.Owner, p.Err)
			}
		}
		l.report(ctx, "", err)
		return did
	}
	for _, p := range l.Problems() {
		if errs[p.Owner] == nil {
			l.report(ctx, p.Owner, nil)
		}
	}
	for owner, err := range errs {
		l.report(ctx, owner, err)
	}
	return did
}

// match is the work of a pass. It returns what it did and what went wrong for
// each owner, or why the host could not be observed.
func (l *Loop) match(ctx context.Context) (did passage, errs map[string]error, err error) {
	if err := l.kernel.Refresh(); err != nil {
		return did, nil, err
	}
	want := l.planner.Plan()
	// Rules first: what follows may open a way to a container.
	changed, rulesErr := l.kernel.SetRules(want)
	if did.rules = changed; changed {
		l.log.InfoContext(ctx, "rules set", "networks", len(want.Policy.Networks))
	}
	have, err := l.kernel.Observe(want)
	if err != nil {
		return did, nil, err
	}
	l.missing = make(map[string]error)
	ops := l.own(plan.Diff(have, want))
	did.done, errs = l.apply(ctx, ops)
	did.left = len(ops) - len(did.done)
	if rulesErr != nil {
		errs[""] = errors.Join(errs[""], fmt.Errorf("set rules: %w", rulesErr))
	}
	l.state.Lock()
	defer l.state.Unlock()
	before := l.holdings
	l.holdings = newHoldings()
	for _, o := range want.Objects {
		l.holdings.add(o.Owner, o.Object)
	}
	for owner := range errs {
		// What there was may still be.
		l.holdings.addAll(owner, before.of(owner))
	}
	return did, errs, nil
}

// observe returns what the host should hold, and what it does.
func (l *Loop) observe() (want, have plan.Host, err error) {
	if err := l.kernel.Refresh(); err != nil {
		return want, have, err
	}
	want = l.planner.Plan()
	have, err = l.kernel.Observe(want)
	return want, have, err
}

// own gives removals to whom the object was made for: the kernel does not tell.
func (l *Loop) own(ops []plan.Op) []plan.Op {
	l.state.Lock()
	defer l.state.Unlock()
	for i, op := range ops {
		if op.Verb == plan.Del {
			ops[i].Owner = cmp.Or(op.Owner, l.holdings.owner(op.Key()))
		}
	}
	return ops
}

// apply carries out ops and returns those that were done, and the errors of
// each owner. An operation that fails does not keep the others of its owner
// from being tried: removal must get as far as it can.
func (l *Loop) apply(ctx context.Context, ops []plan.Op) (done []plan.Op, errs map[string]error) {
	errs = make(map[string]error)
	for _, op := range ops {
		if err := l.applyOne(op); err != nil {
			errs[op.Owner] = errors.Join(errs[op.Owner], fmt.Errorf("%s: %w", op, err))
			continue
		}
		done = append(done, op)
		level := slog.LevelInfo
		if op.Key().Kind == plan.KindPeerRoute {
			level = slog.LevelDebug // There may be 100,000, and whoever wants them says so.
		}
		l.log.Log(ctx, level, "host changed", "op", op.String(), "owner", op.Owner)
	}
	return done, errs
}

func (l *Loop) applyOne(op plan.Op) error {
	if err, missing := l.missing[plan.On(op.Object)]; missing && op.Verb != plan.Del {
		return err
	} else if missing && op.Key().Kind != plan.KindVeth {
		return nil // it went with the bridge
	}
	err := l.kernel.Apply(op)
	if b, ok := op.Object.(plan.Bridge); ok && err != nil && op.Verb == plan.Add {
		l.missing[b.Name] = err
	}
	return err
}
