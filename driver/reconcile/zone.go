package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ndp6/ndp6/netutil/firewalld"
)

const (
	// busPeriod is how often a bus is looked for where there was none.
	busPeriod = time.Minute
	// busTimeout ends the wait for a firewalld that does not answer.
	busTimeout = 5 * time.Second
)

// A zone keeps our bridges in a zone of firewalld that accepts, where
// firewalld runs. The nil zone does nothing.
type zone struct {
	log *slog.Logger

	mu   sync.Mutex
	conn *firewalld.Conn // nil where firewalld does not run
	// have are the bridges that are in the zone, unless it is stale.
	have  []string
	stale bool
}

// set makes the bridges the members of the zone.
func (z *zone) set(bridges []string) error {
	if z == nil {
		return nil
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.conn == nil || !z.stale && slices.Equal(z.have, bridges) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), busTimeout)
	defer cancel()
	err := z.conn.SetBridges(ctx, bridges)
	if len(bridges) == 0 {
		err = errors.Join(err, z.conn.Remove(ctx))
	}
	if errors.Is(err, firewalld.ErrNotRunning) {
		return nil // run notices when it is back
	}
	z.have, z.stale = slices.Clone(bridges), err != nil
	return err
}

// run follows firewalld until ctx ends: changed is called where the bridges
// are to be set again.
func (z *zone) run(ctx context.Context, changed func()) {
	if z == nil {
		<-ctx.Done()
	}
	for ctx.Err() == nil {
		conn, err := firewalld.Dial(ctx)
		if err == nil {
			z.use(conn)
			err = conn.Watch(ctx, func() {
				z.outdate()
				changed()
			})
			z.use(nil)
			err = errors.Join(err, conn.Close())
		}
		if err != nil && !errors.Is(err, firewalld.ErrNotRunning) && ctx.Err() == nil {
			z.log.Warn("firewalld not followed, tried again in a minute", "err", err)
		}
		sleep(ctx, busPeriod)
	}
}

func (z *zone) use(conn *firewalld.Conn) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.conn, z.stale = conn, true
}

func (z *zone) outdate() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.stale = true
}
