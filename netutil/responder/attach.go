package responder

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What the filter is known by. The priority is low, so that few filters see a
// solicitation first, and not 1, which others take.
const (
	filterName     = "ndp6"
	filterPriority = 6
	filterHandle   = 0x6e647036
)

// Attach puts the program on the uplink, in place of what another process left
// there: one step, in which no solicitation is lost. Call it when the targets
// are added. Where this program is attached already it changes nothing. It makes
// a clsact qdisc where the uplink has none; filters of others stay, and see what
// the responder leaves to the kernel.
func (r *Responder) Attach() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	there, err := find(r.tc, r.index)
	switch {
	case err != nil:
		return fmt.Errorf("attach responder to uplink %q: %w", r.name, err)
	case there != nil && there.Id == r.id:
		return nil
	}
	if err := r.qdisc(); err != nil {
		return fmt.Errorf("attach responder to uplink %q: %w", r.name, err)
	}
	f := place(r.index)
	f.Fd = r.kernel.Ndp6.FD()
	if err := r.tc.FilterReplace(f); err != nil {
		return fmt.Errorf("attach responder to uplink %q: tc filter: %w", r.name, err)
	}
	return nil
}

// qdisc makes a clsact qdisc on the uplink, if it has nothing that takes filters.
func (r *Responder) qdisc() error {
	for range 2 {
		all, err := r.tc.QdiscList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: r.index}})
		if err != nil {
			return fmt.Errorf("list qdiscs: %w", err)
		}
		if slices.ContainsFunc(all, filters) {
			return nil
		}
		err = r.tc.QdiscAdd(clsact(r.index))
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EEXIST) { // Somebody else may have made one at this moment.
			return fmt.Errorf("add clsact qdisc: %w", err)
		}
	}
	return nil
}

// filters reports whether ingress filters can be put on a qdisc: clsact, or the
// ingress that was before it and that some still use.
func filters(q netlink.Qdisc) bool {
	return q.Attrs().Parent == netlink.HANDLE_CLSACT && (q.Type() == "clsact" || q.Type() == "ingress")
}

func clsact(index int) netlink.Qdisc {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index,
		Handle:    netlink.MakeHandle(0xffff, 0),
		Parent:    netlink.HANDLE_CLSACT,
	}}
}

// place is where a responder is attached to a link.
func place(index int) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index,
			Parent:    netlink.HANDLE_MIN_INGRESS,
			Handle:    filterHandle,
			Priority:  filterPriority,
			Protocol:  unix.ETH_P_IPV6,
		},
		Fd:           -1,
		Name:         filterName,
		DirectAction: true,
	}
}

// find returns the responder on a link, whichever process attached it, or nil.
func find(tc *netlink.Handle, index int) (*netlink.BpfFilter, error) {
	all, err := list(tc, index, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		a := f.Attrs()
		if a.Priority != filterPriority {
			continue
		}
		if b, ok := f.(*netlink.BpfFilter); ok && a.Handle == filterHandle && a.Protocol == unix.ETH_P_IPV6 && b.Name == filterName {
			return b, nil
		}
	}
	return nil, nil
}

// list returns the filters of one direction of a link, none where there is no qdisc or no link.
func list(tc *netlink.Handle, index int, parent uint32) ([]netlink.Filter, error) {
	all, err := tc.FilterList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}, parent)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return nil, fmt.Errorf("list filters: %w", err)
	}
	return all, nil
}

// Attached reports whether this program is on the uplink. It is not after
// another process attached its own, somebody removed the filter or its qdisc,
// or the link went. It costs one request.
func (r *Responder) Attached() (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	there, err := find(r.tc, r.index)
	if err != nil {
		return false, fmt.Errorf("look for the responder on uplink %q: %w", r.name, err)
	}
	return there != nil && there.Id == r.id, nil
}

// Detach takes the program off the uplink. Where it is not attached, nothing
// changes, though another process's is.
func (r *Responder) Detach() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	there, err := find(r.tc, r.index)
	if err == nil && there != nil && there.Id == r.id {
		err = detach(r.tc, r.index)
	}
	if err != nil {
		return fmt.Errorf("detach responder from uplink %q: %w", r.name, err)
	}
	return nil
}

// Links returns the indexes of the links of the calling thread's namespace
// that a responder is on, whichever process attached it.
func Links() ([]int, error) {
	tc, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	defer tc.Close()
	qdiscs, err := tc.QdiscList(nil)
	if err != nil {
		return nil, fmt.Errorf("list qdiscs: %w", err)
	}
	var links []int
	for _, q := range qdiscs {
		index := q.Attrs().LinkIndex
		if !filters(q) {
			continue
		}
		there, err := find(tc, index)
		if err != nil {
			return nil, fmt.Errorf("look for a responder on link %d: %w", index, err)
		}
		if there != nil {
			links = append(links, index)
		}
	}
	return links, nil
}

// Detach takes whatever responder there is off the link, and the qdisc with it
// when no filter of others is there. A link that is gone or has none is no error.
func Detach(index int) error {
	tc, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	defer tc.Close()
	there, err := find(tc, index)
	if err == nil && there != nil {
		err = detach(tc, index)
	}
	if err != nil {
		return fmt.Errorf("detach responder from link %d: %w", index, err)
	}
	return nil
}

// detach removes the filter, and a clsact qdisc that has no other.
func detach(tc *netlink.Handle, index int) error {
	if err := tc.FilterDel(place(index)); err != nil && !gone(err) {
		return fmt.Errorf("remove filter: %w", err)
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		others, err := list(tc, index, parent)
		if err != nil || len(others) > 0 {
			return err
		}
	}
	qdiscs, err := tc.QdiscList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}})
	if err != nil {
		return fmt.Errorf("list qdiscs: %w", err)
	}
	for _, q := range qdiscs {
		if q.Type() != "clsact" {
			continue
		}
		if err := tc.QdiscDel(clsact(index)); err != nil && !gone(err) {
			return fmt.Errorf("remove clsact qdisc: %w", err)
		}
	}
	return nil
}

// gone reports whether err says that what to remove is not there, nor perhaps its link.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL)
}
