package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/responder"
)

// responders answer on uplinks in front of the kernel's proxy entries.
type responders struct {
	log    *slog.Logger
	mode   plan.Answering
	source plan.NASource
	// lacking is why there can be none.
	lacking error

	// Only passes use these, one at a time: dead are the links that have a
	// responder of an earlier process, nil before they were looked for, and
	// coming the targets that one begins with.
	dead   map[int]bool
	coming []plan.Target

	mu sync.Mutex
	// running are those of this process, by the link's index.
	running map[int]running
	// refused are the links that would take none, and why.
	refused map[int]error
	// fallen is set where one was refused and no plan knows yet.
	fallen bool
}

// A running responder is one of this process, as it was set last.
type running struct {
	*responder.Responder
	is plan.Responder
}

func newResponders(c HostConfig) (*responders, error) {
	r := &responders{
		log: c.Log, mode: cmp.Or(c.Answering, plan.AnswerKernel), source: cmp.Or(c.NASource, plan.SourceAuto),
		running: make(map[int]running), refused: make(map[int]error),
	}
	if r.mode == plan.AnswerKernel {
		return r, nil
	}
	r.lacking = responder.Available()
	if r.lacking != nil && r.mode == plan.AnswerBPF {
		return nil, fmt.Errorf("--responder (NDP6_RESPONDER) %q: %w: give ndp6 what it lacks, or choose %q, which leaves answers to the kernel then",
			r.mode, r.lacking, plan.AnswerAuto)
	}
	if r.lacking != nil {
		r.leave("all uplinks", r.lacking)
	}
	return r, nil
}

// leave tells that solicitations are left to the kernel.
func (r *responders) leave(where string, why error) {
	args := []any{"uplink", where, "reason", why}
	if r.source != plan.SourceAuto {
		args = append(args, "ignored", "--na-source "+r.source)
	}
	r.log.Warn("the kernel answers solicitations by itself", args...)
}

// observe adds the responders that there are, and their targets. Those of
// wanted targets that come with a responder, because the kernel answers for
// them, are as good as there.
func (r *responders) observe(s uplink.Snapshot, have, want plan.Host) error {
	if err := r.findDead(); err != nil {
		return err
	}
	names := make(map[int]string)
	for _, l := range s.Links {
		names[l.Index] = l.Name
	}
	here := make(map[string]bool)
	for _, one := range r.survivors(names) {
		here[one.is.Link] = true
		if err := one.observe(have); err != nil {
			return err
		}
	}
	for index := range r.dead {
		if name, ok := names[index]; ok {
			have.Add("", plan.Responder{Link: name})
		}
	}
	r.coming = nil
	for _, o := range want.Objects {
		t, ok := o.Object.(plan.Target)
		if !ok || here[t.Link] {
			continue
		}
		if _, answered := have.Objects[plan.Proxy(t).Key()]; answered {
			r.coming = append(r.coming, t)
			have.Add(o.Owner, t)
		}
	}
	return nil
}

// findDead looks once for what an earlier process left.
func (r *responders) findDead() error {
	if r.dead != nil {
		return nil
	}
	links, err := responder.Links()
	if err != nil {
		return fmt.Errorf("look for responders: %w", err)
	}
	r.dead = make(map[int]bool)
	for _, index := range links {
		r.dead[index] = true
	}
	return nil
}

// survivors returns the running responders whose links are there, under the
// names that these have now, and lets go of the others: those went with the link.
func (r *responders) survivors(names map[int]string) []running {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fallen = false
	var all []running
	for index, one := range r.running {
		name, ok := names[index]
		if !ok {
			delete(r.running, index)
			_ = one.Close()
			continue
		}
		one.is.Link = name
		r.running[index] = one
		all = append(all, one)
	}
	return all
}

func (one running) observe(have plan.Host) error {
	attached, err := one.Attached()
	if err != nil {
		return fmt.Errorf("look for the responder of %s: %w", one.is.Link, err)
	}
	if attached {
		have.Add("", one.is)
	}
	targets, err := one.Targets()
	if err != nil {
		return fmt.Errorf("read the targets of %s: %w", one.is.Link, err)
	}
	for _, addr := range targets {
		have.Add("", plan.Target{Addr: addr, Link: one.is.Link})
	}
	return nil
}

// set puts a responder on its link, or changes it. Where the choice is ours, a
// link that takes none is left to the kernel by the plans to come.
func (r *responders) set(index int, p plan.Responder) error {
	err := r.attach(index, p)
	if err == nil || r.mode == plan.AnswerBPF {
		return err
	}
	r.mu.Lock()
	r.refused[index], r.fallen = err, true
	r.mu.Unlock()
	r.leave(p.Link, err)
	return nil
}

// attach is set without another way out.
func (r *responders) attach(index int, p plan.Responder) error {
	config := responder.Config{Index: index, Name: p.Link, MAC: p.MAC, Source: p.Source, Global: p.Global}
	one, ok := r.of(p.Link)
	var err error
	if ok {
		err = one.Set(config)
	} else {
		one, err = r.fresh(config)
	}
	if err != nil {
		return err
	}
	if err = one.SetPools(p.Pools); err == nil {
		err = one.Attach()
	}
	if err != nil {
		if !ok {
			err = errors.Join(err, one.Close())
		}
		return err
	}
	one.is = p
	delete(r.dead, index)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[index] = one
	return nil
}

// fresh returns a responder with the targets that come with it.
func (r *responders) fresh(config responder.Config) (running, error) {
	one, err := responder.New(config)
	if err != nil {
		return running{}, err
	}
	var addrs []netip.Addr
	for _, t := range r.coming {
		if t.Link == config.Name {
			addrs = append(addrs, t.Addr)
		}
	}
	if err := one.Add(addrs...); err != nil {
		return running{}, errors.Join(err, one.Close())
	}
	return running{Responder: one}, nil
}

// remove takes whatever responder there is off a link.
func (r *responders) remove(index int, link string) error {
	if one, ok := r.of(link); ok {
		if err := one.Detach(); err != nil {
			return err
		}
		r.mu.Lock()
		delete(r.running, index)
		r.mu.Unlock()
		return one.Close()
	}
	if r.dead[index] {
		if err := responder.Detach(index); err != nil {
			return err
		}
		delete(r.dead, index)
	}
	return nil
}

// of returns the running responder of a link, if it has one.
func (r *responders) of(link string) (running, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.running {
		if one.is.Link == link {
			return one, true
		}
	}
	return running{}, false
}

// add has the responder of the link answer for a target. Without one there is
// nothing to do: it comes with what there is then.
func (r *responders) add(t plan.Target) error {
	if one, ok := r.of(t.Link); ok {
		return one.Add(t.Addr)
	}
	return nil
}

func (r *responders) delete(t plan.Target) error {
	if one, ok := r.of(t.Link); ok {
		return one.Remove(t.Addr)
	}
	return nil
}

// same reports whether all responders are where they were put, and nobody waits
// for a plan without one.
func (r *responders) same() (bool, error) {
	r.mu.Lock()
	all, fallen := slices.Collect(maps.Values(r.running)), r.fallen
	r.mu.Unlock()
	for _, one := range all {
		if attached, err := one.Attached(); err != nil || !attached {
			return false, err
		}
	}
	return !fallen, nil
}

// close leaves the responders where they are, answering.
func (r *responders) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for index, one := range r.running {
		errs = append(errs, one.Close())
		delete(r.running, index)
	}
	return errors.Join(errs...)
}
