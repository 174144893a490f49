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
	period  time.Duration
	kick    chan struct{}

	// mu makes one writer of many callers: it is held while the kernel works.
	mu sync.Mutex
	// applied is what was asked of the kernel for each owner, so that Sync
	// knows what to remove without a dump.
	applied map[string]plan.Host

	state sync.Mutex
	// problems are the owners for whom not all that was asked was done.
	problems map[string]Problem
}

// New returns a Loop that has not touched the kernel yet.
func New(kernel Kernel, planner Planner, log *slog.Logger) *Loop {
	return &Loop{
		log: log, kernel: kernel, planner: planner,
		period:   Period,
		kick:     make(chan struct{}, 1),
		applied:  make(map[string]plan.Host),
		problems: make(map[string]Problem),
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
	if l.pass(); len(l.Problems()) > 0 {
		l.Kick()
	}
	return errors.Join(l.problem(""), l.problem(owner))
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

	for {
		wait := l.period
		if due, ok := l.retry(); ok {
			wait = min(wait, time.Until(due))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
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
		l.repair()
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

func (l *Loop) repair() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass()
}

// pass observes the whole host and makes it match. What fails for an owner is
// kept with its problems, so that one broken object never blocks the others.
func (l *Loop) pass() {
	errs, err := l.match()
	if err != nil {
		// Nothing was looked at, so nothing that was broken is known to be well.
		l.report("", err)
		return
	}
	for _, p := range l.Problems() {
		if errs[p.Owner] == nil {
			l.report(p.Owner, nil)
		}
	}
	for owner, err := range errs {
		l.report(owner, err)
	}
}

// match is the work of a pass. It returns what went wrong for each owner, or
// why the host could not be observed.
func (l *Loop) match() (map[string]error, error) {
	if err := l.kernel.Refresh(); err != nil {
		return nil, err
	}
	want := l.planner.Plan()
	have, err := l.kernel.Observe(want)
	if err != nil {
		return nil, err
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
	return errs, nil
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
	if l.problem(owner) == nil {
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
	l.attempted(owner, err)
	if err != nil {
		l.keep(owner, before)
		l.Kick()
	}
}
