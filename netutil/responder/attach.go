package responder

import (
	"fmt"

	"github.com/ndp6/ndp6/netutil/tc"
)

// slot is where responders are. The priority is low, so that few filters see a
// solicitation first, and not 1, which others take.
var slot = tc.Slot{Name: "ndp6", Priority: 6, Handle: 0x6e647036}

// Attach puts the program on the uplink, in place of what another process left
// there: one step, in which no solicitation is lost. Call it when the targets
// are added. Where this program is attached already it changes nothing.
func (r *Responder) Attach() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.tc.Attach(r.index, r.program); err != nil {
		return fmt.Errorf("attach responder to uplink %q: %w", r.name, err)
	}
	return nil
}

// Attached reports whether this program is on the uplink. It is not after
// another process attached its own, somebody removed the filter or its qdisc,
// or the link went. It costs one request.
func (r *Responder) Attached() (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	attached, err := r.tc.Attached(r.index, r.program)
	if err != nil {
		return false, fmt.Errorf("look for the responder on uplink %q: %w", r.name, err)
	}
	return attached, nil
}

// Detach takes the program off the uplink. Where it is not attached, nothing
// changes, though another process's is.
func (r *Responder) Detach() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	attached, err := r.tc.Attached(r.index, r.program)
	if err == nil && attached {
		err = r.tc.Detach(r.index)
	}
	if err != nil {
		return fmt.Errorf("detach responder from uplink %q: %w", r.name, err)
	}
	return nil
}

// Links returns the indexes of the links of the calling thread's namespace
// that a responder is on, whichever process attached it.
func Links() ([]int, error) {
	links, err := slot.Links()
	if err != nil {
		return nil, fmt.Errorf("look for responders: %w", err)
	}
	return links, nil
}

// Detach takes whatever responder there is off the link, and the qdisc with it
// when no filter of others is there. A link that is gone or has none is no error.
func Detach(index int) error {
	if err := slot.Detach(index); err != nil {
		return fmt.Errorf("detach responder from link %d: %w", index, err)
	}
	return nil
}
