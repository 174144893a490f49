package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// runDir holds the logs, process ids and executables of the lab on each host.
const runDir = "/run/ndp6-lab"

// daemon is a long-running process of a host.
type daemon struct {
	host  *Host
	name  string
	enter *exec.Cmd     // nsenter, which ends when the process does
	done  chan struct{} // closed when it did
}

// StartDaemon runs a command of the host's, such as firewalld, until the host
// ends. Its output goes to a log that errors hold.
func (h *Host) StartDaemon(ctx context.Context, name string, args ...string) error {
	_, err := h.start(ctx, name, args...)
	return err
}

// start runs a command on the host until it is stopped. Its output is appended
// to a log.
func (h *Host) start(ctx context.Context, name string, args ...string) (*daemon, error) {
	if err := os.MkdirAll(h.Path(runDir), 0o755); err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", name, h.Name, err)
	}
	const script = `echo $$ >"$0.pid"; exec "$@" >>"$0.log" 2>&1`
	cmd := h.command(context.WithoutCancel(ctx), append([]string{"sh", "-c", script, filepath.Join(runDir, name)}, args...)...)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", name, h.Name, err)
	}
	d := &daemon{host: h, name: name, enter: cmd, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		_ = cmd.Wait() // The log says why it ended; who stops it waits for done.
	}()
	return d, nil
}

// waitFor calls check until it returns nil, the process ends, or ctx does.
func (d *daemon) waitFor(ctx context.Context, check func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-d.done:
			return fmt.Errorf("%s on %s ended at start:\n%s", d.name, d.host.Name, d.host.log(d.name, 20))
		case <-ctx.Done():
			return fmt.Errorf("wait for %s on %s: %w:\n%s", d.name, d.host.Name, err, d.host.log(d.name, 20))
		case <-tick.C:
		}
	}
}

// pid is that of the process, in the host's namespace.
func (d *daemon) pid() (string, error) {
	pid, err := os.ReadFile(d.host.Path(filepath.Join(runDir, d.name+".pid")))
	return strings.TrimSpace(string(pid)), err
}

// memory is how much the process has, in bytes.
func (d *daemon) memory() (float64, error) {
	pid, err := d.pid()
	if err != nil {
		return 0, fmt.Errorf("memory of %s on %s: %w", d.name, d.host.Name, err)
	}
	text, err := os.ReadFile(d.host.Path("/proc/" + pid + "/status"))
	if err != nil {
		return 0, fmt.Errorf("memory of %s on %s: %w", d.name, d.host.Name, err)
	}
	for line := range strings.Lines(string(text)) {
		var kibibytes float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kibibytes); err == nil {
			return kibibytes * 1024, nil
		}
	}
	return 0, fmt.Errorf("the kernel does not tell how much memory %s on %s has", d.name, d.host.Name)
}

// stop sends a signal such as TERM or KILL and waits for the end of the process.
func (d *daemon) stop(ctx context.Context, signal string) error {
	pid, err := d.pid()
	if err != nil {
		return fmt.Errorf("stop %s on %s: %w", d.name, d.host.Name, err)
	}
	_, killErr := d.host.Exec(ctx, "sh", "-c", "kill -"+signal+" "+pid)
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stop %s on %s: %w", d.name, d.host.Name, ctx.Err()), killErr)
	}
}

// log returns the last lines of what a process of the host said; all of them
// when lines is 0.
func (h *Host) log(name string, lines int) string {
	data, err := os.ReadFile(h.Path(filepath.Join(runDir, name+".log")))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if lines > 0 && len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}
