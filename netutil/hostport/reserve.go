package hostport

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Where neither the caller nor the kernel names a range, Docker takes these.
const (
	defaultFirst = 49153
	defaultLast  = 65535
)

var (
	// ErrInUse says that somebody else has the port.
	ErrInUse = errors.New("port is already allocated")
	// ErrNoSCTP says that the kernel has no SCTP sockets, so that SCTP ports
	// can not be held. They can be translated all the same.
	ErrNoSCTP = errors.New("the kernel has no SCTP sockets: load the module sctp")
)

// A BindError says which port could not be had, in Docker's words.
type BindError struct {
	Proto       uint8
	Addr        netip.Addr
	First, Last uint16 // the range that was tried
	// Err is why: ErrInUse, ErrNoSCTP or what the kernel said of the last port.
	Err error
}

// Error is Docker's text, and what to do.
func (e *BindError) Error() string {
	port := netip.AddrPortFrom(e.Addr, e.First).String()
	if e.Last != e.First {
		port += fmt.Sprintf("-%d", e.Last)
	}
	text := fmt.Sprintf("Bind for %s failed: ", port)
	switch {
	case errors.Is(e.Err, ErrInUse) && e.First != e.Last:
		return text + "all ports are allocated: publish another range of host ports with -p"
	case errors.Is(e.Err, ErrInUse):
		list := map[uint8]string{TCP: "ss -ltnp", UDP: "ss -lunp", SCTP: "ss -lSnp"}[e.Proto]
		return fmt.Sprintf("%s%v: stop what has it (%s sport = :%d, docker ps), or publish another host port with -p",
			text, ErrInUse, list, e.First)
	case errors.Is(e.Err, unix.EADDRNOTAVAIL):
		return text + "the host has no such address, or not yet: publish at one that ip addr shows, or at none with -p HOST-PORT:PORT"
	case errors.Is(e.Err, unix.EACCES), errors.Is(e.Err, unix.EPERM):
		return text + "not permitted: give the process CAP_NET_BIND_SERVICE, or publish a host port from 1024"
	}
	return text + e.Err.Error()
}

// Unwrap returns Err.
func (e *BindError) Unwrap() error { return e.Err }

// Reserve holds one port on all of addrs: the first from first to last that
// all of them have free. 0 and 0 leave the choice to the host's range of
// ephemeral ports. It holds all or nothing; an error is a *BindError where a
// port could not be had. There is one Port for each of addrs, in their order,
// and the caller closes them.
func (h *Host) Reserve(proto uint8, addrs []netip.Addr, first, last uint16) (ports []*Port, err error) {
	if len(addrs) == 0 || slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !a.IsValid() || a.Is4In6() }) {
		return nil, fmt.Errorf("reserve a port at %v: not addresses of a host", addrs)
	}
	if (first == 0) != (last == 0) || first > last {
		return nil, fmt.Errorf("reserve a port from %d to %d: not a range", first, last)
	}
	err = h.do(func() error {
		ports, err = h.reserve(proto, addrs, first, last)
		return err
	})
	return ports, err
}

func (h *Host) reserve(proto uint8, addrs []netip.Addr, first, last uint16) ([]*Port, error) {
	candidates := ascending(first, last)
	ephemeral := first == 0
	if ephemeral {
		first, last = ephemeralRange()
		candidates = h.ephemeral(first, last)
	}
	failure := &BindError{Proto: proto, Addr: addrs[0], First: first, Last: last, Err: ErrInUse}
	for port := range candidates {
		ports, at, err := h.bindAll(proto, addrs, port)
		if err == nil {
			if ephemeral {
				h.mu.Lock()
				h.last = port
				h.mu.Unlock()
			}
			return ports, nil
		}
		failure.Addr = at
		if errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		// Another port of the range would fare no better.
		failure.First, failure.Last, failure.Err = port, port, err
		return nil, failure
	}
	return nil, failure
}

// bindAll binds a port on all addresses, or says at which it could not.
func (h *Host) bindAll(proto uint8, addrs []netip.Addr, port uint16) (ports []*Port, at netip.Addr, err error) {
	for _, a := range addrs {
		p, err := h.bind(proto, netip.AddrPortFrom(a, port))
		if err != nil {
			for _, p := range ports {
				err = errors.Join(err, p.Close())
			}
			return nil, a, err
		}
		ports = append(ports, p)
	}
	return ports, netip.Addr{}, nil
}

func ascending(first, last uint16) iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for port := int(first); port <= int(last); port++ {
			if !yield(uint16(port)) {
				return
			}
		}
	}
}

// ephemeral yields the ports of a range once, starting after the one that was
// had last: a port that was just given back may still have clients.
func (h *Host) ephemeral(first, last uint16) iter.Seq[uint16] {
	h.mu.Lock()
	next := int(h.last) + 1
	h.mu.Unlock()
	if next < int(first) || next > int(last) {
		next = int(first)
	}
	list, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports") // Without it nothing is kept out.
	kept := parsePorts(string(list))
	return func(yield func(uint16) bool) {
		for i := range int(last) - int(first) + 1 {
			port := next + i
			if port > int(last) {
				port -= int(last) - int(first) + 1
			}
			if !inAny(kept, port) && !yield(uint16(port)) {
				return
			}
		}
	}
}

// ephemeralRange is the kernel's for outgoing connections, as in Docker.
func ephemeralRange() (first, last uint16) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return defaultFirst, defaultLast
	}
	if _, err := fmt.Sscan(string(b), &first, &last); err != nil || first == 0 || first > last {
		return defaultFirst, defaultLast
	}
	return first, last
}

// parsePorts reads the kernel's list of ports that nobody gets unasked, such
// as "8080,9000-9100". What it does not understand it leaves out.
func parsePorts(list string) (ranges [][2]int) {
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		a, b, isRange := strings.Cut(part, "-")
		if !isRange {
			b = a
		}
		first, err1 := strconv.Atoi(a)
		last, err2 := strconv.Atoi(b)
		if err1 == nil && err2 == nil {
			ranges = append(ranges, [2]int{first, last})
		}
	}
	return ranges
}

func inAny(ranges [][2]int, port int) bool {
	return slices.ContainsFunc(ranges, func(r [2]int) bool { return r[0] <= port && port <= r[1] })
}
