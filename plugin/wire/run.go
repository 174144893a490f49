package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// Run answers calls on the listeners until ctx ends, and then returns nil. It
// closes the listeners at once, lets calls in flight finish for the drain time
// (their contexts end a little before it, so that they can still say so), and
// reports those that did not.
func (s *Server) Run(ctx context.Context, listeners ...*Listener) error {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler:           s,
		BaseContext:       func(net.Listener) context.Context { return calls },
		ReadHeaderTimeout: bodyWait,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		g.Go(func() error {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve on socket %s: %w", l.path, err)
			}
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		last := time.AfterFunc(s.drain-s.drain/10, cancel)
		defer last.Stop()
		return s.stop(srv)
	})
	return g.Wait()
}

// stop drains srv. An old process that kept its connections would go on
// answering dockerd beside the new one.
func (s *Server) stop(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
		if n := s.inFlight.Load(); n > 0 {
			err = errors.Join(fmt.Errorf("stop: %d calls had no answer after %s", n, s.drain), err)
		}
	}
	return err
}
