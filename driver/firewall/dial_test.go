package firewall_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// startStream starts a TCP connection in the namespace of the thread.
// net.Dialer would do that on a thread of its own.
func startStream(to netip.AddrPort) (fd int, err error) {
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// streamTo returns a connection that was made.
func streamTo(to netip.AddrPort) (*os.File, error) {
	fd, err := startStream(to)
	if err != nil {
		return nil, err
	}
	if !connected(fd, generous) {
		return nil, errors.Join(os.ErrDeadlineExceeded, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "tcp"), nil
}

// dialer starts a connection and returns what waits for it and an answer.
func dialer(to netip.AddrPort) (func(time.Duration) string, error) {
	fd, err := startStream(to)
	if err != nil {
		return nil, err
	}
	return func(patience time.Duration) string {
		file := os.NewFile(uintptr(fd), "tcp")
		defer file.Close()
		if !connected(fd, patience) {
			return ""
		}
		conn, err := net.FileConn(file)
		if err != nil {
			return ""
		}
		defer conn.Close()
		return readAnswer(conn, patience)
	}, nil
}

func sockaddr(to netip.AddrPort) unix.Sockaddr {
	if to.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
}

// connected waits until a connection is made or refused.
func connected(fd int, patience time.Duration) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, err := unix.Poll(fds, 100); err != nil && !errors.Is(err, unix.EINTR) {
			return false
		} else if n > 0 {
			value, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			return err == nil && value == 0
		}
	}
	return false
}
