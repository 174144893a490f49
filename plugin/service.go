package plugin

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/plugin/systemd"
	"github.com/ndp6/ndp6/plugin/wire"
)

// listen takes the sockets that systemd passed, and makes those of the paths
// that are not among them.
func listen(paths []string) ([]*wire.Listener, error) {
	listeners, err := wire.Inherit()
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if slices.ContainsFunc(listeners, func(l *wire.Listener) bool { return l.Path() == path }) {
			continue
		}
		l, err := wire.Listen(path)
		if err != nil {
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// serviceTasks tell the service manager, if one runs the process, that the loop
// which keeps the host is alive, and that the process stops.
func serviceTasks(networks *driver.Driver, log *slog.Logger) []task {
	say := func(err error) {
		if err != nil {
			log.Warn("service manager not told", "err", err)
		}
	}
	return []task{
		func(ctx context.Context) error {
			say(systemd.Watch(ctx, networks.Alive))
			return nil
		},
		func(ctx context.Context) error {
			<-ctx.Done()
			say(systemd.Stopping())
			return nil
		},
	}
}
