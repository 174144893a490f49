// Package peer runs what else answers neighbor solicitations on a host: ndppd,
// and whatever a command line starts.
package peer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// Process is one that answers. The caller closes it.
type Process struct {
	name string
	cmd  *exec.Cmd
	said lab.Said
	done chan struct{} // closed when it ended
	dir  string        // of its files, removed at the end
}

// Start runs a command line in the network namespace at path, with {link} and
// {prefix} replaced. It does not wait until the process answers.
func Start(ctx context.Context, path, line, link string, prefix netip.Prefix) (*Process, error) {
	words := strings.Fields(strings.NewReplacer("{link}", link, "{prefix}", prefix.String()).Replace(line))
	if len(words) == 0 {
		return nil, errors.New("start a responder: the command is empty")
	}
	// The process must outlive ctx: Close ends it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), words[0], words[1:]...)
	p := &Process{name: words[0], cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	// A group of its own: what it starts ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := netns.Do(path, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", line, err)
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // Ended says what it said.
	}()
	return p, nil
}

// Ndppd runs Debian's ndppd, which answers on a link for all of a prefix.
func Ndppd(ctx context.Context, path, link string, prefix netip.Prefix) (*Process, error) {
	dir, err := os.MkdirTemp("", "ndp6-bench-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "ndppd.conf")
	text := fmt.Sprintf("proxy %s {\n  router no\n  rule %s {\n    static\n  }\n}\n", link, prefix)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p, err := Start(ctx, path, "ndppd -c "+file, link, prefix)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p.dir = dir
	return p, nil
}

// Ended returns an error with what the process said when it runs no more.
func (p *Process) Ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %s", p.name, &p.said)
	default:
		return nil
	}
}

// CPU is the time that the CPUs spent for the process so far.
func (p *Process) CPU() (time.Duration, error) {
	return CPU(p.cmd.Process.Pid)
}

// CPU is the time that the CPUs spent for all threads of a process that runs.
func CPU(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	var all time.Duration
	for _, f := range files {
		text, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // The thread ended.
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", f, err)
		}
		all += time.Duration(ns)
	}
	return all, nil
}

// Close ends the process and what it started.
func (p *Process) Close() error {
	err := p.Ended()
	if killErr := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); killErr != nil && !errors.Is(killErr, syscall.ESRCH) {
		err = errors.Join(err, fmt.Errorf("end %s: %w", p.name, killErr))
	}
	<-p.done
	if p.dir != "" {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return err
}
