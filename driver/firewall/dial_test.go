package firewall_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dialer opens the socket at once, in the namespace of the thread, and
// connects it when it is called. net.Dialer would do both on a thread of its own.
func dialer(to netip.AddrPort) (func(time.Duration) string, error) {
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Connect(fd, sockaddr(to))
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return nil, errors.Join(err, unix.Close(fd))
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
