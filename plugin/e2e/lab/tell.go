package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// Teller serves TCP and UDP ports of a node and tells each client the address
// that it comes from. The caller closes it.
type Teller struct {
	sockets []io.Closer
	done    sync.WaitGroup
}

// Tell serves ports such as "80/tcp" and "53/udp" on an address of the node; the
// unspecified one means all of both families.
func (n *Node) Tell(ctx context.Context, addr netip.Addr, ports ...string) (*Teller, error) {
	t := new(Teller)
	for _, p := range ports {
		port, network, _ := strings.Cut(p, "/")
		err := n.do(func() error { return t.serve(ctx, network, net.JoinHostPort(addr.String(), port)) })
		if err != nil {
			return nil, errors.Join(fmt.Errorf("serve %s on %s: %w", p, n.Name, err), t.Close())
		}
	}
	return t, nil
}

// serve opens a socket in the calling thread's namespace.
func (t *Teller) serve(ctx context.Context, network, addr string) error {
	if network == "udp" {
		conn, err := new(net.ListenConfig).ListenPacket(ctx, network, addr)
		if err != nil {
			return err
		}
		t.sockets = append(t.sockets, conn)
		t.done.Go(func() { tellUDP(conn) })
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, addr)
	if err != nil {
		return err
	}
	t.sockets = append(t.sockets, l)
	t.done.Go(func() { tellTCP(l) })
	return nil
}

func tellTCP(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // Close ends it.
		}
		// A client that has gone is no concern of ours.
		_, _ = io.WriteString(conn, conn.RemoteAddr().String())
		conn.Close()
	}
}

func tellUDP(conn net.PacketConn) {
	question := make([]byte, 2048)
	for {
		_, client, err := conn.ReadFrom(question)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo([]byte(client.String()), client)
	}
}

// Close ends the service.
func (t *Teller) Close() error {
	var errs []error
	for _, s := range t.sockets {
		errs = append(errs, s.Close())
	}
	t.done.Wait()
	return errors.Join(errs...)
}

// Ask asks a Teller, over tcp or udp, for the address that it sees the node come
// from. The error is os.ErrDeadlineExceeded where nothing answered in time,
// syscall.ECONNREFUSED where nobody serves the port, io.EOF where a connection
// was closed without an answer.
func (n *Node) Ask(ctx context.Context, network string, server netip.AddrPort, timeout time.Duration) (netip.Addr, error) {
	deadline := time.Now().Add(timeout)
	conn, err := n.Dial(ctx, network, server, timeout)
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return netip.Addr{}, fmt.Errorf("ask %s: %w", server, err)
	}
	if network == "udp" {
		if _, err := io.WriteString(conn, "who am I?"); err != nil {
			return netip.Addr{}, fmt.Errorf("ask %s from %s: %w", server, n.Name, err)
		}
	}
	answer := make([]byte, 128)
	size, err := conn.Read(answer)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("ask %s from %s: %w", server, n.Name, asTimeout(err))
	}
	client, err := netip.ParseAddrPort(string(answer[:size]))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("ask %s from %s: answer %q: %w", server, n.Name, answer[:size], err)
	}
	return client.Addr().Unmap(), nil
}

// Dial connects the node to a server, with an error as Ask returns it.
func (n *Node) Dial(ctx context.Context, network string, server netip.AddrPort, timeout time.Duration) (conn net.Conn, err error) {
	err = n.do(func() (err error) {
		conn, err = (&net.Dialer{Timeout: timeout}).DialContext(ctx, network, server.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect to %s from %s: %w", server, n.Name, asTimeout(err))
	}
	return conn, nil
}

// asTimeout makes the two errors of a deadline that passed one.
func asTimeout(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, err)
	}
	return err
}
