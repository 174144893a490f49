// Package tc puts eBPF programs at the ingress of links, as filters of a clsact
// qdisc. A program that is attached stays, and works, while the process that
// attached it is dead; the next one attaches its own in its place in one step.
package tc

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Slot is where a program is on every link that it is on. Programs of one
// slot replace each other.
type Slot struct {
	Name     string
	Priority uint16 // those with a lower one see a packet first
	Handle   uint32
}

// Conn is a socket of the namespace that it was opened in. Its methods may not
// be called at the same time.
type Conn struct {
	handle *netlink.Handle
	slot   Slot
}

// Open opens the socket, for one slot. The caller closes it.
func Open(s Slot) (*Conn, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return &Conn{handle: h, slot: s}, nil
}

// Close closes the socket.
func (c *Conn) Close() { c.handle.Close() }

// A Program is one that is loaded, and the id that the kernel gave it.
type Program struct {
	*ebpf.Program

	id int
}

// Loaded is p with its id.
func Loaded(p *ebpf.Program) (Program, error) {
	info, err := p.Info()
	if err != nil {
		return Program{}, fmt.Errorf("ask for the id of a program: %w", err)
	}
	id, _ := info.ID() // There is one since Linux 4.13.
	return Program{p, int(id)}, nil
}

// Attach puts p on a link, in place of what is in the slot: no packet passes
// between them. It makes a clsact qdisc where the link has none; filters of
// others stay, and see what the program leaves to them. Where p is attached
// already it changes nothing.
func (c *Conn) Attach(index int, p Program) error {
	there, err := c.find(index)
	switch {
	case err != nil:
		return err
	case there != nil && there.Id == p.id:
		return nil
	}
	if err := c.qdisc(index); err != nil {
		return err
	}
	f := c.place(index)
	f.Fd = p.FD()
	if err := c.handle.FilterReplace(f); err != nil {
		return fmt.Errorf("tc filter: %w", err)
	}
	return nil
}

// qdisc makes a clsact qdisc on a link, if it has nothing that takes filters.
func (c *Conn) qdisc(index int) error {
	for range 2 {
		all, err := c.qdiscs(index)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, filters) {
			return nil
		}
		err = c.handle.QdiscAdd(clsact(index))
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EEXIST) { // Somebody else may have made one at this moment.
			return fmt.Errorf("add clsact qdisc: %w", err)
		}
	}
	return nil
}

func (c *Conn) qdiscs(index int) ([]netlink.Qdisc, error) {
	all, err := c.handle.QdiscList(device(index))
	if err != nil {
		return nil, fmt.Errorf("list qdiscs: %w", err)
	}
	return all, nil
}

func device(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
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

// place is the slot on a link.
func (c *Conn) place(index int) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index,
			Parent:    netlink.HANDLE_MIN_INGRESS,
			Handle:    c.slot.Handle,
			Priority:  c.slot.Priority,
			Protocol:  unix.ETH_P_IPV6,
		},
		Fd:           -1,
		Name:         c.slot.Name,
		DirectAction: true,
	}
}

// find returns what is in the slot of a link, whichever process attached it, or nil.
func (c *Conn) find(index int) (*netlink.BpfFilter, error) {
	all, err := c.list(index, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		a := f.Attrs()
		if a.Priority != c.slot.Priority {
			continue
		}
		if b, ok := f.(*netlink.BpfFilter); ok && a.Handle == c.slot.Handle && a.Protocol == unix.ETH_P_IPV6 && b.Name == c.slot.Name {
			return b, nil
		}
	}
	return nil, nil
}

// list returns the filters of one direction of a link, none where there is no qdisc or no link.
func (c *Conn) list(index int, parent uint32) ([]netlink.Filter, error) {
	all, err := c.handle.FilterList(device(index), parent)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return nil, fmt.Errorf("list filters: %w", err)
	}
	return all, nil
}

// Attached reports whether p is on a link. It is not after another program was
// attached in its place, somebody removed the filter or its qdisc, or the link
// went. It costs one request.
func (c *Conn) Attached(index int, p Program) (bool, error) {
	there, err := c.find(index)
	return err == nil && there != nil && there.Id == p.id, err
}

// Links returns the indexes of the links whose slot has a program, whichever
// process attached it.
func (c *Conn) Links() ([]int, error) {
	qdiscs, err := c.handle.QdiscList(nil)
	if err != nil {
		return nil, fmt.Errorf("list qdiscs: %w", err)
	}
	var links []int
	for _, q := range qdiscs {
		if !filters(q) {
			continue
		}
		index := q.Attrs().LinkIndex
		there, err := c.find(index)
		if err != nil {
			return nil, fmt.Errorf("link %d: %w", index, err)
		}
		if there != nil {
			links = append(links, index)
		}
	}
	return links, nil
}

// Detach takes what is in the slot off a link, and the qdisc with it when no
// filter of others is there. A link that is gone or has none is no error.
func (c *Conn) Detach(index int) error {
	there, err := c.find(index)
	if err != nil || there == nil {
		return err
	}
	if err := c.handle.FilterDel(c.place(index)); err != nil && !gone(err) {
		return fmt.Errorf("remove filter: %w", err)
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		others, err := c.list(index, parent)
		if err != nil || len(others) > 0 {
			return err
		}
	}
	qdiscs, err := c.qdiscs(index)
	if err != nil {
		return err
	}
	for _, q := range qdiscs {
		if q.Type() != "clsact" {
			continue
		}
		if err := c.handle.QdiscDel(clsact(index)); err != nil && !gone(err) {
			return fmt.Errorf("remove clsact qdisc: %w", err)
		}
	}
	return nil
}

// Links is that of a Conn in the calling thread's namespace.
func (s Slot) Links() (links []int, err error) {
	c, err := Open(s)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Links()
}

// Detach is that of a Conn in the calling thread's namespace.
func (s Slot) Detach(index int) error {
	c, err := Open(s)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Detach(index)
}

// gone reports whether err says that what to remove is not there, nor perhaps its link.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL)
}
