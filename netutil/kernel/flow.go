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

	ctaIPv4Source      = 1
	ctaIPv4Destination = 2
	ctaIPv6Source      = 3
	ctaIPv6Destination = 4

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
	sources      map[netip.Addr]bool
	destinations map[netip.Prefix]bool
	begun        bool
	err          error
}

// wants reports whether a flow is to be forgotten that has this tuple in
// either direction.
func (f *forgetting) wants(source, destination netip.Addr) bool {
	if f.sources[source] {
		return true
	}
	for p := range f.destinations {
		if p.Contains(destination) {
			return true
		}
	}
	return false
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
	err := c.flows.forget(func(f *forgetting) {
		for _, a := range addrs {
			f.sources[a] = true
		}
	})
	if err != nil {
		return fmt.Errorf("forget flows of %v: %w", addrs, err)
	}
	return nil
}

// ForgetFlowsTo removes the conntrack entries of all flows that were sent to
// an address of these prefixes or get their answers there, so that what was
// translated to a prefix that is gone ends. It succeeds if there are none.
func (c *Conn) ForgetFlowsTo(prefixes ...netip.Prefix) error {
	err := c.flows.forget(func(f *forgetting) {
		for _, p := range prefixes {
			f.destinations[p.Masked()] = true
		}
	})
	if err != nil {
		return fmt.Errorf("forget flows to %v: %w", prefixes, err)
	}
	return nil
}

// forget takes part in the next reading of the entries, and waits for it.
func (f *flows) forget(join func(*forgetting)) error {
	f.mu.Lock()
	if f.next == nil {
		f.next = &forgetting{sources: make(map[netip.Addr]bool), destinations: make(map[netip.Prefix]bool)}
	}
	mine := f.next
	join(mine)
	f.mu.Unlock()

	f.running.Lock()
	defer f.running.Unlock()
	if !mine.begun {
		f.mu.Lock()
		f.next = nil
		f.mu.Unlock()
		mine.begun = true
		mine.err = f.remove(mine)
	}
	return mine.err
}

func (f *flows) remove(unwanted *forgetting) error {
	found, err := f.find(unwanted.wants)
	errs := []error{err}
	for _, one := range found {
		req := flowRequest(ctDelete, one.family)
		req.AddData(nl.NewRtAttr(ctaTupleOrig|unix.NLA_F_NESTED, one.tuple))
		if err := f.socket.execute(req); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// A flow is known by the tuple of its original direction.
type flow struct {
	family uint8
	tuple  []byte
}

// find returns every flow that is wanted for the addresses of either direction.
// A flow that was redirected to an address has it as source of its replies
// only. Both families are read at once: the kernel takes 10 ms to walk its
// table, however few entries are in it.
func (f *flows) find(wanted func(source, destination netip.Addr) bool) (found []flow, err error) {
	reset := func() { found = nil }
	err = f.socket.dump(flowRequest(ctGet, unix.AF_UNSPEC), reset, func(r reply) {
		if len(r.data) < sizeofNfgenmsg {
			return
		}
		var original []byte
		is := false
		for typ, v := range attributes(r.data[sizeofNfgenmsg:]) {
			if typ == ctaTupleOrig {
				original = v
			}
			if typ == ctaTupleOrig || typ == ctaTupleReply {
				is = is || wanted(tupleAddrs(v))
			}
		}
		if is && original != nil {
			found = append(found, flow{family: r.data[0], tuple: bytes.Clone(original)})
		}
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return nil, nil // a kernel without conntrack has no entries
	}
	return found, err
}

func flowRequest(message int, family uint8) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|message, 0)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family, Version: nl.NFNETLINK_V0})
	return req
}

// tupleAddrs returns the addresses of a tuple, zero Addrs if it has none.
func tupleAddrs(tuple []byte) (source, destination netip.Addr) {
	for typ, ip := range attributes(tuple) {
		if typ != ctaTupleIP {
			continue
		}
		for typ, v := range attributes(ip) {
			switch typ {
			case ctaIPv4Source, ctaIPv6Source:
				source, _ = netip.AddrFromSlice(v)
			case ctaIPv4Destination, ctaIPv6Destination:
				destination, _ = netip.AddrFromSlice(v)
			}
		}
	}
	return source, destination
}
