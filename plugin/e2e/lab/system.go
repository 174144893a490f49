package lab

import (
	"context"
	_ "embed" // system.sh
	"fmt"
	"strings"
	"time"
)

//go:embed system.sh
var systemScript string

// AddSystem adds a host like [Lab.AddHost] that systemd runs. The root must
// have it. Of its services only those that systemd itself needs are started.
func (l *Lab) AddSystem(ctx context.Context, number int, root string) (*Host, error) {
	name := fmt.Sprintf("%s/h%d", l.cgroup, number)
	// host.sh takes the first two arguments.
	h, err := l.addHost(ctx, number, hostScript+"\nset -- "+name+"\n"+systemScript, root)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		out, err := h.Exec(ctx, "systemctl", "is-system-running")
		state := strings.TrimSpace(out)
		switch {
		case state == "running":
			return h, nil
		case state == "degraded":
			failed, _ := h.Exec(ctx, "systemctl", "list-units", "--failed", "--no-legend", "--plain") // The error that follows is the one to tell.
			return nil, fmt.Errorf("boot %s: units are down:\n%s", h.Name, failed)
		case ctx.Err() != nil:
			return nil, fmt.Errorf("boot %s: still %q: %w", h.Name, state, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// StartService starts a unit of a host that systemd runs.
func (h *Host) StartService(ctx context.Context, unit string) error {
	if _, err := h.Exec(ctx, "systemctl", "start", unit); err != nil {
		log, _ := h.Exec(ctx, "journalctl", "--no-pager", "-n", "30", "-u", unit) // The error that follows is the one to tell.
		return fmt.Errorf("%w\n%s", err, log)
	}
	return nil
}

// StartEngineService starts docker.service and gives it the image.
func (h *Host) StartEngineService(ctx context.Context) error {
	if err := h.StartService(ctx, "docker.service"); err != nil {
		return err
	}
	return h.loadImage(ctx)
}

// Journal returns the last lines of what a unit said, all when lines is 0.
func (h *Host) Journal(ctx context.Context, unit string, lines int) string {
	args := []string{"journalctl", "--no-pager", "-o", "cat", "-u", unit}
	if lines > 0 {
		args = append(args, "-n", fmt.Sprint(lines))
	}
	out, err := h.Exec(ctx, args...)
	if err != nil {
		return err.Error()
	}
	return out
}
