package driver

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
)

// Some addresses a container has only while it runs. Its sandbox has its link,
// and Docker says its name, only some time after Join was answered, and nobody
// tells the plugin: a task beside asks until both are so, or the endpoint leaves.

// errNotPlaced says that the sandbox is not made yet.
var errNotPlaced = errors.New("docker has not set the link up in its sandbox yet")

const (
	// A look that was too early is repeated after a part of the time that has
	// passed: soon, but not often where it takes long.
	firstLook   = 10 * time.Millisecond
	lookPart    = 4
	longestLook = 10 * time.Second
	// patience is how long a container may take to start before its addresses
	// count as missing.
	patience = 10 * time.Second
)

// An awaited is an endpoint whose addresses are not complete yet. Driver.mu
// guards it.
type awaited struct {
	cancel   context.CancelFunc
	since    time.Time
	attempts int
	err      error
	retry    time.Time
}

// complete begins to wait for what an endpoint that joined can have only later.
func (d *Driver) complete(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.endpoints[id]
	n := d.networks[e.Network]
	if d.ctx.Err() != nil || !e.Joined || !n.StableName && !n.Follow || !slices.ContainsFunc(e.Addrs, netip.Addr.Is6) {
		return
	}
	ctx, cancel := context.WithCancel(d.ctx)
	a := &awaited{cancel: cancel, since: time.Now()}
	d.awaited[id] = a
	d.beside.Go(func() {
		defer cancel()
		d.await(ctx, id, a)
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.awaited[id] == a {
			delete(d.awaited, id)
		}
	})
}

// await completes an endpoint, however often it takes.
func (d *Driver) await(ctx context.Context, id string, a *awaited) {
	said := false
	for {
		err := d.completeNow(ctx, id)
		if err == nil || ctx.Err() != nil {
			return
		}
		passed := time.Since(a.since)
		wait := min(max(passed/lookPart, firstLook), longestLook)
		d.mu.Lock()
		a.attempts, a.err, a.retry = a.attempts+1, err, time.Now().Add(wait)
		d.mu.Unlock()
		if passed > patience && !said {
			said = true
			d.log.WarnContext(ctx, "addresses inside a container are missing, tried again", "endpoint", short(id), "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// completeNow does what can be done now, and returns why that is not all.
func (d *Driver) completeNow(ctx context.Context, id string) error {
	d.mu.Lock()
	e := d.endpoints[id]
	n := d.networks[e.Network]
	d.mu.Unlock()
	if !e.Joined {
		return nil
	}
	if !e.Placed {
		placed, err := d.config.Host.Placed(e.Sandbox, e.MAC)
		if err == nil && !placed {
			err = errNotPlaced
		}
		if err != nil {
			return err
		}
		if _, err := d.extend(ctx, id, func(e *plan.Endpoint) { e.Placed = true }); err != nil {
			return err
		}
	}
	if !n.StableName || e.Stable.IsValid() {
		return nil
	}
	return d.setStable(ctx, n, e)
}

// setStable gives an endpoint the address that its container's name gives.
func (d *Driver) setStable(ctx context.Context, n plan.Network, e plan.Endpoint) error {
	i := slices.IndexFunc(e.Addrs, netip.Addr.Is6)
	addr, err := d.config.Lender.Stable(ctx, StableRequest{
		Network: n.ID, Endpoint: e.ID, Pool: n.PoolOf(e.Addrs[i]), Addrs: e.Addrs,
	})
	if err != nil {
		return err
	}
	if slices.Contains(e.Addrs, addr) {
		return nil // Docker 29 knew the name before
	}
	d.takeStable(ctx, e.ID, addr)
	kept, err := d.extend(ctx, e.ID, func(e *plan.Endpoint) {
		e.Stable, d.holders[addr] = addr, e.ID
	})
	if !kept {
		return errors.Join(err, d.config.Lender.Return(e.ID)) // the endpoint left meanwhile
	}
	d.log.InfoContext(ctx, "stable address set", "addr", addr, "endpoint", short(e.ID), "err", err)
	return err
}

// takeStable takes an address from an endpoint that Docker lost: the Lender
// lends it to the container's new one.
func (d *Driver) takeStable(ctx context.Context, id string, addr netip.Addr) {
	d.mu.Lock()
	lost := d.holders[addr]
	d.mu.Unlock()
	if lost == "" || lost == id {
		return
	}
	_, err := d.modify(lost, func(e *plan.Endpoint) {
		if e.Stable == addr {
			e.Stable = netip.Addr{}
		}
	})
	err = errors.Join(err, d.loop.Sync(ctx, lost))
	d.log.InfoContext(ctx, "stable address taken from an endpoint that docker lost", "addr", addr, "endpoint", short(lost), "by", short(id), "err", err)
}

// extend changes the record of a joined endpoint, unless it left meanwhile, and
// makes the kernel follow. Addresses that are new are probed beside. What the
// kernel did not take is a problem of the endpoint, which Run retries.
func (d *Driver) extend(ctx context.Context, id string, change func(*plan.Endpoint)) (done bool, err error) {
	var before []plan.Proxy
	e, err := d.modify(id, func(e *plan.Endpoint) {
		if !e.Joined || ctx.Err() != nil {
			return
		}
		before = proxies(d.planOf(*e))
		change(e)
		done = true
	})
	if !done {
		return false, err
	}
	d.tell(ctx, append([]string{id}, d.siblingsOf(id)...))
	d.mu.Lock()
	fresh := proxies(d.planOf(e))
	dad := d.networks[e.Network].DAD
	d.mu.Unlock()
	fresh = slices.DeleteFunc(fresh, func(p plan.Proxy) bool { return slices.Contains(before, p) })
	if dad != dadOff {
		d.probeBeside(id, fresh)
	}
	return true, err
}

// abandon ends what runs beside for an endpoint that leaves. Whoever calls
// holds mu.
func (d *Driver) abandon(e plan.Endpoint) {
	if a, ok := d.awaited[e.ID]; ok {
		a.cancel()
		delete(d.awaited, e.ID)
	}
	if d.holders[e.Stable] == e.ID {
		delete(d.holders, e.Stable)
	}
}

// giveBack returns the stable address of an endpoint that has none any more.
func (d *Driver) giveBack(id string) error {
	d.mu.Lock()
	holds := d.endpoints[id].Stable.IsValid()
	d.mu.Unlock()
	if holds {
		return nil
	}
	return d.config.Lender.Return(id)
}
