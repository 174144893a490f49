package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// eventBuffer holds the burst of a host that starts hundreds of containers at once.
const eventBuffer = 8 << 20

// A Kind says what an Event is about.
type Kind string

// The kinds of events.
const (
	KindLink     Kind = "link"
	KindAddress  Kind = "address"
	KindRoute    Kind = "route"
	KindNeighbor Kind = "neighbor"
	KindPrefix   Kind = "prefix"
	// KindSetting is a change of forwarding or proxy_ndp. The kernel tells of
	// no other sysctl.
	KindSetting Kind = "setting"
)

// An Event is a change that the kernel tells.
type Event struct {
	// Kind is empty if Lost.
	Kind Kind
	// Link and Index are those of the link that the event is about. Link is
	// empty if it is gone, and both are for a route without a link. A setting
	// may be that of the links "all" or "default", without an index.
	Link  string
	Index int
	// Deleted is whether the object is gone, as opposed to new or changed.
	Deleted bool
	// Now is a link as it is after the event, the zero Link where that is about
	// something else, or the link is gone.
	Now Link
	// Protocol is that of a route, a neighbor or an address.
	Protocol int
	// Addr is a neighbor's.
	Addr netip.Addr
	// Lost is whether events were lost: the caller must look at everything again.
	Lost bool
}

// groups are the notifications that Watch subscribes to.
var groups = [...]int{
	unix.RTNLGRP_LINK,
	unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
	unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
	unix.RTNLGRP_NEIGH,
	unix.RTNLGRP_IPV6_PREFIX,
	unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
}

// Listen has the next Watch tell of what changes from now on.
func (c *Conn) Listen() error {
	if err := c.events.start(); err != nil {
		return fmt.Errorf("watch the kernel: %w", err)
	}
	return nil
}

// Watch calls fn, one call at a time, for every change that can matter until
// ctx ends, and returns nil then. Only one Watch may run at a time.
//
// Left out are the changes that the kernel ascribes to this Conn's requests,
// link messages without news, routes outside the main table, and the coming
// and going of ordinary neighbors. To nobody does the kernel ascribe changes
// of a link's state, IPv6 addresses, settings and the end of a neighbor, so
// those are told also to who made them. It tells nothing of proxy entries, nor
// of sysctls other than a KindSetting's; see Proxies.
func (c *Conn) Watch(ctx context.Context, fn func(Event)) error {
	if !c.events.running.TryLock() {
		return errors.New("watch the kernel: already being watched")
	}
	defer c.events.running.Unlock()
	if err := c.Listen(); err != nil {
		return err
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = c.events.file.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-woken // Or it would wake the next Watch.
		}
	}()
	w := watcher{own: c.own, name: c.name, links: map[int]Link{}, fn: fn}
	for {
		err := c.events.receive(w.message)
		switch {
		case ctx.Err() != nil:
			return c.events.stop()
		case errors.Is(err, unix.ENOBUFS):
			clear(w.links)
			fn(Event{Lost: true})
		case err != nil:
			return fmt.Errorf("watch the kernel: %w", errors.Join(err, c.events.stop()))
		}
	}
}

// A watcher turns messages into events.
type watcher struct {
	own   func(port uint32) bool
	name  func(index int) string
	links map[int]Link // as last told, to see what is news
	fn    func(Event)
}

func (w *watcher) message(r reply) {
	e, ok := w.event(r)
	if !ok || w.own(r.pid) {
		return
	}
	if e.Link == "" && e.Index != 0 {
		e.Link = w.name(e.Index)
	}
	w.fn(e)
}

// event returns the event of a message. It is not ok if nobody needs to know.
func (w *watcher) event(r reply) (Event, bool) {
	switch r.typ {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		return w.link(r)
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		a, index, ok := parseAddress(r)
		return Event{Kind: KindAddress, Index: index, Deleted: r.typ == unix.RTM_DELADDR, Protocol: a.Protocol}, ok
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		hops := parseRoute(r)
		if len(hops) == 0 {
			return Event{}, false
		}
		h := hops[0]
		return Event{Kind: KindRoute, Index: h.index, Deleted: r.typ == unix.RTM_DELROUTE, Protocol: h.Protocol}, true
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		n, state, index, ok := parseNeighbor(r)
		// A permanent neighbor fails before it goes, so then only its protocol tells it from others.
		ok = ok && (n.Proxy || n.Protocol != 0 || state&netlink.NUD_PERMANENT != 0)
		return Event{Kind: KindNeighbor, Index: index, Deleted: r.typ == unix.RTM_DELNEIGH, Protocol: n.Protocol, Addr: n.Addr}, ok
	case unix.RTM_NEWPREFIX:
		// struct prefixmsg of linux/rtnetlink.h.
		if len(r.data) < 12 {
			return Event{}, false
		}
		return Event{Kind: KindPrefix, Index: number(r.data[4:8])}, true
	case unix.RTM_NEWNETCONF:
		return w.setting(r)
	}
	return Event{}, false
}

func (w *watcher) link(r reply) (Event, bool) {
	l, master, ok := parseLink(r)
	if !ok {
		return Event{}, false
	}
	e := Event{Kind: KindLink, Link: l.Name, Index: l.Index, Deleted: r.typ == unix.RTM_DELLINK}
	if e.Deleted {
		delete(w.links, l.Index)
		return e, true
	}
	if master != 0 {
		l.Master = w.name(master)
	}
	news := w.links[l.Index] != l
	w.links[l.Index], e.Now = l, l
	return e, news
}

// Of linux/netconf.h; x/sys does not have them.
const (
	sizeofNetconfmsg   = 1
	netconfaIfindex    = 1
	netconfaForwarding = 2
	netconfaProxyNeigh = 5
	netconfAll         = -1
	netconfDefault     = -2
)

func (w *watcher) setting(r reply) (Event, bool) {
	if len(r.data) < aligned(sizeofNetconfmsg) {
		return Event{}, false
	}
	e := Event{Kind: KindSetting}
	count, ok := 0, false
	for typ, v := range attributes(r.data[aligned(sizeofNetconfmsg):]) {
		switch typ {
		case netconfaIfindex:
			e.Index = int(int32(number(v)))
		case netconfaForwarding, netconfaProxyNeigh:
			ok = true
			count++
		default:
			count++
		}
	}
	switch e.Index {
	case netconfAll:
		e.Link, e.Index = "all", 0
	case netconfDefault:
		e.Link, e.Index = "default", 0
	}
	// A new link's settings are told all together, and the link itself as well.
	return e, ok && count == 1
}

// A subscription is a socket that receives notifications between start and stop.
type subscription struct {
	running sync.Mutex // held by Watch
	file    *os.File
	buf     []byte
}

func openSubscription() (*subscription, error) {
	fd, _, err := openNetlink(unix.NETLINK_ROUTE, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	// Beyond net.core.rmem_max needs CAP_NET_ADMIN in the first user namespace; less does too.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, eventBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, eventBuffer)
	}
	return &subscription{file: os.NewFile(uintptr(fd), "netlink"), buf: make([]byte, receiveSize)}, nil
}

func (s *subscription) close() error {
	if s == nil {
		return nil
	}
	if err := s.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

func (s *subscription) start() error {
	return errors.Join(s.file.SetReadDeadline(time.Time{}), s.membership(unix.NETLINK_ADD_MEMBERSHIP))
}

// stop ends the membership and forgets what was not read.
func (s *subscription) stop() error {
	err := s.membership(unix.NETLINK_DROP_MEMBERSHIP)
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	if err != nil {
		return err
	}
	conn, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	return conn.Control(func(fd uintptr) {
		for {
			if _, _, err := unix.Recvfrom(int(fd), s.buf, unix.MSG_DONTWAIT); errors.Is(err, unix.EAGAIN) {
				return
			}
		}
	})
}

func (s *subscription) membership(option int) error {
	conn, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	var errs []error
	err = conn.Control(func(fd uintptr) {
		for _, g := range groups {
			errs = append(errs, unix.SetsockoptInt(int(fd), unix.SOL_NETLINK, option, g))
		}
	})
	return errors.Join(append(errs, err)...)
}

// receive waits for a datagram and calls fn for each message in it.
func (s *subscription) receive(fn func(reply)) error {
	conn, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var from unix.Sockaddr
	var received error
	err = conn.Read(func(fd uintptr) bool {
		n, from, received = unix.Recvfrom(int(fd), s.buf, 0)
		return !errors.Is(received, unix.EAGAIN) && !errors.Is(received, unix.EINTR)
	})
	if err := errors.Join(err, received); err != nil {
		return err
	}
	if a, ok := from.(*unix.SockaddrNetlink); !ok || a.Pid != 0 {
		return nil
	}
	for r := range replies(s.buf[:n]) {
		fn(r)
	}
	return nil
}
