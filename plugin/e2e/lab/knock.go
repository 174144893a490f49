package lab

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// knocker sends TCP SYNs and hears who answers. It keeps no connection: the
// node's kernel, which knows of none, resets each one that is accepted. So it
// can ask thousands of ports a second.
type knocker struct {
	conn net.PacketConn
	icmp net.PacketConn
	src  netip.Addr
	base uint32 // of sequence numbers
	done sync.WaitGroup
}

// Source ports of SYNs. Those of the node's own connections begin higher.
const (
	firstSource = 1024
	sources     = 31000
)

// knocker opens the sockets towards dst, in whose family all targets are.
func (n *Node) knocker(ctx context.Context, dst netip.Addr) (*knocker, error) {
	k := new(knocker)
	var seed [4]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("knock at %s: %w", dst, err)
	}
	k.base = binary.BigEndian.Uint32(seed[:])
	tcp, icmp := "ip6:tcp", "ip6:ipv6-icmp"
	if dst.Is4() {
		tcp, icmp = "ip4:tcp", "ip4:icmp"
	}
	err := n.do(func() error {
		probe, err := new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(dst, 9).String())
		if err != nil {
			return err
		}
		defer probe.Close()
		if local, ok := probe.LocalAddr().(*net.UDPAddr); ok {
			k.src = local.AddrPort().Addr().Unmap()
		}
		if k.conn, err = new(net.ListenConfig).ListenPacket(ctx, tcp, k.src.String()); err != nil {
			return err
		}
		k.icmp, err = new(net.ListenConfig).ListenPacket(ctx, icmp, k.src.String())
		return err
	})
	if err == nil {
		err = enlarge(k.conn)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("knock at %s from %s: %w", dst, n.Name, err), k.close())
	}
	return k, nil
}

// enlarge makes room for the answers of all ports at once.
func enlarge(conn net.PacketConn) error {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return errors.New("the socket has no descriptor")
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = control.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, 32<<20)
	})
	return errors.Join(err, os.NewSyscallError("setsockopt", set))
}

// send sends the SYN of a number to a target.
func (k *knocker) send(target netip.AddrPort, number int) error {
	src := netip.AddrPortFrom(k.src, uint16(firstSource+number%sources))
	_, err := k.conn.WriteTo(syn(src, target, k.base+uint32(number)), &net.IPAddr{IP: target.Addr().AsSlice(), Zone: target.Addr().Zone()})
	return err
}

// listen calls answered for each answer to a SYN, and rejected for each ICMP
// error that holds a packet to dst, until the sockets close.
func (k *knocker) listen(dst netip.Addr, answered func(from netip.AddrPort, number int, open bool), rejected func()) {
	k.done.Go(func() {
		h := make([]byte, 2048)
		for {
			size, from, err := k.conn.ReadFrom(h)
			if err != nil {
				return
			}
			addr, ok := from.(*net.IPAddr)
			if !ok || size < tcpSize || h[13]&tcpACK == 0 {
				continue
			}
			server, _ := netip.AddrFromSlice(addr.IP)
			number := int(binary.BigEndian.Uint32(h[8:]) - 1 - k.base)
			if int(binary.BigEndian.Uint16(h[2:])) != firstSource+number%sources {
				continue // It answers someone else.
			}
			open := h[13]&(tcpSYN|tcpRST) == tcpSYN
			if open || h[13]&tcpRST != 0 {
				answered(netip.AddrPortFrom(server.Unmap(), binary.BigEndian.Uint16(h)), number, open)
			}
		}
	})
	k.done.Go(func() {
		m := make([]byte, 2048)
		unreachable, at := byte(1), 8+24 // where the destination of the packet inside begins
		if dst.Is4() {
			unreachable, at = 3, 8+16
		}
		for {
			size, _, err := k.icmp.ReadFrom(m)
			if err != nil {
				return
			}
			inside := dst.AsSlice()
			if m[0] == unreachable && size >= at+len(inside) && string(m[at:at+len(inside)]) == string(inside) {
				rejected()
			}
		}
	})
}

func (k *knocker) close() error {
	var errs []error
	for _, c := range []io.Closer{k.conn, k.icmp} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	k.done.Wait()
	return errors.Join(errs...)
}
