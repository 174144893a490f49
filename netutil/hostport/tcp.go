package hostport

import (
	"io"
	"net"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// accept relays connections until the Port is closed.
func (p *Port) accept() {
	var flows atomic.Int64
	for {
		client, err := p.tcp.AcceptTCP()
		switch {
		case err == nil:
		case p.ctx.Err() != nil:
			return
		default:
			// No descriptors, or no memory. Clients wait in the kernel's queue.
			if !p.pause() {
				return
			}
			continue
		}
		if flows.Load() >= int64(p.host.limits.Flows) || !p.host.take(tcpDescriptors) {
			reset(client)
			continue
		}
		flows.Add(1)
		p.wait.Go(func() {
			p.relay(client)
			p.host.give(tcpDescriptors)
			flows.Add(-1)
		})
	}
}

// relay carries one connection to the container until both sides have ended it.
func (p *Port) relay(client *net.TCPConn) {
	defer reset(client)
	if !p.track(client) {
		return
	}
	defer p.untrack(client)
	conn, err := p.host.dial(p.ctx, "tcp", p.to())
	if err != nil {
		return // The client sees a reset, as it would from the container.
	}
	server := conn.(*net.TCPConn)
	defer reset(server)
	if !p.track(server) {
		return
	}
	defer p.untrack(server)

	c, s := &side{TCPConn: client}, &side{TCPConn: server}
	back := make(chan error, 1)
	p.wait.Go(func() { back <- pump(c, s) })
	there := pump(s, c)
	if err := <-back; err != nil || there != nil {
		return // One side broke off, so the other is reset.
	}
	// Both sides ended: what is still under way is delivered.
	_ = client.Close()
	_ = server.Close()
}

// A side is one of the two connections that a relay joins.
type side struct {
	*net.TCPConn
	ended atomic.Bool // nothing more goes to this side
}

// pump carries one direction of a connection, its end included. The kernel
// moves the bytes: io.Copy splices TCP connections.
func pump(to, from *side) error {
	_, err := io.Copy(to.TCPConn, from.TCPConn)
	if err == nil && !from.ended.Load() && gone(from) {
		// The other direction took the error, which the kernel tells once.
		err = unix.ECONNRESET
	}
	if err == nil {
		to.ended.Store(true)
		return to.CloseWrite()
	}
	if gone(from) || !gone(to) {
		reset(to) // The other direction has nobody to bring anything to.
	}
	// Else to is gone, and the other direction brings what it said before and ends.
	return err
}

// gone says whether the peer reset a connection.
func gone(c *side) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	state := uint8(unix.BPF_TCP_CLOSE)
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			state = info.State
		}
	}) // A closed descriptor is gone as well.
	return state == unix.BPF_TCP_CLOSE
}
