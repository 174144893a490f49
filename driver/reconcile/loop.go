// Package reconcile makes the kernel match the plan.
//
// Whoever changed a record calls Sync or SyncHost, which return when the
// kernel has followed. Run repairs what others undid: it passes over the whole
// host after events that can lose state, and periodically.
package reconcile

import (
	"cmp"
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

// firstRetry is how long Run waits after a pass that met errors, and twice as
// long after each that follows, up to Period.
const firstRetry = time.Second

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

	// mu makes one writer of many callers: it is held while the kernel works.
	mu sync.Mutex
	// applied is what was asked of the kernel for each owner, so that Sync
	// knows what to remove without a dump.
	applied map[string]plan.Host
	// failed are the owners for whom not all that was asked was done, and why.
	failed map[string]error
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

// Refresh reads the links and routes that plans depend on.
func (l *Loop) Refresh(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.kernel.Refresh()
}

// Sync makes the kernel hold what the plan says of one endpoint. It costs the
// same whatever else the host holds. Where ctx ended, Run does it.
func (l *Loop) Sync(ctx context.Context, endpoint string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		l.Kick()
		return err
	}
	want := l.planner.PlanOf(endpoint)
	errs := l.apply(plan.Diff(l.certain(endpoint, want), want))
	l.remember(endpoint, want, errs[endpoint])
	return errs[endpoint]
}

// SyncHost passes over the whole host and returns what went wrong for owner
// and for what all owners share. What went wrong for others is retried by Run.
// Where ctx ended, Run does it.
func (l *Loop) SyncHost(ctx context.Context, owner string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		l.Kick()
		return err
	}
	err := l.pass()
	if err != nil || len(l.failed) > 0 {
		l.Kick()
	}
	if err != nil {
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

	var retry time.Duration // 0 while the host is as planned
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(cmp.Or(retry, Period)):
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
		err := l.repair()
		if err == nil {
			retry = 0
			continue
		}
		retry = min(max(2*retry, firstRetry), Period)
		l.log.Warn("host not as planned", "err", err, "retry_in", retry)
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
	errs := l.apply(l.own(plan.Diff(have, want)))
	if rulesErr != nil {
		errs[""] = errors.Join(errs[""], fmt.Errorf("set rules: %w", rulesErr))
	}
	before := l.applied
	l.applied = make(map[string]plan.Host)
	for _, o := range want.Objects {
		l.asked(o.Owner, o.Object)
	}
	for owner := range errs {
		l.keep(owner, before[owner])
	}
	l.failed = errs
	return nil
}

// asked notes an object that the kernel was asked to hold.
func (l *Loop) asked(owner string, o plan.Object) {
	part, ok := l.applied[owner]
	if !ok {
		part = plan.NewHost()
		l.applied[owner] = part
	}
	part.Add(owner, o)
}

// keep notes what there was before an error, and may still be.
func (l *Loop) keep(owner string, before plan.Host) {
	for _, o := range before.Objects {
		l.asked(owner, o.Object)
	}
}

// own gives removals to whom the object was made for: the kernel does not tell.
func (l *Loop) own(ops []plan.Op) []plan.Op {
	owners := make(map[plan.Key]string)
	for owner, part := range l.applied {
		for k := range part.Objects {
			owners[k] = owner
		}
	}
	for i, op := range ops {
		if op.Verb == plan.Del {
			ops[i].Owner = cmp.Or(op.Owner, owners[op.Key()])
		}
	}
	return ops
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

// certain returns what the kernel holds for owner. After an error that is not
// known of any object: what is wanted is done again, what is not is removed.
func (l *Loop) certain(owner string, want plan.Host) plan.Host {
	have := l.applied[owner]
	if l.failed[owner] == nil {
		return have
	}
	rest := plan.NewHost()
	for k, o := range have.Objects {
		if _, ok := want.Objects[k]; !ok {
			rest.Add(owner, o.Object)
		}
	}
	return rest
}

// remember notes what Sync asked the kernel to hold for owner.
func (l *Loop) remember(owner string, want plan.Host, err error) {
	before := l.applied[owner]
	delete(l.applied, owner)
	if len(want.Objects) > 0 {
		l.applied[owner] = want
	}
	if err == nil {
		delete(l.failed, owner)
		return
	}
	l.keep(owner, before)
	l.failed[owner] = err
	l.Kick()
}
