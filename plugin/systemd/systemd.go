// Package systemd tells the service manager how the process is. Where none
// runs it, that costs nothing.
package systemd

import (
	"context"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready says that Docker's calls are answered.
func Ready() error { return notify(daemon.SdNotifyReady) }

// Stopping says that the process ends because it was asked to.
func Stopping() error { return notify(daemon.SdNotifyStopping) }

// Watch says that the process is alive whenever alive returns nil, twice in
// the time after which the service manager would take it for dead, until ctx
// ends; it returns nil then. While alive does not return, nothing is said.
// Where nobody watches the process, it returns at once.
func Watch(ctx context.Context, alive func(context.Context) error) error {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read when systemd wants a sign of life: %w", err)
	}
	if limit == 0 {
		return nil
	}
	tick := time.NewTicker(limit / 2)
	defer tick.Stop()
	for {
		if err := alive(ctx); err == nil {
			if err := notify(daemon.SdNotifyWatchdog); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func notify(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("tell systemd %s: %w", state, err)
	}
	return nil
}
