package driver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Docker forgets an endpoint or a network whatever the plugin answers, and also
// when there is no plugin to answer. Nobody tells the plugin afterwards: it
// must ask, and compare.

// Known is what Docker said that it has.
type Known struct {
	// Since is when Docker was asked first. What a call has been about since
	// then is left alone: Docker has a network or an endpoint only after the
	// call that makes it has its answer.
	Since time.Time
	// Networks and Endpoints hold the ids of all.
	Networks, Endpoints map[string]bool
}

// Swept are ids of records that Docker does not know, in their order.
type Swept struct {
	Networks  []string
	Endpoints []string
}

// activity is what Docker's calls are about.
type activity struct {
	running int
	ended   time.Time // of the last one
}

// Unknown returns what Sweep would forget now: networks, and endpoints of the
// networks that stay.
func (d *Driver) Unknown(known Known) Swept {
	d.mu.Lock()
	defer d.mu.Unlock()
	var s Swept
	for id := range d.networks {
		if d.lostNetwork(id, known) {
			s.Networks = append(s.Networks, id)
		}
	}
	for id, e := range d.endpoints {
		if d.lostEndpoint(id, known) && !slices.Contains(s.Networks, e.Network) {
			s.Endpoints = append(s.Endpoints, id)
		}
	}
	slices.Sort(s.Networks)
	slices.Sort(s.Endpoints)
	return s
}

// Sweep forgets the networks and endpoints that Docker does not know, and
// returns them. A network takes its endpoints with it. What the kernel did not
// let go of is retried by Run.
func (d *Driver) Sweep(ctx context.Context, known Known) (Swept, error) {
	var s Swept
	errs := []error{d.settle()}
	found := d.Unknown(known)
	for _, id := range found.Endpoints {
		swept, err := d.sweepEndpoint(ctx, id, known)
		if swept {
			s.Endpoints = append(s.Endpoints, id)
		}
		errs = append(errs, err)
	}
	for _, id := range found.Networks {
		swept, err := d.sweepNetwork(ctx, id, known)
		if swept {
			s.Networks = append(s.Networks, id)
		}
		errs = append(errs, err)
	}
	return s, errors.Join(errs...)
}

func (d *Driver) sweepEndpoint(ctx context.Context, id string, known Known) (bool, error) {
	d.recording.Lock()
	d.mu.Lock()
	e, lost := d.endpoints[id], d.lostEndpoint(id, known)
	siblings := d.siblings(e.Sandbox, id)
	if lost {
		d.takeEndpoint(id) // under the same lock, so that no call comes between
	}
	d.mu.Unlock()
	var err error
	if lost {
		err = d.config.Endpoints.Delete(id)
	}
	d.recording.Unlock()
	if !lost {
		return false, nil
	}
	if err != nil {
		err = fmt.Errorf("forget endpoint %s: %w", short(id), err)
	}
	err = errors.Join(err, d.close(ctx, id))
	d.tell(ctx, siblings)
	d.log.Info("endpoint swept: docker does not know it", "endpoint", short(id), "network", short(e.Network), "addrs", e.Addrs)
	return true, err
}

func (d *Driver) sweepNetwork(ctx context.Context, id string, known Known) (bool, error) {
	d.mu.Lock()
	if !d.lostNetwork(id, known) {
		d.mu.Unlock()
		return false, nil
	}
	n := d.networks[id]
	left := d.takeNetwork(id)
	d.mu.Unlock()
	err := d.clearNetwork(ctx, id, left)
	d.log.Info("network swept: docker does not know it", "network", short(id), "pools", n.Prefixes(), "endpoints", len(left))
	return true, err
}

// lostNetwork reports whether a network is recorded, and nothing says that
// Docker has it. Whoever calls holds mu.
func (d *Driver) lostNetwork(id string, known Known) bool {
	_, recorded := d.networks[id]
	return recorded && !known.Networks[id] && !d.called(id, known.Since)
}

// lostEndpoint is lostNetwork of an endpoint.
func (d *Driver) lostEndpoint(id string, known Known) bool {
	_, recorded := d.endpoints[id]
	return recorded && !known.Endpoints[id] && !d.called(id, known.Since)
}

// called reports whether a call about id runs, or ended at since or later.
// Whoever calls holds mu.
func (d *Driver) called(id string, since time.Time) bool {
	a, ok := d.calls[id]
	return ok && (a.running > 0 || !a.ended.Before(since))
}

// calling notes that a call is about these ids until done is called.
func (d *Driver) calling(ids ...string) (done func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		a := d.calls[id]
		a.running++
		d.calls[id] = a
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, id := range ids {
			a := d.calls[id]
			a.running, a.ended = a.running-1, time.Now()
			d.calls[id] = a
			d.forgetCalls(id)
		}
	}
}

// forgetCalls drops what is known of the calls about id once there is no
// record to protect. Whoever calls holds mu.
func (d *Driver) forgetCalls(id string) {
	_, network := d.networks[id]
	_, endpoint := d.endpoints[id]
	if !network && !endpoint && d.calls[id].running == 0 {
		delete(d.calls, id)
	}
}

// Addrs returns the addresses of all endpoints, sorted.
func (d *Driver) Addrs() []netip.Addr {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.SortedFunc(maps.Keys(d.holders), netip.Addr.Compare)
}

// Pools returns the prefixes of each network, by its id.
func (d *Driver) Pools() map[string][]netip.Prefix {
	d.mu.Lock()
	defer d.mu.Unlock()
	pools := make(map[string][]netip.Prefix)
	for id, n := range d.networks {
		pools[id] = n.Prefixes()
	}
	return pools
}
