// Package reconcile makes the kernel match the plan.
//
// Whoever changed a record calls Sync or SyncHost, which return when the
// kernel has followed. Run repairs what others undid: it passes over the whole
// host after events that can lose state, when a look finds a difference, and
// periodically.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
)

// Period is how often Run passes over the host when nothing happens, unless
// New is told otherwise.
const Period = time.Minute

// A Planner says what the host should hold, by the records of the moment. Its
// methods may be called from several goroutines.
type Planner interface {
	// Plan returns what the whole host should hold.
	Plan() plan.Host
	// PlanOf returns what one endpoint, or what leads to a peer, should hold.
	PlanOf(owner string) plan.Host
}

// A Kernel observes and changes the host. Drifted and Watch run beside other
// methods, and so does Apply, of different objects. The rest are called by one
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
	// Drifted reports whether what vanishes without an event is other than
	// Observe and Apply left it. It is cheap. Where others change it
	// meanwhile, it may not notice until it is called again.
	Drifted() (bool, error)
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
	alive   chan struct{} // Run sends when somebody asks

	// passing is held by what looks at the whole host, and shared by Syncs.
	passing sync.RWMutex
	// missing are the bridges that the last pass could not make, and why:
	// whatever link has such a name is not ours to change.
	missing map[string]error
	// claims keep Syncs from each other's objects.
	claims claims
	tally  tally

	state    sync.Mutex
	holdings holdings
	// problems are the owners for whom not all that was asked was done.
	problems map[string]Problem
}

// New returns a Loop that has not touched the kernel yet. It passes over the
// host at least once in a period.
func New(kernel Kernel, planner Planner, period time.Duration, log *slog.Logger) *Loop {
	return &Loop{
		log: log, kernel: kernel, planner: planner, period: period,
		kick:     make(chan struct{}, 1),
		alive:    make(chan struct{}),
		claims:   newClaims(),
		holdings: newHoldings(),
		problems: make(map[string]Problem),
		tally:    tally{counts: Counts{Repairs: make(map[plan.Kind]uint64)}},
	}
}

// Refresh reads the links and routes that plans depend on.
func (l *Loop) Refresh(ctx context.Context) error {
	l.passing.Lock()
	defer l.passing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.kernel.Refresh()
}

// Sync makes the kernel hold what the plan says of one endpoint. It costs the
// same whatever else the host holds, and waits for passes and for Syncs of the
// same objects only. Where ctx ended, Run does it.
func (l *Loop) Sync(ctx context.Context, endpoint string) error {
	l.passing.RLock()
	defer l.passing.RUnlock()
	self := ownerKey(endpoint)
	l.claims.take(self)
	defer l.claims.free(self)
	if err := ctx.Err(); err != nil {
		l.Kick()
		return err
	}
	want := l.planner.PlanOf(endpoint)
	keys := l.concerned(endpoint, want)
	l.claims.take(keys...)
	defer l.claims.free(keys...)
	_, errs := l.apply(ctx, plan.Diff(l.certain(endpoint, want), want))
	l.remember(ctx, endpoint, want, errs[endpoint])
	return errs[endpoint]
}

// SyncHost passes over the whole host and returns what went wrong for owner
// and for what all owners share. What went wrong for others is retried by Run.
// Where ctx ended, Run does it.
func (l *Loop) SyncHost(ctx context.Context, owner string) error {
	l.passing.Lock()
	defer l.passing.Unlock()
	if err := ctx.Err(); err != nil {
		l.Kick()
		return err
	}
	if l.pass(ctx); len(l.Problems()) > 0 {
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

// concerned returns the objects that a Sync may change.
func (l *Loop) concerned(owner string, want plan.Host) []plan.Key {
	l.state.Lock()
	defer l.state.Unlock()
	var keys []plan.Key
	for k := range want.Objects {
		keys = append(keys, k)
	}
	for k := range l.holdings.of(owner).Objects {
		if _, ok := want.Objects[k]; !ok {
			keys = append(keys, k)
		}
	}
	return keys
}

// certain returns what the kernel holds for owner. After an error that is not
// known of any object: what is wanted is done again, what is not is removed.
func (l *Loop) certain(owner string, want plan.Host) plan.Host {
	l.state.Lock()
	defer l.state.Unlock()
	have := l.holdings.of(owner)
	if l.problems[owner].Err == nil {
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
func (l *Loop) remember(ctx context.Context, owner string, want plan.Host, err error) {
	l.attempted(ctx, owner, err)
	if err != nil {
		l.Kick()
	}
	l.state.Lock()
	defer l.state.Unlock()
	before := l.holdings.of(owner)
	l.holdings.drop(owner)
	for _, o := range want.Objects {
		l.holdings.add(owner, o.Object)
	}
	if err != nil {
		// What there was may still be.
		l.holdings.addAll(owner, before)
	}
}
