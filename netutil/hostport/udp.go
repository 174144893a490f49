package hostport

import (
	"container/list"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxDatagram is what a UDP datagram can hold, and more.
const maxDatagram = 1 << 16

// datagrams lends buffers, so that a silent flow holds none.
type datagrams struct{ pool sync.Pool }

func (d *datagrams) get() *[maxDatagram]byte {
	if b, ok := d.pool.Get().(*[maxDatagram]byte); ok {
		return b
	}
	return new([maxDatagram]byte)
}

func (d *datagrams) put(b *[maxDatagram]byte) { d.pool.Put(b) }

// A route is one client at one of the addresses that it may ask.
type route struct {
	client netip.AddrPort
	asked  netip.Addr
}

// A flow is what one client of a UDP port has: a socket of its own towards
// the container, so that answers find their way.
type flow struct {
	route route
	// as makes answers come from the address that was asked.
	as   []byte
	conn *net.UDPConn
	last atomic.Int64 // nanoseconds since the port's start
}

// A relay is the UDP clients of one Port.
type relay struct {
	port    *Port
	buffers datagrams
	start   time.Time

	mu     sync.Mutex
	flows  map[route]*list.Element
	recent *list.List // of *flow, those that sent last in front
}

// receive relays datagrams until the Port is closed.
func (p *Port) receive() {
	r := &relay{port: p, start: time.Now(), flows: map[route]*list.Element{}, recent: list.New()}
	buf := r.buffers.get()
	oob := make([]byte, 128)
	for {
		n, oobn, _, client, err := p.udp.ReadMsgUDPAddrPort(buf[:], oob)
		if err != nil {
			if !p.pause() {
				return
			}
			continue
		}
		asked, link := whoWasAsked(oob[:oobn])
		f := r.flow(route{client, asked}, link)
		if f == nil {
			continue // UDP may lose datagrams.
		}
		f.last.Store(int64(time.Since(r.start)))
		if _, err := f.conn.Write(buf[:n]); errors.Is(err, unix.ECONNREFUSED) {
			// That was the answer to the datagram before; this one was not sent.
			_, _ = f.conn.Write(buf[:n]) // UDP may lose datagrams.
		}
	}
}

// flow returns the flow of a client, new if need be, or nil if none can be had.
func (r *relay) flow(to route, link int) *flow {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.flows[to]; e != nil {
		r.recent.MoveToFront(e)
		return e.Value.(*flow)
	}
	for len(r.flows) >= r.port.host.limits.Flows || !r.port.host.take(udpDescriptors) {
		oldest := r.recent.Back()
		if oldest == nil {
			return nil
		}
		r.forget(oldest.Value.(*flow))
	}
	conn, err := r.port.host.dial(r.port.ctx, "udp", r.port.to())
	if err != nil || !r.port.track(conn) {
		if err == nil {
			_ = conn.Close() // The Port is closed.
		}
		r.port.host.give(udpDescriptors)
		return nil
	}
	f := &flow{route: to, as: answerAs(to.asked, link), conn: conn.(*net.UDPConn)}
	f.last.Store(int64(time.Since(r.start)))
	r.flows[to] = r.recent.PushFront(f)
	r.port.wait.Go(func() { r.answer(f) })
	return f
}

// forget closes a flow, which may be closed already. r.mu is held.
func (r *relay) forget(f *flow) {
	if e := r.flows[f.route]; e != nil && e.Value == f {
		delete(r.flows, f.route)
		r.recent.Remove(e)
		r.port.untrack(f.conn)
		_ = f.conn.Close() // Close of the Port may have closed it.
		r.port.host.give(udpDescriptors)
	}
}

// answer relays what the container sends to one client, until both have been
// silent or the flow is closed.
func (r *relay) answer(f *flow) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.forget(f)
	}()
	raw, err := f.conn.SyscallConn()
	if err != nil {
		return
	}
	for {
		idle := time.Since(r.start) - time.Duration(f.last.Load())
		if idle >= r.port.host.limits.Idle {
			return
		}
		if f.conn.SetReadDeadline(time.Now().Add(r.port.host.limits.Idle-idle)) != nil {
			return
		}
		if err := r.answers(f, raw); !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// answers relays answers until the read deadline.
func (r *relay) answers(f *flow, raw syscall.RawConn) error {
	for {
		err := raw.Read(func(fd uintptr) bool {
			// A buffer is taken once there is something to read: thousands of
			// silent clients need none.
			buf := r.buffers.get()
			defer r.buffers.put(buf)
			n, err := unix.Read(int(fd), buf[:])
			switch {
			case errors.Is(err, unix.EAGAIN):
				return false
			case err != nil:
				return true // The container refused a datagram. It may take the next one.
			}
			f.last.Store(int64(time.Since(r.start)))
			_, _, _ = r.port.udp.WriteMsgUDPAddrPort(buf[:n], f.as, f.route.client) // UDP may lose datagrams.
			return true
		})
		if err != nil {
			return err
		}
	}
}

// tellAsked has the kernel say at which address a datagram arrived.
func tellAsked(fd int, is4 bool) error {
	if is4 {
		return os.NewSyscallError("setsockopt IP_PKTINFO", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
	}
	return os.NewSyscallError("setsockopt IPV6_RECVPKTINFO",
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
}
