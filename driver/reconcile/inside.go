package reconcile

import (
	"errors"
	"sync"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/netns"
)

// insides are the addresses that were set in sandboxes, by key. There are too
// many sandboxes to look into each: what was set is taken for what is there.
// A new process sets each address once more.
type insides struct {
	mu  sync.Mutex
	set map[plan.Key]plan.Inside
}

func (s *insides) add(i plan.Inside) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set[i.Key()] = i
}

func (s *insides) remove(i plan.Inside) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.set, i.Key())
}

// observe adds what was set.
func (s *insides) observe(have plan.Host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.set {
		have.Add("", i)
	}
}

// Placed reports whether Docker has moved the link with this MAC into the
// sandbox and set it up, the last thing that it does to it. Before Docker 28
// the sandbox is made after Join.
func (h *Host) Placed(sandbox string, mac inet.MAC) (placed bool, err error) {
	err = inSandbox(sandbox, func(s *kernel.Sandbox) (err error) {
		placed, err = s.Up(mac)
		return err
	})
	return placed, err
}

// Enterable returns why sandboxes cannot be entered, nil if they can.
func (h *Host) Enterable() error { return netns.Allowed() }

// setInside has nothing to do where the sandbox or the link is gone: the
// container is ending.
func (h *Host) setInside(i plan.Inside) error {
	err := inSandbox(i.Sandbox, func(s *kernel.Sandbox) error { return s.SetAddress(i.MAC, i.Prefix, i.Deprecated) })
	if err == nil {
		h.insides.add(i)
	}
	return err
}

func (h *Host) removeInside(i plan.Inside) error {
	if !i.Given { // else it goes with the link that Docker set it on
		err := inSandbox(i.Sandbox, func(s *kernel.Sandbox) error { return s.DeleteAddress(i.MAC, i.Prefix) })
		if err != nil {
			return err
		}
	}
	h.insides.remove(i)
	return nil
}

// inSandbox calls do inside a sandbox, and succeeds where that or the link is gone.
func inSandbox(path string, do func(*kernel.Sandbox) error) error {
	err := netns.Do(path, func() error {
		s, err := kernel.OpenSandbox()
		if err != nil {
			return err
		}
		return errors.Join(do(s), s.Close())
	})
	if errors.Is(err, netns.ErrGone) || errors.Is(err, kernel.ErrNotFound) {
		return nil
	}
	return err
}
