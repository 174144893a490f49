package nft

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// buffer holds the largest transaction, all of a host's endpoints, and
// what is to be read at once.
const buffer = 64 << 20

// socket is a netlink socket on which the kernel has answered a request when
// the request was sent: netfilter works in the sender's call.
type socket struct {
	fd   int
	port uint32 // netlink's name for the socket, the sender in what it causes
	seq  uint32
	in   []byte
}

func openSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, fmt.Errorf("%w: %w", ErrNoNftables, os.NewSyscallError("socket", err))
	}
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd, in: make([]byte, 64<<10)}
	if err := s.setUp(); err != nil {
		unix.Close(fd) //nolint:gosec // the first error is the one to report.
		return nil, err
	}
	return s, nil
}

func (s *socket) setUp() error {
	if err := unix.Bind(s.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	name, err := unix.Getsockname(s.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	n, ok := name.(*unix.SockaddrNetlink)
	if !ok {
		return fmt.Errorf("socket name is a %T", name)
	}
	s.port = n.Pid
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, buffer},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer},
		{unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1}, // errors without the request
	} {
		if err := unix.SetsockoptInt(s.fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

func (s *socket) close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }

// send sends messages to the kernel, which handles them before send returns.
func (s *socket) send(b []byte) error {
	for {
		err := unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("send", err)
		}
	}
}

// receive returns what one answer holds, valid until the next call. The error
// is EAGAIN when there is none.
func (s *socket) receive() ([]byte, error) {
	for {
		n, _, flags, _, err := unix.Recvmsg(s.fd, s.in, nil, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, err
		case flags&unix.MSG_TRUNC != 0:
			return nil, errShort
		default:
			return s.in[:n], nil
		}
	}
}

// drop reads away what nobody waited for.
func (s *socket) drop() {
	for {
		if _, err := s.receive(); errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EBADF) {
			return
		}
	}
}

// request sends one request and calls fn with each answer: the attributes.
// The error is EINTR where a dump changed under the kernel's hands.
func (s *socket) request(msg, flags uint16, family byte, fill func(*encoder), fn func(kind uint16, attrs []byte) error) error {
	s.drop()
	s.seq++
	var e encoder
	start := e.begin(unix.NFNL_SUBSYS_NFTABLES<<8|msg, flags, s.seq, family, 0)
	if fill != nil {
		fill(&e)
	}
	e.end(start)
	if err := s.send(e.b); err != nil {
		return err
	}
	var result error
	for {
		b, err := s.receive()
		if errors.Is(err, unix.EAGAIN) {
			if flags&unix.NLM_F_DUMP != 0 {
				return errors.Join(result, errShort)
			}
			return result
		}
		if err != nil {
			return os.NewSyscallError("receive", err)
		}
		for m, err := range messages(b) {
			switch {
			case err != nil:
				return err
			case m.seq != s.seq:
			case m.kind == unix.NLMSG_DONE:
				return errors.Join(result, m.errno())
			case m.kind == unix.NLMSG_ERROR:
				return errors.Join(result, m.errno())
			case len(m.data) < nfgenSize:
				return errShort
			default:
				if m.flags&unix.NLM_F_DUMP_INTR != 0 {
					result = unix.EINTR
				}
				if result == nil {
					result = fn(m.kind, m.data[nfgenSize:])
				}
			}
		}
	}
}
