package plugin

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/engine"
	"github.com/ndp6/ndp6/plugin/metrics"
	"github.com/ndp6/ndp6/plugin/settings"
	"github.com/ndp6/ndp6/plugin/store"
	"github.com/ndp6/ndp6/plugin/sweep"
	"github.com/ndp6/ndp6/plugin/wire"
)

// A task runs beside Docker's calls until its context ends, and returns nil then.
type task func(ctx context.Context) error

// newSweeper returns the task that forgets what Docker forgot, none where
// Docker is not to be asked.
func newSweeper(s settings.Settings, networks *driver.Driver, addresses *ipam.IPAM, soon sweep.Requests, records *store.Store, log *slog.Logger) []task {
	if s.DockerSocket == "" {
		return nil
	}
	sweeper := sweep.New(sweep.Config{
		Log:      log,
		Docker:   engine.New(s.DockerSocket),
		Networks: networks, Addresses: addresses,
		Daemons: store.Lasting[sweep.Daemon](records, "daemons"),
		Soon:    soon,
	})
	return []task{sweeper.Run}
}

// newAdmin returns the tasks that serve the status and the metrics, without
// that of the local socket where it cannot be made: containers do not need it.
func newAdmin(s settings.Settings, p parts, tcp net.Listener, open *closers) []task {
	started := time.Now().UTC().Truncate(time.Second)
	server := &admin.Server{
		Log:     p.log,
		Status:  func(ctx context.Context) (admin.Status, error) { return p.status(ctx, started) },
		Metrics: metrics.NewHandler(func() (metrics.Snapshot, error) { return p.measure(started) }, p.log),
	}
	if p.member.Member != nil {
		server.Cluster = p.member
	}
	var tasks []task
	if tcp != nil {
		tasks = append(tasks, func(ctx context.Context) error { return server.RunMetrics(ctx, tcp) })
	}
	l, err := wire.Listen(admin.Socket(s.StateDir))
	if err != nil {
		p.log.Warn("status not served", "err", err)
		return tasks
	}
	open.add(l.Close)
	return append(tasks, func(ctx context.Context) error { return server.Run(ctx, l) })
}
