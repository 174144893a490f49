// Package reconcile makes the kernel match the plan.
//
// Whoever changed a record calls Sync or SyncHost, which return when the
// kernel has followed. Run repairs what others undid: it passes over the whole
// host after events that can lose state, and periodically.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
)

// Period is how often Run passes over the host when nothing happens.
const Period = time.Minute

// settle is how long Run waits for more events after the first: a starting
// dockerd causes dozens within a moment.
const settle = 100 * time.Millisecond

// A Planner says what the host should hold, by the records of the moment. Its
// methods may be called from several goroutines.
type Planner interface {
	// Plan returns what the whole host should hold.
	Plan() plan.Host
	// PlanOf returns what one endpoint should hold.
	PlanOf(endpoint string) plan.Host
}

// A Kernel observes and changes the host. Its methods are called by one
// goroutine at a time.
type Kernel interface {
	// Refresh reads the links and routes that plans depend on.
	Refresh() error
	// Observe returns what the host holds of ours, and the current value of
	// the sysctls in want.
	Observe(want plan.Host) (plan.Host, error)
	// SetRules makes the firewall match the host's policy and reports
	// whether it had to change anything.
	SetRules(want plan.Host) (changed bool, err error)
	// Apply carries out one operation. It can be repeated.
	Apply(op plan.Op) error
	// Watch calls changed at every event that can lose state, until ctx ends.
	Watch(ctx context.Context, changed func()) error
}

// A Loop is the one writer of the kernel. Make it with New.
type Loop struct {
	log     *slog.Logger
	kernel  Kernel
	planner Planner
	kick    chan struct{}

	mu sync.Mutex
	// applied is what was asked of the kernel for each owner, so that Sync
	// knows what to remove without a dump.
	applied map[string]plan.Host
	failed  map[string]error
}

// New returns a Loop that has not touched the kernel yet.
func New(kernel Kernel, planner Planner, log *slog.Logger) *Loop {
	return &Loop{
		log: log, kernel: kernel, planner: planner,
		kick:    make(chan struct{}, 1),
		applied: make(map[string]plan.Host),
		failed:  make(map[string]error),
	}
}

// Sync makes the kernel hold what the plan says of one endpoint. It costs the
// same whatever else the host holds.
func (l *Loop) Sync(_ context.Context, endpoint string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	want := l.planner.PlanOf(endpoint)
	errs := l.apply(plan.Diff(l.applied[endpoint], want))
	l.remember(endpoint, want, errs[endpoint])
	return errs[endpoint]
}

// SyncHost passes over the whole host and returns what went wrong for owner
// and for what all owners share. What went wrong for others is retried by Run.
func (l *Loop) SyncHost(_ context.Context, owner string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.pass(); err != nil {
		return err
	}
	return errors.Join(l.failed[""], l.failed[owner])
}

// Kick asks Run for a pass soon.
func (l *Loop) Kick() {
	select {
	case l.kick <- struct{}{}:
	default: // one is pending already
	}
}

// Run passes over the host at events and periodically until ctx ends, and
// returns nil then. After a pass that met errors it tries again with growing
// delay.
func (l *Loop) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { l.watch(ctx) })

	delay := Period
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
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
		if err := l.repair(); err != nil {
			if delay == Period {
				delay = time.Second / 2
			}
			delay = min(2*delay, Period-1)
			l.log.Warn("host not as planned", "err", err, "retry_in", delay)
			continue
		}
		delay = Period
	}
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

func (l *Loop) repair() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.pass(); err != nil {
		return err
	}
	return errors.Join(slices.Collect(maps.Values(l.failed))...)
}

// pass observes the whole host and makes it match. What fails for an owner is
// kept in l.failed, so that one broken object never blocks the others.
func (l *Loop) pass() error {
	if err := l.kernel.Refresh(); err != nil {
		return err
	}
	want := l.planner.Plan()
	have, err := l.kernel.Observe(want)
	if err != nil {
		return err
	}
	// Rules first: what follows may open a way to a container.
	changed, rulesErr := l.kernel.SetRules(want)
	if changed {
		l.log.Info("rules set", "networks", len(want.Policy.Networks))
	}
	errs := l.apply(plan.Diff(have, want))
	if rulesErr != nil {
		errs[""] = errors.Join(errs[""], fmt.Errorf("set rules: %w", rulesErr))
	}
	clear(l.applied)
	for _, o := range want.Objects {
		part, ok := l.applied[o.Owner]
		if !ok {
			part = plan.NewHost()
			l.applied[o.Owner] = part
		}
		part.Add(o.Owner, o.Object)
	}
	l.failed = errs
	return nil
}

// apply carries out ops and returns the errors of each owner. An operation
// that fails does not keep the others of its owner from being tried: removal
// must get as far as it can.
func (l *Loop) apply(ops []plan.Op) map[string]error {
	errs := make(map[string]error)
	for _, op := range ops {
		if err := l.kernel.Apply(op); err != nil {
			errs[op.Owner] = errors.Join(errs[op.Owner], fmt.Errorf("%s: %w", op, err))
			continue
		}
		l.log.Info("host changed", "op", op.String(), "owner", op.Owner)
	}
	return errs
}

// remember notes what the kernel was asked to hold for owner. After an error
// what was there before may still be, so it stays on the list.
func (l *Loop) remember(owner string, want plan.Host, err error) {
	if err != nil {
		if before, ok := l.applied[owner]; ok {
			for _, o := range before.Objects {
				want.Add(owner, o.Object)
			}
		}
		l.failed[owner] = err
		l.Kick()
	} else {
		delete(l.failed, owner)
	}
	if len(want.Objects) == 0 {
		delete(l.applied, owner)
		return
	}
	l.applied[owner] = want
}
