package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Scanned is what a Scan found. Ports that are in neither list kept silent.
type Scanned struct {
	Open, Refused []uint16
	Rejected      int // ICMP errors that came
}

// Scan knocks at all 65,535 TCP ports of an address, each of them rounds times.
func (n *Node) Scan(ctx context.Context, dst netip.Addr, rounds int) (Scanned, error) {
	// A second's packets. The links of the lab have queues of 1,000, and the
	// machine has other work.
	const rate, burst = 60_000, 60
	const settle = 500 * time.Millisecond
	k, err := n.knocker(ctx, dst)
	if err != nil {
		return Scanned{}, err
	}
	var mu sync.Mutex
	var found [1 << 16]byte
	const isOpen, isRefused = 1, 2
	var rejected int
	k.listen(dst, func(from netip.AddrPort, _ int, open bool) {
		mu.Lock()
		defer mu.Unlock()
		if from.Addr() != dst {
			return
		}
		if open {
			found[from.Port()] |= isOpen
		} else {
			found[from.Port()] |= isRefused
		}
	}, func() {
		mu.Lock()
		defer mu.Unlock()
		rejected++
	})
	tick := time.NewTicker(time.Second * burst / rate)
	defer tick.Stop()
	for i := range rounds * 65535 {
		if i%burst == 0 {
			<-tick.C
		}
		// The numbers of the answers to two rounds differ, but nobody asks.
		if err := k.send(netip.AddrPortFrom(dst, uint16(1+i%65535)), i); err != nil && ctx.Err() == nil && !passing(err) {
			return Scanned{}, errors.Join(fmt.Errorf("scan %s from %s: %w", dst, n.Name, err), k.close())
		}
	}
	time.Sleep(settle) // The last answers are on their way.
	if err := k.close(); err != nil {
		return Scanned{}, fmt.Errorf("scan %s: %w", dst, err)
	}
	s := Scanned{Rejected: rejected}
	for port, f := range found {
		if f&isOpen != 0 {
			s.Open = append(s.Open, uint16(port))
		}
		if f&isRefused != 0 {
			s.Refused = append(s.Refused, uint16(port))
		}
	}
	return s, ctx.Err()
}

// passing tells errors after which the next packet may go.
func passing(err error) bool {
	return errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.EHOSTUNREACH)
}
