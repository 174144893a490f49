package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Image is the name of the image that every engine of the lab has: BusyBox
// with its applets, among them httpd, wget, nc and ping.
const Image = "busybox"

// startTimeout is how long an engine or a plugin may take to answer.
const startTimeout = 2 * time.Minute

// StartEngine starts dockerd with these flags beside those that keep it inside
// the lab, waits until it answers, and gives it the image.
func (h *Host) StartEngine(ctx context.Context, flags ...string) error {
	args := append([]string{
		"dockerd",
		"--cgroup-parent=/" + h.cgroup,
		"--exec-opt=native.cgroupdriver=cgroupfs",
	}, flags...)
	d, err := h.start(ctx, "dockerd", args...)
	if err != nil {
		return err
	}
	h.engine = d
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := d.waitFor(ctx, h.pingEngine); err != nil {
		return err
	}
	return h.loadImage(ctx)
}

// loadImage gives the engine the image that it lacks.
func (h *Host) loadImage(ctx context.Context) error {
	if _, err := h.Docker(ctx, "image", "inspect", Image); err == nil {
		return nil
	}
	_, err := h.exec(ctx, bytes.NewReader(h.image), "docker", "import", "-", Image)
	return err
}

// StopEngine ends dockerd with a signal such as TERM or KILL.
func (h *Host) StopEngine(ctx context.Context, signal string) error {
	if h.engine == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := h.engine.stop(ctx, signal)
	h.engine = nil
	return err
}

// Docker runs the docker command with these arguments.
func (h *Host) Docker(ctx context.Context, args ...string) (string, error) {
	return h.Exec(ctx, append([]string{"docker"}, args...)...)
}

// EngineLog returns the last lines of what dockerd said, all when lines is 0.
func (h *Host) EngineLog(lines int) string { return h.log("dockerd", lines) }

// pingEngine asks the engine whether it serves.
func (h *Host) pingEngine(ctx context.Context) error {
	return h.serves(ctx, "/run/docker.sock", http.MethodGet, "/_ping")
}

// Call sends a request, whose body is JSON, to a socket of the host and returns
// the status and the answer.
func (h *Host) Call(ctx context.Context, socket, method, path string, body io.Reader) (int, string, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", h.Path(socket))
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://lab"+path, body)
	if err != nil {
		return 0, "", fmt.Errorf("%s %s: %w", method, path, err)
	}
	if body != http.NoBody {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("%s on %s: %w", socket, h.Name, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, "", fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return resp.StatusCode, strings.TrimSpace(string(answer)), nil
}

// serves returns nil when a socket answers an empty request with 200.
func (h *Host) serves(ctx context.Context, socket, method, path string) error {
	status, answer, err := h.Call(ctx, socket, method, path, http.NoBody)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s %s: status %d: %s", method, path, status, answer)
	}
	return err
}
