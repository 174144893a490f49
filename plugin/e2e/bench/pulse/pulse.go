// Package pulse sends an echo request to an address at even intervals, and
// tells when it was answered and when not.
package pulse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/ndp6/ndp6/netutil/netns"
)

// Beat is one echo request.
type Beat struct {
	Sent time.Time
	Took time.Duration // until its answer; 0 where none came
}

// Pulse is under way until Stop. Unlike ping(8) it never tells the kernel that
// a neighbor was heard (MSG_CONFIRM), which would reach the routers of other
// namespaces through veth links and spare them their probes.
type Pulse struct {
	conn   net.PacketConn
	dst    netip.Addr
	id     uint32
	cancel context.CancelFunc
	sender sync.WaitGroup
	reader sync.WaitGroup

	mu      sync.Mutex
	beats   []Beat
	sendErr error
}

// Start begins to ask an address from the network namespace at path. The caller
// stops it.
func Start(ctx context.Context, path string, dst netip.Addr, interval time.Duration) (*Pulse, error) {
	p := &Pulse{dst: dst, id: rand.Uint32()}
	err := netns.Do(path, func() (err error) {
		p.conn, err = new(net.ListenConfig).ListenPacket(ctx, "ip6:ipv6-icmp", "")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", dst, err)
	}
	ctx, p.cancel = context.WithCancel(ctx)
	p.sender.Go(func() { p.send(ctx, interval) })
	p.reader.Go(p.read)
	return p, nil
}

func (p *Pulse) send(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		p.mu.Lock()
		request := make([]byte, 16)
		request[0] = 128 // The kernel writes the checksum.
		binary.BigEndian.PutUint32(request[8:], p.id)
		binary.BigEndian.PutUint32(request[12:], uint32(len(p.beats)))
		p.beats = append(p.beats, Beat{Sent: time.Now()})
		// What nobody can be found for is not sent, and only that is an error here.
		if _, err := p.conn.WriteTo(request, &net.IPAddr{IP: p.dst.AsSlice()}); err != nil {
			p.sendErr = err
		}
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Pulse) read() {
	b := make([]byte, 1500)
	for {
		n, _, err := p.conn.ReadFrom(b)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil || n != 16 || b[0] != 129 || binary.BigEndian.Uint32(b[8:]) != p.id {
			continue
		}
		p.mu.Lock()
		if i := int(binary.BigEndian.Uint32(b[12:])); i < len(p.beats) && p.beats[i].Took == 0 {
			p.beats[i].Took = time.Since(p.beats[i].Sent)
		}
		p.mu.Unlock()
	}
}

// Answered reports whether any request that was sent after a time has been answered.
func (p *Pulse) Answered(after time.Time) (Beat, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.beats {
		if b.Sent.After(after) && b.Took > 0 {
			return b, true
		}
	}
	return Beat{}, false
}

// Stop ends the pulse, waits a little for late answers, and returns all beats.
// Nothing having been answered, the error says why as far as it is known.
func (p *Pulse) Stop(patience time.Duration) ([]Beat, error) {
	p.cancel()
	p.sender.Wait()
	err := p.conn.SetReadDeadline(time.Now().Add(patience))
	p.reader.Wait()
	err = errors.Join(err, p.conn.Close())
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := First(p.beats); !ok {
		err = errors.Join(err, fmt.Errorf("%s never answered", p.dst), p.sendErr)
	}
	return p.beats, err
}

// First is the first beat that was answered.
func First(beats []Beat) (Beat, bool) {
	for _, b := range beats {
		if b.Took > 0 {
			return b, true
		}
	}
	return Beat{}, false
}

// Lost is how many beats were not answered.
func Lost(beats []Beat) int {
	var n int
	for _, b := range beats {
		if b.Took == 0 {
			n++
		}
	}
	return n
}

// Slow is how many beats were answered after more than d.
func Slow(beats []Beat, d time.Duration) int {
	var n int
	for _, b := range beats {
		if b.Took > d {
			n++
		}
	}
	return n
}
