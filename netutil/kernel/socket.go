package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// receiveSize holds the largest answer: the kernel fills at most 32 KiB of a dump at once.
	receiveSize = 64 << 10
	// answerSeconds ends the wait for a kernel that does not answer.
	answerSeconds = 30
	// dumpAttempts bounds the repeats of a dump whose table changes under it.
	dumpAttempts = 20
)

var (
	errInterrupted = errors.New("the table changed at every attempt to read it")
	errClosed      = os.ErrClosed
)

// A socket sends requests to the kernel and waits for the answers.
type socket struct {
	pid uint32

	mu  sync.Mutex // one exchange at a time; held until the kernel has answered
	fd  int        // -1 when closed
	seq uint32
	buf []byte
}

// openSocket opens a socket of a netlink protocol whose buffer holds answers of that many bytes.
func openSocket(protocol, size int) (*socket, error) {
	fd, pid, err := openNetlink(protocol, unix.SOCK_CLOEXEC)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		// Strict checks make the kernel filter dumps, and refuse what it does not understand.
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerSeconds}),
	)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &socket{fd: fd, pid: pid, buf: make([]byte, size)}, nil
}

// openNetlink opens a netlink socket and returns its port id, by which the
// kernel marks the notifications that the socket's requests cause.
func openNetlink(protocol, flags int) (fd int, pid uint32, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|flags, protocol)
	if err != nil {
		return -1, 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return -1, 0, errors.Join(err, unix.Close(fd))
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		return -1, 0, errors.Join(err, unix.Close(fd))
	}
	return fd, addr.(*unix.SockaddrNetlink).Pid, nil
}

// close closes the socket, if it was ever opened.
func (s *socket) close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil
	}
	err := unix.Close(s.fd)
	s.fd = -1
	return err
}

func (s *socket) ioctl(request uint, ifr *unix.Ifreq) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return errClosed
	}
	return unix.IoctlIfreq(s.fd, request, ifr)
}

// A reply is one message of the kernel. Its data is valid until the next one.
type reply struct {
	typ   uint16
	flags uint16
	pid   uint32
	seq   uint32
	data  []byte
}

// execute sends one request and returns what the kernel says of it.
func (s *socket) execute(req *nl.NetlinkRequest) error {
	req.Flags |= unix.NLM_F_ACK
	return s.exchange(ignore, req)[0]
}

// batch sends requests that the kernel handles in order in one system call,
// so that no kill of the process comes between them. A request is handled
// even when one before it was refused. There is one error for each.
func (s *socket) batch(reqs ...*nl.NetlinkRequest) []error {
	for _, req := range reqs {
		req.Flags |= unix.NLM_F_ACK
	}
	return s.exchange(ignore, reqs...)
}

// get sends one request that has one message for its answer.
func (s *socket) get(req *nl.NetlinkRequest, fn func(reply)) error {
	req.Flags |= unix.NLM_F_ACK
	return s.exchange(fn, req)[0]
}

// dump reads a table and calls fn for each of its messages. A dump that was
// interrupted is repeated from the start, after a call of reset.
func (s *socket) dump(req *nl.NetlinkRequest, reset func(), fn func(reply)) error {
	req.Flags |= unix.NLM_F_DUMP
	for range dumpAttempts {
		reset()
		interrupted := false
		err := s.exchange(func(r reply) {
			interrupted = interrupted || r.flags&unix.NLM_F_DUMP_INTR != 0
			fn(r)
		}, req)[0]
		if err != nil || !interrupted {
			return err
		}
	}
	return errInterrupted
}

func ignore(reply) {}

// exchange sends requests in one datagram and reads until each is answered.
func (s *socket) exchange(fn func(reply), reqs ...*nl.NetlinkRequest) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make([]error, len(reqs))
	if s.fd < 0 {
		return fill(errs, errClosed)
	}
	first := s.seq + 1
	var out []byte
	for _, req := range reqs {
		s.seq++
		req.Seq = s.seq
		out = append(out, align(req.Serialize())...)
	}
	if err := unix.Sendto(s.fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fill(errs, fmt.Errorf("send to the kernel: %w", err))
	}
	for pending := len(reqs); pending > 0; {
		n, from, err := unix.Recvfrom(s.fd, s.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fill(errs, fmt.Errorf("receive from the kernel: %w", err))
		}
		if a, ok := from.(*unix.SockaddrNetlink); !ok || a.Pid != 0 {
			continue // Any process may send to a netlink socket; only the kernel has port 0.
		}
		for r := range replies(s.buf[:n]) {
			i := int(r.seq - first)
			if r.pid != s.pid || i < 0 || i >= len(reqs) {
				continue // The late answer to an exchange that was given up.
			}
			if r.flags&unix.NLM_F_DUMP_INTR != 0 && r.typ == unix.NLMSG_DONE {
				fn(reply{typ: r.typ, flags: r.flags})
			}
			switch r.typ {
			case unix.NLMSG_ERROR, unix.NLMSG_DONE:
				errs[i] = answer(r)
				pending--
			default:
				fn(r)
			}
		}
	}
	return errs
}

// fill sets every one of errs to err.
func fill(errs []error, err error) []error {
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// replies splits a datagram into messages.
func replies(b []byte) iter.Seq[reply] {
	return func(yield func(reply) bool) {
		for len(b) >= unix.SizeofNlMsghdr {
			n := int(binary.NativeEndian.Uint32(b))
			if n < unix.SizeofNlMsghdr || n > len(b) {
				return
			}
			r := reply{
				typ:   binary.NativeEndian.Uint16(b[4:]),
				flags: binary.NativeEndian.Uint16(b[6:]),
				seq:   binary.NativeEndian.Uint32(b[8:]),
				pid:   binary.NativeEndian.Uint32(b[12:]),
				data:  b[unix.SizeofNlMsghdr:n],
			}
			if !yield(r) {
				return
			}
			b = b[min(aligned(n), len(b)):]
		}
	}
}

// answer returns the error that an NLMSG_ERROR or NLMSG_DONE carries, with the
// kernel's own words where it has some.
func answer(r reply) error {
	if len(r.data) < 4 {
		return nil
	}
	code := int32(binary.NativeEndian.Uint32(r.data))
	if code == 0 {
		return nil
	}
	err := unix.Errno(-code)
	if r.flags&unix.NLM_F_ACK_TLVS == 0 {
		return err
	}
	// The words follow the header of the request, which NETLINK_CAP_ACK reduces to its first bytes.
	words := 4
	if r.typ == unix.NLMSG_ERROR {
		words += unix.SizeofNlMsghdr
		if r.flags&unix.NLM_F_CAPPED == 0 && len(r.data) >= 8 {
			words = 4 + aligned(int(binary.NativeEndian.Uint32(r.data[4:])))
		}
	}
	if words > len(r.data) {
		return err
	}
	for typ, v := range attributes(r.data[words:]) {
		if typ == unix.NLMSGERR_ATTR_MSG {
			return fmt.Errorf("%w: %s", err, unix.ByteSliceToString(v))
		}
	}
	return err
}

// attributes yields the type, without its flags, and the value of each attribute of b.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			n := int(binary.NativeEndian.Uint16(b))
			if n < unix.SizeofRtAttr || n > len(b) {
				return
			}
			typ := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if !yield(typ, b[unix.SizeofRtAttr:n]) {
				return
			}
			b = b[min(aligned(n), len(b)):]
		}
	}
}

// number returns the value of an attribute that holds an unsigned number of one, two or four octets.
func number(v []byte) int {
	switch len(v) {
	case 1:
		return int(v[0])
	case 2:
		return int(binary.NativeEndian.Uint16(v))
	case 4:
		return int(binary.NativeEndian.Uint32(v))
	}
	return 0
}

func aligned(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// align pads b so that another message can follow.
func align(b []byte) []byte {
	return append(b, make([]byte, aligned(len(b))-len(b))...)
}
