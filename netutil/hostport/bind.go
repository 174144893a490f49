package hostport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// bind holds one port of one address, and hears nothing yet.
func (h *Host) bind(proto uint8, addr netip.AddrPort) (*Port, error) {
	p := newPort(h, proto, addr)
	var err error
	switch proto {
	case TCP:
		err = p.bindTCP()
	case UDP:
		err = p.bindUDP()
	case SCTP:
		err = p.bindSCTP()
	default:
		err = errors.New("not a protocol that has ports: use tcp, udp or sctp")
	}
	if err != nil {
		p.cancel()
		return nil, err
	}
	return p, nil
}

func (p *Port) bindTCP() error {
	config := net.ListenConfig{Control: control(hearNothing)}
	// The bytes of an MPTCP connection can not be spliced.
	config.SetMultipathTCP(false)
	l, err := config.Listen(p.ctx, "tcp"+family(p.addr.Addr()), p.addr.String())
	if err != nil {
		return err
	}
	p.tcp = l.(*net.TCPListener)
	p.socket = l
	return nil
}

func (p *Port) bindUDP() error {
	config := net.ListenConfig{Control: control(func(fd int) error {
		return errors.Join(hearNothing(fd), tellAsked(fd, p.addr.Addr().Is4()))
	})}
	c, err := config.ListenPacket(p.ctx, "udp"+family(p.addr.Addr()), p.addr.String())
	if err != nil {
		return err
	}
	p.udp = c.(*net.UDPConn)
	p.socket = c
	return nil
}

// bindSCTP binds and does not listen: nothing relays SCTP, so a client that
// comes here is refused. Two can not bind the same port even so, because
// neither asks for SO_REUSEADDR.
func (p *Port) bindSCTP() error {
	a := p.addr.Addr()
	domain := unix.AF_INET6
	var to unix.Sockaddr = &unix.SockaddrInet6{Addr: a.As16(), Port: int(p.addr.Port())}
	if a.Is4() {
		domain = unix.AF_INET
		to = &unix.SockaddrInet4{Addr: a.As4(), Port: int(p.addr.Port())}
	}
	fd, err := unix.Socket(domain, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ESOCKTNOSUPPORT) {
		return ErrNoSCTP
	}
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if domain == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = unix.Bind(fd, to)
	}
	if err != nil {
		return errors.Join(os.NewSyscallError("bind", err), unix.Close(fd))
	}
	p.socket = os.NewFile(uintptr(fd), "sctp")
	return nil
}

// family ends the name of a network for package net. With "6" it sets
// IPV6_V6ONLY, so that the same port of IPv4 stays for a socket of its own.
func family(a netip.Addr) string {
	if a.Is4() {
		return "4"
	}
	return "6"
}

// control calls fn with a new socket, before it is bound.
func control(fn func(fd int) error) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var refused error
		err := c.Control(func(fd uintptr) { refused = fn(int(fd)) })
		return errors.Join(err, refused)
	}
}

// hearNothing makes the kernel drop all that arrives, by a classic BPF program
// that returns 0. A listener would complete connections before the firewall's
// rules lead them to the container, and they would stay here.
func hearNothing(fd int) error {
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	return os.NewSyscallError("attach filter", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(drop)), Filter: &drop[0]}))
}

// hear undoes hearNothing.
func hear(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var detached error
	err = raw.Control(func(fd uintptr) {
		detached = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	})
	return errors.Join(err, os.NewSyscallError("detach filter", detached))
}
