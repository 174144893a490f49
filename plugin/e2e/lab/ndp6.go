package lab

import (
	"context"
	"fmt"
	"net/http"
)

// PluginSocket is where Docker looks for the plugin that `-d ndp6` names.
const PluginSocket = "/run/docker/plugins/ndp6.sock"

// StartPlugin installs the binary, runs its serve command with these flags,
// and waits until it answers.
func (h *Host) StartPlugin(ctx context.Context, binary string, flags ...string) error {
	path, err := h.Install(binary)
	if err != nil {
		return err
	}
	d, err := h.start(ctx, "ndp6", append([]string{path, "serve", "--log-level=debug"}, flags...)...)
	if err != nil {
		return err
	}
	h.plugin = d
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return d.waitFor(ctx, func(ctx context.Context) error {
		return h.serves(ctx, PluginSocket, http.MethodPost, "/Plugin.Activate")
	})
}

// StopPlugin ends the plugin with a signal such as TERM or KILL.
func (h *Host) StopPlugin(ctx context.Context, signal string) error {
	if h.plugin == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := h.plugin.stop(ctx, signal)
	h.plugin = nil
	return err
}

// PluginMemory is how much memory the plugin that StartPlugin started has, in bytes.
func (h *Host) PluginMemory() (float64, error) {
	if h.plugin == nil {
		return 0, fmt.Errorf("no plugin runs on %s", h.Name)
	}
	return h.plugin.memory()
}

// PluginLog returns the last lines of what the plugin said, all when lines is 0.
func (h *Host) PluginLog(lines int) string { return h.log("ndp6", lines) }
