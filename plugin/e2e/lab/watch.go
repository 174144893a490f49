package lab

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// EchoPort is the TCP port where Watch wants a server that sends back what it gets.
const EchoPort = 7

const (
	watchInterval = 10 * time.Millisecond
	watchGrace    = time.Second // for the last answers
)

// Watch is traffic to one address under way: an echo request and a line on a
// TCP stream, every 10 ms.
type Watch struct {
	dst    netip.Addr
	echo   net.PacketConn
	stream net.Conn
	stop   context.CancelFunc
	done   sync.WaitGroup
	id     [8]byte

	// Each is written by one goroutine, and read when all are done.
	sent     []time.Time // echo requests, by sequence number
	answers  []time.Time // zero where there was none
	written  int         // lines of the stream
	read     int
	pause    time.Duration // longest between two lines that came back
	writeErr error
	readErr  error
}

// Watched is what a Watch saw.
type Watched struct {
	Sent, Lost int           // echo requests
	Slowest    time.Duration // longest time to an answer
	Lines      int           // that came back on the stream
	Pause      time.Duration // longest between two of them
	Broken     error         // why the stream ended before Stop, or is not as it was sent; nil when it is
}

// String is one line of text.
func (w Watched) String() string {
	stream := "unbroken"
	if w.Broken != nil {
		stream = "BROKEN: " + w.Broken.Error()
	}
	return fmt.Sprintf("%d pings, %d lost, slowest %s; stream of %d lines %s, longest pause %s",
		w.Sent, w.Lost, w.Slowest.Round(10*time.Microsecond), w.Lines, stream, w.Pause.Round(time.Millisecond))
}

// Watch starts traffic to an address that has an echo server: pings from the
// router, and the stream from the host behind it, because its progress would
// confirm the router's neighbor entry, and hide what the pings are to show. The
// caller stops it.
func (l *Lab) Watch(ctx context.Context, dst netip.Addr) (*Watch, error) {
	return watch(ctx, l.Router, l.Outside, dst)
}

// Watch starts traffic from the node alone. The caller stops it.
func (n *Node) Watch(ctx context.Context, dst netip.Addr) (*Watch, error) {
	return watch(ctx, n, n, dst)
}

func watch(ctx context.Context, pinger, streamer *Node, dst netip.Addr) (*Watch, error) {
	// The first ping waits for the neighbor's address, which is not what is watched.
	if _, err := pinger.Ping(ctx, dst, 3*time.Second); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	w := &Watch{dst: dst}
	if _, err := rand.Read(w.id[:]); err != nil {
		return nil, fmt.Errorf("watch %s: %w", dst, err)
	}
	err := pinger.do(func() (err error) {
		w.echo, err = new(net.ListenConfig).ListenPacket(ctx, "ip6:ipv6-icmp", "")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", dst, err)
	}
	err = streamer.do(func() (err error) {
		to := netip.AddrPortFrom(dst, EchoPort).String()
		w.stream, err = (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "tcp", to)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch %s: %w", dst, err), w.echo.Close())
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.done.Go(func() { w.send(ctx) })
	w.done.Go(w.receive)
	w.done.Go(w.readLines)
	return w, nil
}

// Stop ends the traffic, waits for the last answers, and tells what was seen.
func (w *Watch) Stop() (Watched, error) {
	w.stop()
	deadline := time.Now().Add(watchGrace)
	if err := errors.Join(w.echo.SetReadDeadline(deadline), w.stream.SetReadDeadline(deadline)); err != nil {
		return Watched{}, fmt.Errorf("watch %s: %w", w.dst, err)
	}
	w.done.Wait()
	err := errors.Join(w.echo.Close(), w.stream.Close())
	seen := Watched{Sent: len(w.sent), Lines: w.read, Pause: w.pause, Broken: errors.Join(w.writeErr, w.readErr)}
	if seen.Broken == nil && w.read != w.written {
		seen.Broken = fmt.Errorf("%d lines of %d came back", w.read, w.written)
	}
	for i, sent := range w.sent {
		if i >= len(w.answers) || w.answers[i].IsZero() {
			seen.Lost++
			continue
		}
		seen.Slowest = max(seen.Slowest, w.answers[i].Sub(sent))
	}
	return seen, err
}

// send sends both kinds of traffic until ctx ends, and then the end of the stream.
func (w *Watch) send(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		w.ping()
		if w.writeErr == nil {
			if _, w.writeErr = fmt.Fprintf(w.stream, "%d\n", w.written); w.writeErr == nil {
				w.written++
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if tcp, ok := w.stream.(*net.TCPConn); ok && w.writeErr == nil {
				w.writeErr = tcp.CloseWrite()
			}
			return
		}
	}
}

// ping sends the next echo request. One that cannot be sent is lost.
func (w *Watch) ping() {
	request := make([]byte, 24)
	request[0] = 128
	copy(request[8:], w.id[:])
	binary.BigEndian.PutUint64(request[16:], uint64(len(w.sent)))
	w.sent = append(w.sent, time.Now())
	_, _ = w.echo.WriteTo(request, &net.IPAddr{IP: w.dst.AsSlice()})
}

// receive notes the answers until its deadline has passed.
func (w *Watch) receive() {
	answer := make([]byte, 1500)
	for {
		size, _, err := w.echo.ReadFrom(answer)
		if err != nil {
			return
		}
		if size != 24 || answer[0] != 129 || [8]byte(answer[8:16]) != w.id {
			continue
		}
		sequence := binary.BigEndian.Uint64(answer[16:])
		for uint64(len(w.answers)) <= sequence {
			w.answers = append(w.answers, time.Time{})
		}
		if w.answers[sequence].IsZero() {
			w.answers[sequence] = time.Now()
		}
	}
}

// readLines reads the stream to its end.
func (w *Watch) readLines() {
	lines := bufio.NewReader(w.stream)
	last := time.Now()
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return // Stop compares the number of lines.
		}
		if err != nil {
			w.readErr = err
			return
		}
		if want := fmt.Sprintf("%d\n", w.read); line != want {
			w.readErr = fmt.Errorf("line %q came back, want %q", line, want)
			return
		}
		now := time.Now()
		w.pause = max(w.pause, now.Sub(last))
		last = now
		w.read++
	}
}
