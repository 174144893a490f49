package lab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// knockInterval is that of the knocks at each target.
const knockInterval = time.Millisecond

// Knocks is a knock at each of some TCP ports every millisecond, under way.
type Knocks struct {
	knocker *knocker
	targets []netip.AddrPort
	stop    context.CancelFunc
	sender  sync.WaitGroup

	mu      sync.Mutex
	sent    []time.Time // by number; the target of a number is the rest by their count
	open    []bool      // by number
	answers map[netip.AddrPort]*Knocked
}

// Knocked is what the knocks at one port met.
type Knocked struct {
	Sent, Open, Refused int
	First               time.Time // when the first answer of either kind came
	// Gap is the longest time between two knocks that found the port open, from
	// the first knock and to the last one.
	Gap time.Duration
}

// Knock starts to knock at TCP ports, whose addresses are of one family. What
// else answers than these counts for nothing. The caller stops it.
func (n *Node) Knock(ctx context.Context, targets ...netip.AddrPort) (*Knocks, error) {
	k, err := n.knocker(ctx, targets[0].Addr())
	if err != nil {
		return nil, err
	}
	s := &Knocks{knocker: k, targets: targets, answers: map[netip.AddrPort]*Knocked{}}
	for _, t := range targets {
		s.answers[t] = new(Knocked)
	}
	k.listen(targets[0].Addr(), s.answered, func() {})
	ctx, s.stop = context.WithCancel(ctx)
	s.sender.Go(func() { s.send(ctx) })
	return s, nil
}

func (s *Knocks) send(ctx context.Context) {
	tick := time.NewTicker(knockInterval)
	defer tick.Stop()
	// What cannot be sent, for want of a neighbor, is a knock without an answer.
	for number := 0; ; {
		for _, t := range s.targets {
			s.mu.Lock()
			s.sent, s.open = append(s.sent, time.Now()), append(s.open, false)
			s.answers[t].Sent++
			s.mu.Unlock()
			_ = s.knocker.send(t, number)
			number++
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Knocks) answered(from netip.AddrPort, number int, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	target := s.answers[from]
	switch {
	case target == nil || number < 0 || number >= len(s.open) || s.targets[number%len(s.targets)] != from || s.open[number]:
	case open:
		target.answered()
		target.Open++
		s.open[number] = true
	default:
		target.answered()
		target.Refused++
	}
}

func (k *Knocked) answered() {
	if k.First.IsZero() {
		k.First = time.Now()
	}
}

// Seen is what the knocks at one target met so far, without the gap.
func (s *Knocks) Seen(target netip.AddrPort) Knocked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.answers[target]
}

// Stop ends the knocks, waits for the last answers, and tells what each target did.
func (s *Knocks) Stop() (map[netip.AddrPort]Knocked, error) {
	s.stop()
	s.sender.Wait()
	time.Sleep(100 * time.Millisecond) // The last answers are on their way.
	if err := s.knocker.close(); err != nil {
		return nil, fmt.Errorf("stop knocking: %w", err)
	}
	seen := map[netip.AddrPort]Knocked{}
	for i, t := range s.targets {
		k := *s.answers[t]
		k.Gap = s.gap(i)
		seen[t] = k
	}
	return seen, nil
}

func (s *Knocks) gap(target int) (longest time.Duration) {
	last := s.sent[0]
	for number, at := range s.sent {
		if number%len(s.targets) == target && s.open[number] {
			longest = max(longest, at.Sub(last))
			last = at
		}
	}
	return max(longest, slices.MaxFunc(s.sent, time.Time.Compare).Sub(last))
}
