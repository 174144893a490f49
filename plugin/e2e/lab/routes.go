package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/ndp6/ndp6/netutil/kernel"
)

// Routes notes when routes of one protocol come to a node, change and go. The
// caller closes it.
type Routes struct {
	node     *Node
	protocol int
	conn     *kernel.Conn
	stop     context.CancelFunc
	done     chan struct{}

	mu    sync.Mutex
	known map[netip.Prefix]noted
	news  chan struct{} // closed, and made anew, when there are any
	err   error         // why nothing is noted any more
}

// A Moment is when a change was seen: it was there between two moments of this
// process.
type Moment struct {
	Told time.Time // when the kernel told that there is news
	Seen time.Time // when the news was read
}

// noted is what was last seen of a destination.
type noted struct {
	there bool
	via   netip.Addr // not valid for what has no next hop
	at    Moment
}

// Routes begins to note the routes of a protocol, such as 167.
func (n *Node) Routes(ctx context.Context, protocol int) (*Routes, error) {
	r := &Routes{node: n, protocol: protocol, known: map[netip.Prefix]noted{}, done: make(chan struct{}), news: make(chan struct{})}
	err := n.do(func() (err error) {
		r.conn, err = kernel.Open()
		return err
	})
	if err == nil {
		if err = errors.Join(r.conn.Listen(), r.look()); err != nil {
			err = errors.Join(err, r.conn.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("note the routes of %s: %w", n.Name, err)
	}
	ctx, r.stop = context.WithCancel(ctx)
	go r.run(ctx)
	return r, nil
}

func (r *Routes) run(ctx context.Context) {
	defer close(r.done)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := r.conn.Watch(ctx, func(e kernel.Event) {
		if e.Lost || e.Kind == kernel.KindRoute && e.Protocol == r.protocol {
			if err := r.look(); err != nil {
				cancel(err)
			}
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = errors.Join(err, context.Cause(ctx))
}

// look compares the kernel's routes with what was noted.
func (r *Routes) look() error {
	at := Moment{Told: time.Now()}
	all, err := r.conn.Routes()
	if err != nil {
		return err
	}
	at.Seen = time.Now()
	seen := map[netip.Prefix]noted{}
	for _, route := range all {
		if route.Protocol == r.protocol {
			seen[route.Dst] = noted{there: true, via: route.Via}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for dst := range r.known {
		seen[dst] = noted{there: seen[dst].there, via: seen[dst].via} // What is gone is in the list, too.
	}
	for dst, now := range seen {
		if was := r.known[dst]; was.there != now.there || was.via != now.via {
			now.at = at
			r.known[dst] = now
		}
	}
	close(r.news)
	r.news = make(chan struct{})
	return nil
}

// Came waits until there is a route to dst, and returns when it came.
func (r *Routes) Came(ctx context.Context, dst netip.Prefix) (Moment, error) {
	return r.wait(ctx, dst, "there", func(n noted) bool { return n.there })
}

// Left waits until there is none, and returns when it went.
func (r *Routes) Left(ctx context.Context, dst netip.Prefix) (Moment, error) {
	return r.wait(ctx, dst, "gone", func(n noted) bool { return !n.there })
}

// Led waits until the next hop to dst is via, and returns since when it is.
func (r *Routes) Led(ctx context.Context, dst netip.Prefix, via netip.Addr) (Moment, error) {
	return r.wait(ctx, dst, "via "+via.String(), func(n noted) bool { return n.via == via })
}

func (r *Routes) wait(ctx context.Context, dst netip.Prefix, want string, is func(noted) bool) (Moment, error) {
	for {
		r.mu.Lock()
		known, news := r.known[dst], r.news
		r.mu.Unlock()
		if is(known) {
			return known.at, nil
		}
		err := errors.New("nobody notes any more")
		select {
		case <-news:
			continue
		case <-r.done:
			r.mu.Lock()
			err = errors.Join(err, r.err)
			r.mu.Unlock()
		case <-ctx.Done():
			err = ctx.Err()
		}
		return Moment{}, fmt.Errorf("route of %s to %s: want it %s, have %+v: %w", r.node.Name, dst, want, known, err)
	}
}

// Close ends the noting.
func (r *Routes) Close() error {
	r.stop()
	<-r.done
	return r.conn.Close()
}
