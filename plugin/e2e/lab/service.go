package lab

import (
	"context"
	_ "embed" // hold.sh
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed hold.sh
var holdScript string

// Service is a routing daemon or an etcd in the network of a node, with the
// machine's own files. The caller closes it.
type Service struct {
	node    *Node
	dir     string
	daemons [][]string // commands, in the order in which they are started
	ask     func(ctx context.Context, question string) (string, error)
	ready   string // a question that is answered once it runs
	running []*held
}

// held is a command of a node that ends with this process at the latest.
type held struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  Said
}

// network is the node without the files and processes of its own.
func (n *Node) network() *Node { return &Node{Name: n.Name, sandbox: n.NetNS()} }

func (n *Node) newService(config string) (*Service, error) {
	dir, err := os.MkdirTemp("", "ndp6-service-")
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o644))
	}
	if err != nil {
		return nil, fmt.Errorf("make a service of %s: %w", n.Name, err)
	}
	return &Service{node: n.network(), dir: dir}, nil
}

// Start starts the daemon again after Stop, and waits until it answers.
func (r *Service) Start(ctx context.Context) error {
	for _, command := range r.daemons[len(r.running):] {
		h := &held{cmd: r.node.command(context.WithoutCancel(ctx), append([]string{"sh", "-c", holdScript, "hold.sh"}, command...)...)}
		h.cmd.Stderr = &h.said
		h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		var err error
		if h.stdin, err = h.cmd.StdinPipe(); err == nil {
			err = h.cmd.Start()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("start %s on %s: %w", command[0], r.node.Name, err), r.Close())
		}
		r.running = append(r.running, h)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := r.Ask(ctx, r.ready)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("start service on %s: %w\n%s", r.node.Name, err, r.Said()), r.Close())
		}
	}
}

// Ask asks the daemon, as birdc or vtysh does.
func (r *Service) Ask(ctx context.Context, question string) (string, error) {
	return r.ask(ctx, question)
}

// Said is what the daemon wrote into its log.
func (r *Service) Said() string {
	var all []string
	for _, h := range r.running {
		all = append(all, h.said.String())
	}
	return strings.Join(all, "\n")
}

// Stop ends what speaks with other routers, with a signal such as KILL.
func (r *Service) Stop(signal string) error {
	last := r.running[len(r.running)-1]
	r.running = r.running[:len(r.running)-1]
	return last.end(signal)
}

// Close ends the daemon.
func (r *Service) Close() error {
	var errs []error
	for len(r.running) > 0 {
		errs = append(errs, r.Stop("TERM"))
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

func (h *held) end(signal string) error {
	_, err := io.WriteString(h.stdin, signal+"\n")
	err = errors.Join(err, h.stdin.Close(), h.cmd.Wait())
	if err != nil {
		return fmt.Errorf("end %s: %w\n%s", h.cmd.Args[len(h.cmd.Args)-1], err, &h.said)
	}
	return nil
}
