package lab

import (
	"context"
	_ "embed" // reboot.sh
	"errors"
	"fmt"
	"os"
	"time"
)

//go:embed reboot.sh
var rebootScript string

// Reboot cuts the host's power and boots it again, with another boot id and
// without an engine or a plugin. Nothing is told to end: processes, links,
// namespaces and /run are gone, the rest of its files is as it was.
func (l *Lab) Reboot(ctx context.Context, h *Host) error {
	if err := l.reboot(ctx, h); err != nil {
		return fmt.Errorf("reboot %s: %w", h.Name, err)
	}
	return nil
}

func (l *Lab) reboot(ctx context.Context, h *Host) error {
	// The descriptor keeps the mounts while no process has them.
	mounts, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", h.pid()))
	if err != nil {
		return err
	}
	defer mounts.Close()
	if err := l.lan.IP(ctx, "link del "+portName(h.Number)); err != nil {
		return err
	}
	if err := h.close(); err != nil {
		return err
	}
	for _, d := range []*daemon{h.engine, h.plugin} {
		if d == nil {
			continue
		}
		select {
		case <-d.done:
		case <-time.After(startTimeout):
			return errors.New(d.name + " goes on without its host")
		}
	}
	h.engine, h.plugin = nil, nil
	command := []string{"nsenter", "--mount=/proc/self/fd/3", "--", "sh", "-c", rebootScript + waitScript, h.Name}
	if _, err := hold(ctx, h.Node, hostNamespaces, command, mounts); err != nil {
		return err
	}
	return l.connect(ctx, h.Node, h.Number)
}
