package load

import (
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix" //nolint:depguard // The load itself is system calls.
)

// Sizes of what is sent.
const (
	messageSize = 64
	streamSize  = 128 << 10 // of each write of a stream
	batchSize   = 64        // datagrams in one system call
)

// patience is for how many seconds a process waits for the other end.
const patience = 5

// socket is a blocking socket. Its calls hide nothing from the kernel and
// everything from the Go runtime: the process has one goroutine that matters.
type socket int

// listen opens a socket that serves Port at all addresses.
func listen(kind int) (socket, error) {
	fd, err := unix.Socket(unix.AF_INET6, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	s := socket(fd)
	for _, set := range []func() error{
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) },
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20) },
		s.impatient,
		func() error { return unix.Bind(fd, &unix.SockaddrInet6{Port: Port}) },
	} {
		if err := set(); err != nil {
			return 0, fmt.Errorf("listen: %w", err)
		}
	}
	if kind == unix.SOCK_STREAM {
		err = unix.Listen(fd, 16)
	}
	return s, os.NewSyscallError("listen", err)
}

// dial connects a new socket.
func dial(kind int, target unix.Sockaddr) (socket, error) {
	fd, err := unix.Socket(unix.AF_INET6, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	s := socket(fd)
	if err := s.impatient(); err != nil {
		s.close()
		return 0, err
	}
	if err := unix.Connect(fd, target); err != nil {
		s.close()
		return 0, os.NewSyscallError("connect", err)
	}
	return s, nil
}

func sockaddr(target netip.AddrPort) unix.Sockaddr {
	return &unix.SockaddrInet6{Addr: target.Addr().As16(), Port: int(target.Port())}
}

// impatient makes calls end when nothing comes or goes.
func (s socket) impatient() error {
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(int(s), unix.SOL_SOCKET, option, &unix.Timeval{Sec: patience}); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// atOnce sends small messages without waiting for more.
func (s socket) atOnce() error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(s), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
}

// cubic has a stream sent as fast as both ends can.
func (s socket) cubic() error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptString(int(s), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic"))
}

func (s socket) accept() (socket, error) {
	for {
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(s), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, os.NewSyscallError("accept", errno)
		}
		return socket(fd), nil
	}
}

func (s socket) close() { unix.RawSyscall(unix.SYS_CLOSE, uintptr(s), 0, 0) } //nolint:errcheck // nothing depends on it.

func (s socket) read(b []byte) (int, error)  { return s.call(unix.SYS_READ, "read", b) }
func (s socket) write(b []byte) (int, error) { return s.call(unix.SYS_WRITE, "write", b) }

func (s socket) call(trap uintptr, name string, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(trap, uintptr(s), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, os.NewSyscallError(name, errno)
		}
		return int(n), nil
	}
}

// batch is many datagrams of one system call.
type batch struct {
	messages [batchSize]mmsghdr
	vectors  [batchSize]unix.Iovec
	buffers  [batchSize][messageSize]byte
}

// mmsghdr is the kernel's struct of that name.
type mmsghdr struct {
	header unix.Msghdr
	_      uint32 // how much came
}

func newBatch() *batch {
	b := new(batch)
	for i := range b.messages {
		b.vectors[i].Base = &b.buffers[i][0]
		b.vectors[i].SetLen(messageSize)
		b.messages[i].header.Iov = &b.vectors[i]
		b.messages[i].header.SetIovlen(1)
	}
	return b
}

// send and receive return how many datagrams went or came.
func (b *batch) send(s socket) (int, error) { return b.call(unix.SYS_SENDMMSG, "sendmmsg", s, 0) }

func (b *batch) receive(s socket) (int, error) {
	return b.call(unix.SYS_RECVMMSG, "recvmmsg", s, unix.MSG_WAITFORONE)
}

func (b *batch) call(trap uintptr, name string, s socket, flags uintptr) (int, error) {
	n, _, errno := unix.RawSyscall6(trap, uintptr(s), uintptr(unsafe.Pointer(&b.messages)), batchSize, flags, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	default:
		return 0, os.NewSyscallError(name, errno)
	}
}
