// Package sweep forgets what Docker forgot without telling: networks,
// endpoints, pools and leases that were removed while the plugin was down, or
// whose removal Docker gave up.
//
// Docker is asked twice, beside its own calls and never from within one. What
// neither answer has, and no call has been about meanwhile, is forgotten.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/plugin/engine"
)

const (
	// Period is how often Docker is asked while all goes well.
	Period = 10 * time.Minute
	// again is when Docker is asked once more after the start and after each
	// time that something was forgotten: what was too young then no longer is.
	again = 70 * time.Second
	// pause lies between the two looks that must agree.
	pause = 10 * time.Second
	// settle is how long a sweep that was asked for waits for more to ask, and
	// for Docker to end the call that was the reason.
	settle = 2 * time.Second
	// Retries after an error wait at first this long, then twice as long each.
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// Docker is the daemon that the networks belong to.
type Docker interface {
	Daemon(ctx context.Context) (engine.Daemon, error)
	Networks(ctx context.Context) ([]engine.Network, error)
	// Endpoints returns an error that wraps engine.ErrNotFound for a network
	// that went meanwhile.
	Endpoints(ctx context.Context, network string) ([]engine.Endpoint, error)
}

// Networks are the network driver's records.
type Networks interface {
	Pools() map[string][]netip.Prefix
	Addrs() []netip.Addr
	Unknown(known driver.Known) driver.Swept
	Sweep(ctx context.Context, known driver.Known) (driver.Swept, error)
}

// Addresses are the IPAM driver's records.
type Addresses interface {
	Prefixes() []netip.Prefix
	Unknown(known ipam.Known) ipam.Swept
	Sweep(known ipam.Known) (ipam.Swept, error)
}

// Daemons keeps the record of the daemon that the networks belong to.
type Daemons interface {
	All() (map[string]Daemon, error)
	Put(id string, d Daemon) error
}

// A Daemon is the record of a Docker daemon.
type Daemon struct {
	ID string `json:"id"`
}

// daemonKey is the key of the one record in Daemons.
const daemonKey = "docker"

// Config is what a Sweeper is made of. All fields but Soon are required.
type Config struct {
	Log       *slog.Logger
	Docker    Docker
	Networks  Networks
	Addresses Addresses
	Daemons   Daemons
	// Soon asks for a sweep before the next periodic one.
	Soon Requests
}

// Requests ask for a sweep. The zero value holds none, and never will.
type Requests chan struct{}

// NewRequests returns Requests without one.
func NewRequests() Requests { return make(Requests, 1) }

// Add asks for a sweep and returns at once. Several requests are one until it begins.
func (r Requests) Add() {
	select {
	case r <- struct{}{}:
	default:
	}
}

// A Sweeper asks Docker what it has, and forgets the rest. Make it with New.
type Sweeper struct {
	Config
	// said is the last reason for not sweeping, so that it is logged once.
	said string
}

// New returns a Sweeper that has asked nothing yet.
func New(c Config) *Sweeper { return &Sweeper{Config: c} }

// errStranger says that the daemon is not known to be that of the networks.
var errStranger = errors.New("not the daemon of these networks")

// Run sweeps now, then periodically and when asked, until ctx ends, and returns
// nil then.
func (s *Sweeper) Run(ctx context.Context) error {
	retry, next := firstRetry, again
	for {
		wait := next
		swept, err := s.Once(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the error is the end of ctx.
		}
		s.say(err)
		switch {
		case err == nil && swept:
			retry, wait = firstRetry, again
		case err == nil:
			retry, next = firstRetry, Period
		case errors.Is(err, errStranger): // and will be one for longer
			wait = Period
		default:
			wait, retry = retry, min(2*retry, lastRetry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		case <-s.Soon:
			next = again
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(settle):
			}
			select {
			case <-s.Soon:
			default:
			}
		}
	}
}

// say logs why nothing was swept, unless it said so last time.
func (s *Sweeper) say(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == s.said {
		return
	}
	s.said = text
	switch {
	case err == nil:
	case errors.Is(err, engine.ErrAbsent):
		// Docker may come later, or keep its socket to itself.
		s.Log.Info("docker not asked for what it forgot", "err", err)
	default:
		s.Log.Warn("docker not asked for what it forgot", "err", err)
	}
}

// Once asks Docker, forgets what it does not have, and reports whether there
// was something. Where there is nothing it takes no longer than asking.
func (s *Sweeper) Once(ctx context.Context) (swept bool, err error) {
	seen := newAnswer()
	if err := s.look(ctx, seen); err != nil {
		return false, err
	}
	if err := s.trust(seen); err != nil {
		return false, err
	}
	networks, addresses := s.Networks.Unknown(seen.networks()), s.Addresses.Unknown(s.addresses(seen, nil))
	if len(networks.Networks)+len(networks.Endpoints)+len(addresses.Pools)+len(addresses.Addrs) == 0 {
		return false, nil
	}
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-time.After(pause):
	}
	// What either look has stays.
	if err := s.look(ctx, seen); err != nil {
		return false, err
	}
	return true, s.forget(ctx, seen)
}

func (s *Sweeper) forget(ctx context.Context, seen *answer) error {
	pools := s.Networks.Pools()
	swept, err := s.Networks.Sweep(ctx, seen.networks())
	freed := make(map[netip.Prefix]bool)
	for _, id := range swept.Networks {
		for _, p := range pools[id] {
			freed[p] = true
		}
	}
	// After the endpoints, whose addresses would count as held.
	_, leasesErr := s.Addresses.Sweep(s.addresses(seen, freed))
	if err := errors.Join(err, leasesErr); err != nil {
		return fmt.Errorf("forget what docker does not have: %w", err)
	}
	return nil
}

// trust returns nil if the daemon is the one that the networks belong to, by
// its id, or, where none is recorded, because it has one of them. A daemon
// becomes that of the networks that are made from now on where there are none.
func (s *Sweeper) trust(seen *answer) error {
	all, err := s.Daemons.All()
	if err != nil {
		return fmt.Errorf("read the docker daemon's record: %w", err)
	}
	recorded, known := all[daemonKey]
	if known && recorded.ID == seen.daemon.ID {
		return nil
	}
	pools := s.Networks.Pools()
	prefixes := s.Addresses.Prefixes()
	empty := len(pools) == 0 && len(prefixes) == 0
	listed := func(id string) bool { return seen.listed[id] }
	lent := func(p netip.Prefix) bool { return seen.pools[p] }
	switch {
	case empty:
	case known:
		return fmt.Errorf("%w: they are those of daemon %s, and %s answers: where the first is gone for good, stop ndp6, move its state directory away, and create the networks again",
			errStranger, recorded.ID, seen.daemon.ID)
	case !slices.ContainsFunc(slices.Collect(maps.Keys(pools)), listed) && !slices.ContainsFunc(prefixes, lent):
		return fmt.Errorf("%w: daemon %s has none of the %d networks on record", errStranger, seen.daemon.ID, len(pools))
	}
	if err := s.Daemons.Put(daemonKey, Daemon{ID: seen.daemon.ID}); err != nil {
		return fmt.Errorf("record the docker daemon: %w", err)
	}
	return nil
}
