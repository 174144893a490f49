package hostport

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// A Port is one port of one address of the host. It is safe for concurrent use.
type Port struct {
	host   *Host
	proto  uint8
	addr   netip.AddrPort
	socket io.Closer
	tcp    *net.TCPListener // nil unless TCP
	udp    *net.UDPConn     // nil unless UDP

	ctx    context.Context // ends when the Port is closed
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu     sync.Mutex
	target netip.AddrPort // zero: nothing is relayed yet
	closed bool
	open   map[net.Conn]struct{} // of all flows
}

func newPort(h *Host, proto uint8, addr netip.AddrPort) *Port {
	p := &Port{host: h, proto: proto, addr: addr, open: map[net.Conn]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Proto returns the protocol: TCP, UDP or SCTP.
func (p *Port) Proto() uint8 { return p.proto }

// AddrPort returns the address and the port that is held.
func (p *Port) AddrPort() netip.AddrPort { return p.addr }

// Serve begins to relay to target, a port of a container of either family.
// Once it relays, a further call changes where new flows go. SCTP is held but
// not relayed.
func (p *Port) Serve(target netip.AddrPort) error {
	if !target.IsValid() || target.Port() == 0 {
		return fmt.Errorf("serve %s: the target %q is not a port of a container", p.addr, target)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("serve %s: %w", p.addr, os.ErrClosed)
	}
	if p.target.IsValid() || p.proto == SCTP {
		p.target = target
		return nil
	}
	if err := hear(p.socket.(syscall.Conn)); err != nil {
		return fmt.Errorf("serve %s: %w", p.addr, err)
	}
	p.target = target
	if p.tcp != nil {
		p.wait.Go(p.accept)
	} else {
		p.wait.Go(p.receive)
	}
	return nil
}

// Close gives the port back, resets its connections and waits until nothing
// of it runs any more.
func (p *Port) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.wait.Wait()
		return nil
	}
	p.closed = true
	open := p.open
	p.open = nil
	p.mu.Unlock()

	p.cancel()
	err := p.socket.Close()
	for c := range open {
		reset(c)
	}
	p.wait.Wait()
	if err != nil {
		return fmt.Errorf("close %s: %w", p.addr, err)
	}
	return nil
}

// to returns where flows go.
func (p *Port) to() netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

// track has Close close c. It returns false when the Port is closed already.
func (p *Port) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.open[c] = struct{}{}
	return true
}

func (p *Port) untrack(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

// pause waits a moment, so that a loop whose socket has an error does not
// spin. It returns false when the Port is closed.
func (p *Port) pause() bool {
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

// reset closes a connection so that the peer knows that it did not end by itself.
func reset(c net.Conn) {
	if tcp, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // The peer may have been faster.
	}
	_ = c.Close() // It may have been closed by the other of Close and the flow.
}
