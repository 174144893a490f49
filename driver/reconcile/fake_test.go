package reconcile_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
)

var errBroken = errors.New("no room")

// records plan one network and its endpoints.
type records struct {
	mu        sync.Mutex
	endpoints map[string]plan.Endpoint
}

func (r *records) put(e plan.Endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endpoints[e.ID] = e
}

func (r *records) remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.endpoints, id)
}

func (r *records) Plan() plan.Host {
	r.mu.Lock()
	defer r.mu.Unlock()
	return plan.Build([]plan.Network{web}, slices.Collect(maps.Values(r.endpoints)), onEth0)
}

func (r *records) PlanOf(endpoint string) plan.Host {
	r.mu.Lock()
	defer r.mu.Unlock()
	return plan.ForEndpoint(web, r.endpoints[endpoint], onEth0)
}

// fakeKernel holds objects in memory. Like a real one it does not know whose
// they are, unless they are links.
type fakeKernel struct {
	events chan error

	mu      sync.Mutex
	objects map[plan.Key]plan.Object
	ops     []string
	quiet   bool
	dumps   int
	// broken is a part of the text of operations that fail.
	broken string
	rules  error
	// blind is why the host cannot be observed.
	blind error
	// slow is how long the removal of a link takes.
	slow time.Duration
	// drifted is what a look finds until the next pass.
	drifted bool
	// passes are the moments at which the host was looked at.
	passes []time.Time
}

func newFakeKernel() *fakeKernel {
	return &fakeKernel{objects: make(map[plan.Key]plan.Object), events: make(chan error)}
}

func (k *fakeKernel) Refresh() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.passes = append(k.passes, time.Now())
	return nil
}

func (k *fakeKernel) Observe(plan.Host) (plan.Host, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dumps++
	k.drifted = false
	if k.blind != nil {
		return plan.Host{}, k.blind
	}
	have := plan.NewHost()
	for _, o := range k.objects {
		owner := ""
		if v, ok := o.(plan.Veth); ok {
			owner = strings.TrimPrefix(v.Alias, plan.AliasEndpoint)
		}
		have.Add(owner, o)
	}
	return have, nil
}

func (k *fakeKernel) SetRules(plan.Host) (bool, error) { return false, k.rules }

func (k *fakeKernel) Apply(op plan.Op) error {
	if op.Verb == plan.Del && op.Key().Kind == plan.KindVeth && k.slow > 0 {
		time.Sleep(k.slow)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken != "" && strings.Contains(op.String(), k.broken) {
		return errBroken
	}
	if op.Verb == plan.Del {
		delete(k.objects, op.Key())
	} else {
		k.objects[op.Key()] = op.Object
	}
	if !k.quiet {
		k.ops = append(k.ops, op.String()+"\n")
	}
	return nil
}

func (k *fakeKernel) Drifted() (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.drifted, nil
}

func (k *fakeKernel) Watch(ctx context.Context, changed func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-k.events:
			if err != nil {
				return err
			}
			changed()
		}
	}
}

// changes makes the next look find a difference.
func (k *fakeKernel) changes() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drifted = true
}

// event tells of a change that somebody else made.
func (k *fakeKernel) event() { k.events <- nil }

// fail ends the subscription to events.
func (k *fakeKernel) fail(err error) { k.events <- err }

// taken returns what was done since it was last called.
func (k *fakeKernel) taken() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	ops := strings.Join(k.ops, "")
	k.ops = nil
	return ops
}

// seen returns what taken will.
func (k *fakeKernel) seen() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.ops, "")
}

// breaks makes operations fail whose text contains part, and none if it is empty.
func (k *fakeKernel) breaks(part string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken = part
}

// looked returns how long after start the host was looked at since then.
func (k *fakeKernel) looked(start time.Time) []time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	var after []time.Duration
	for _, p := range k.passes {
		if p.After(start) {
			after = append(after, p.Sub(start))
		}
	}
	return after
}

// drift loses all objects of an endpoint.
func (k *fakeKernel) drift(endpoint string) {
	e := plan.Endpoint{}
	for i := range 10 {
		if box(i).ID == endpoint {
			e = box(i)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range plan.ForEndpoint(web, e, onEth0).Objects {
		delete(k.objects, key)
	}
}

func (k *fakeKernel) String() string {
	have, _ := k.Observe(plan.Host{})
	return have.String()
}

func (k *fakeKernel) holds(link string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.objects[plan.Key{Kind: plan.KindVeth, Name: link}]
	return ok
}

// run runs the loop until the returned function is called.
func (r rig) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

func withEnded(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}
