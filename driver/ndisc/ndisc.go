// Package ndisc speaks neighbor discovery on uplinks: it probes for duplicates
// before an address is used there, and announces it afterwards.
package ndisc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/ndp"
)

// RFC 4861 7.2.6: a node may send up to MAX_NEIGHBOR_ADVERTISEMENT (3)
// unsolicited advertisements, RETRANS_TIMER (1 s) apart.
const (
	announcements = 3
	retransTimer  = time.Second
)

// burst is how many announcements are sent before a pause, so that thousands
// do not overflow the queues of links and switches.
const (
	burst = 32
	pause = time.Millisecond
)

// A Speaker holds a socket on each uplink that it spoke on. Close it to end
// what it still has to say.
type Speaker struct {
	log    *slog.Logger
	ctx    context.Context //nolint:containedctx // announcements outlive the call that asked for them.
	cancel context.CancelFunc
	wg     sync.WaitGroup

	counts counts

	// opening is held while a socket is opened, so that a link has one.
	opening sync.Mutex

	mu      sync.Mutex
	uplinks map[string]uplink.Uplink
	conns   map[string]conn
	// pending holds the last announcement of each address that is under way,
	// so that an address that left is not announced again.
	pending map[netip.Addr]*announcement
}

// An announcement is that of some addresses, three times.
type announcement struct {
	link  string
	addrs []netip.Addr
}

type conn struct {
	*ndp.Conn
	link ndp.Link
}

// New returns a Speaker that knows no uplink yet. It works in the network
// namespace of the goroutines that call it.
func New(log *slog.Logger) *Speaker {
	ctx, cancel := context.WithCancel(context.Background())
	return &Speaker{
		log: log, ctx: ctx, cancel: cancel,
		uplinks: make(map[string]uplink.Uplink),
		conns:   make(map[string]conn),
		pending: make(map[netip.Addr]*announcement),
	}
}

// Close ends all announcements, waits for them and closes the sockets.
func (s *Speaker) Close() error {
	s.cancel()
	s.wg.Wait()
	return closeAll(s.drop(func(conn) bool { return true }))
}

// SetUplinks tells the Speaker what the uplinks are now. Sockets of links that
// are gone or changed are closed, and opened again when next needed.
func (s *Speaker) SetUplinks(uplinks []uplink.Uplink) {
	byName := make(map[string]uplink.Uplink, len(uplinks))
	for _, u := range uplinks {
		byName[u.Name] = u
	}
	s.mu.Lock()
	s.uplinks = byName
	s.mu.Unlock()
	stale := s.drop(func(c conn) bool { return c.link != link(byName[c.link.Name]) })
	if err := closeAll(stale); err != nil {
		s.log.Debug("socket of a former uplink not closed", "err", err)
	}
}

// drop takes sockets from the Speaker, for the caller to close.
func (s *Speaker) drop(stale func(conn) bool) []conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var dropped []conn
	for name, c := range s.conns {
		if stale(c) {
			dropped = append(dropped, c)
			delete(s.conns, name)
		}
	}
	return dropped
}

func closeAll(conns []conn) error {
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Announce sends the first unsolicited advertisement for addr on the uplink at
// once and the others in the background. A neighbor that still knows the
// address elsewhere learns its new place.
func (s *Speaker) Announce(name string, addr netip.Addr) error {
	if err := s.send(name, addr); err != nil {
		return fmt.Errorf("announce %s: %w", addr, err)
	}
	s.begin(name, []netip.Addr{addr}, announcements-1)
	return nil
}

// AnnounceAll is Announce of many addresses, all of it in the background. Call
// it when the link has another MAC, or comes up.
func (s *Speaker) AnnounceAll(name string, addrs []netip.Addr) error {
	if _, err := s.open(name); err != nil {
		return fmt.Errorf("announce %d addresses: %w", len(addrs), err)
	}
	s.begin(name, slices.Clone(addrs), announcements)
	return nil
}

// begin announces addresses that many times in the background, at once where
// it was not done before.
func (s *Speaker) begin(name string, addrs []netip.Addr, rounds int) {
	a := &announcement{link: name, addrs: addrs}
	s.mu.Lock()
	for _, addr := range addrs {
		s.pending[addr] = a
	}
	s.mu.Unlock()
	s.wg.Go(func() {
		defer s.end(a)
		for round := announcements - rounds; round < announcements; round++ {
			if round > 0 && !s.sleep(retransTimer) {
				return
			}
			if err := s.round(a); err != nil {
				s.log.Warn("addresses not announced again", "addresses", len(addrs), "first", addrs[0], "uplink", name, "err", err)
				return
			}
		}
	})
}

// round announces what is still to be announced of a, once.
func (s *Speaker) round(a *announcement) error {
	for i, addr := range a.addrs {
		if i%burst == burst-1 && !s.sleep(pause) {
			return nil
		}
		s.mu.Lock()
		due := s.pending[addr] == a
		s.mu.Unlock()
		if !due {
			continue
		}
		err := s.send(a.link, addr)
		if err != nil {
			err = s.send(a.link, addr) // SetUplinks may have closed the socket
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Speaker) send(name string, addr netip.Addr) error {
	c, err := s.open(name)
	if err == nil {
		err = c.Announce(addr)
	}
	s.counts.announced(err)
	return err
}

func (s *Speaker) end(a *announcement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, addr := range a.addrs {
		if s.pending[addr] == a {
			delete(s.pending, addr)
		}
	}
}

// sleep waits and reports whether the Speaker is still open.
func (s *Speaker) sleep(d time.Duration) bool {
	select {
	case <-s.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Silence ends the announcements of addr.
func (s *Speaker) Silence(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, addr)
}

// Probe asks for addr on the uplink and waits that long for its owner. It
// returns nil when nobody answered and a *ndp.DuplicateError when one did.
func (s *Speaker) Probe(ctx context.Context, name string, addr netip.Addr, wait time.Duration) error {
	c, err := s.open(name)
	if err == nil {
		err = c.Probe(ctx, addr, wait)
	} else {
		err = fmt.Errorf("probe for %s: %w", addr, err)
	}
	s.counts.probed(err)
	return err
}

// Find asks where addr is on the uplink, and reports whether a host answered
// within wait.
func (s *Speaker) Find(ctx context.Context, name string, addr netip.Addr, wait time.Duration) (bool, error) {
	c, err := s.open(name)
	if err != nil {
		return false, fmt.Errorf("find %s: %w", addr, err)
	}
	_, found, err := c.Find(ctx, addr, wait)
	return found, err
}

func (s *Speaker) open(name string) (conn, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	s.mu.Lock()
	c, opened := s.conns[name]
	u, known := s.uplinks[name]
	s.mu.Unlock()
	switch {
	case opened:
		return c, nil
	case !known:
		return conn{}, fmt.Errorf("uplink %q: %w", name, uplink.ErrNotFound)
	}
	c.link = link(u)
	var err error
	if c.Conn, err = ndp.Open(c.link); err != nil {
		return conn{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[name] = c
	return c, nil
}

func link(u uplink.Uplink) ndp.Link {
	return ndp.Link{Index: u.Index, Name: u.Name, MAC: u.MAC, Source: u.Source}
}
