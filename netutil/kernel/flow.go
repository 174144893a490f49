package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Of linux/netfilter/nfnetlink_conntrack.h.
const (
	ctGet    = 1
	ctDelete = 2

	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaTupleIP    = 1
	ctaIPv4Source = 1
	ctaIPv6Source = 3

	sizeofNfgenmsg = 4
)

// flows are the kernel's conntrack entries. Its own filter by address cannot
// be used: for IPv6 it picks the entries of all other addresses (seen on Linux
// 6.18). So they are read, at once for all that wait meanwhile.
type flows struct {
	socket *socket

	running sync.Mutex // held while entries are read and removed

	mu   sync.Mutex
	next *forgetting // what the next reading is for; nil when nobody waits
}

// A forgetting is one reading of the entries for several callers.
type forgetting struct {
	addrs map[netip.Addr]bool
	begun bool
	err   error
}

func openFlows() (*flows, error) {
	s, err := openSocket(unix.NETLINK_NETFILTER, receiveSize)
	return &flows{socket: s}, err
}

func (f *flows) close() error {
	if f == nil {
		return nil
	}
	return f.socket.close()
}

// ForgetFlows removes the conntrack entries of all flows that one of these
// addresses began or answers, so that none goes on to the next owner of the
// address, nor when a port is not published any more. It succeeds if there
// are none.
func (c *Conn) ForgetFlows(addrs ...netip.Addr) error {
	f := c.flows
	f.mu.Lock()
	if f.next == nil {
		f.next = &forgetting{addrs: make(map[netip.Addr]bool)}
	}
	mine := f.next
	for _, a := range addrs {
		mine.addrs[a] = true
	}
	f.mu.Unlock()

	f.running.Lock()
	defer f.running.Unlock()
	if !mine.begun {
		f.mu.Lock()
		f.next = nil
		f.mu.Unlock()
		mine.begun = true
		mine.err = f.forget(mine.addrs)
	}
	if mine.err != nil {
		return fmt.Errorf("forget flows of %v: %w", addrs, mine.err)
	}
	return nil
}

func (f *flows) forget(addrs map[netip.Addr]bool) error {
	var errs []error
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		tuples, err := f.tuples(family, func(source netip.Addr) bool { return addrs[source] })
		errs = append(errs, err)
		for _, t := range tuples {
			req := flowRequest(ctDelete, family)
			req.AddData(nl.NewRtAttr(ctaTupleOrig|unix.NLA_F_NESTED, t))
			if err := f.socket.execute(req); err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// tuples returns the original direction's tuple of every flow of a family that
// has a wanted address as source of either direction. A flow that was
// redirected to an address has it as source of its replies only.
func (f *flows) tuples(family uint8, wanted func(source netip.Addr) bool) (tuples [][]byte, err error) {
	reset := func() { tuples = nil }
	err = f.socket.dump(flowRequest(ctGet, family), reset, func(r reply) {
		var original []byte
		found := false
		for typ, v := range attributes(r.data[min(sizeofNfgenmsg, len(r.data)):]) {
			if typ == ctaTupleOrig {
				original = v
			}
			if typ == ctaTupleOrig || typ == ctaTupleReply {
				found = found || wanted(tupleSource(v))
			}
		}
		if found && original != nil {
			tuples = append(tuples, bytes.Clone(original))
		}
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return nil, nil // a kernel without conntrack for the family has no entries
	}
	return tuples, err
}

func flowRequest(message int, family uint8) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|message, 0)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family, Version: nl.NFNETLINK_V0})
	return req
}

// tupleSource returns the source address of a tuple, the zero Addr if it has none.
func tupleSource(tuple []byte) netip.Addr {
	for typ, ip := range attributes(tuple) {
		if typ != ctaTupleIP {
			continue
		}
		for typ, v := range attributes(ip) {
			if typ == ctaIPv4Source || typ == ctaIPv6Source {
				addr, _ := netip.AddrFromSlice(v)
				return addr
			}
		}
	}
	return netip.Addr{}
}
