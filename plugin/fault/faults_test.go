package fault_test

import (
	"errors"
	"sync"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
)

// errFault is the error of an operation that a test breaks.
var errFault = errors.New("broken by the test")

// errDead is the error of every operation of a process that a test killed.
var errDead = errors.New("the process is dead")

// A fault is what happens at one point of a walk.
type fault struct {
	name string
	// kills ends the process; else the operation returns errFault.
	kills bool
	// after lets the operation happen first.
	after bool
}

var everyFault = []fault{
	{name: "fails before"},
	{name: "fails after", after: true},
	{name: "killed before", kills: true},
	{name: "killed after", kills: true, after: true},
}

// faults count the operations of a process on the kernel and on its records,
// and break one of them. A process that was killed does nothing any more:
// whatever is left of it on the stack gets errDead.
type faults struct {
	mu sync.Mutex
	fault
	// at is the operation to break, counted from 1; none if 0.
	at   int
	seen int
	dead bool
	// hit describes the operation that was broken.
	hit string
}

// do counts an operation and carries it out, unless its turn has come.
func (f *faults) do(name string, op func() error) error {
	f.mu.Lock()
	if f.dead {
		f.mu.Unlock()
		return errDead
	}
	f.seen++
	hit := f.seen == f.at
	if hit {
		f.hit = name
	}
	f.mu.Unlock()
	if !hit {
		return op()
	}
	if f.after {
		if err := op(); err != nil {
			return err
		}
	}
	if !f.kills {
		return errFault
	}
	f.mu.Lock()
	f.dead = true
	f.mu.Unlock()
	// Nothing of the process runs after a SIGKILL. A panic comes close: what
	// defers still do meets errDead.
	panic(errDead)
}

// arm sets the fault that comes at an operation from now on, counted from 1.
func (f *faults) arm(what fault, at int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.at, f.seen = what, at, 0
}

// struck tells the operation that was broken, nothing if none was yet.
func (f *faults) struck() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hit
}

func (f *faults) killed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// A host is a reconcile.Host with faults.
type host struct {
	*reconcile.Host
	faults *faults
}

func (h host) Refresh() error {
	return h.faults.do("read links, addresses and routes", h.Host.Refresh)
}

func (h host) Observe(want plan.Host) (have plan.Host, err error) {
	err = h.faults.do("observe the host", func() error {
		have, err = h.Host.Observe(want)
		return err
	})
	return have, err
}

func (h host) SetRules(want plan.Host) (changed bool, err error) {
	err = h.faults.do("set rules", func() error {
		changed, err = h.Host.SetRules(want)
		return err
	})
	return changed, err
}

func (h host) Apply(op plan.Op) error {
	return h.faults.do(op.String(), func() error { return h.Host.Apply(op) })
}

// records are a bucket of the store with faults in what changes it.
type records[T any] struct {
	driver.Records[T]
	name   string
	faults *faults
}

func (r records[T]) Put(id string, v T) error {
	return r.faults.do("put "+id+" into "+r.name, func() error { return r.Records.Put(id, v) })
}

func (r records[T]) Delete(id string) error {
	return r.faults.do("delete "+id+" from "+r.name, func() error { return r.Records.Delete(id) })
}
