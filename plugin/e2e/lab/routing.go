package lab

import (
	"bytes"
	"context"
	_ "embed" // hold.sh
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed hold.sh
var holdScript string

// Where Debian has the daemons of FRR, outside of every PATH.
const frrDir = "/usr/lib/frr"

// Routing is a routing daemon in the network of a node, with the machine's own
// files. The caller closes it.
type Routing struct {
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
	said  lockedBuffer
}

// lockedBuffer is what a command has said by now.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(b.buf.String())
}

// network is the node without the files and processes of its own.
func (n *Node) network() *Node { return &Node{Name: n.Name, sandbox: n.NetNS()} }

// StartBIRD starts BIRD 2 with a configuration in the network of the node.
func (n *Node) StartBIRD(ctx context.Context, config string) (*Routing, error) {
	r, err := n.newRouting(config)
	if err != nil {
		return nil, err
	}
	control := filepath.Join(r.dir, "bird.ctl")
	// -R: what a killed one left in the kernel and with its peers is taken over.
	r.daemons = [][]string{{"bird", "-f", "-R", "-c", filepath.Join(r.dir, "config"), "-s", control, "-P", filepath.Join(r.dir, "bird.pid")}}
	r.ready = "show status"
	r.ask = func(ctx context.Context, question string) (string, error) {
		return r.node.Exec(ctx, append([]string{"birdc", "-s", control}, strings.Fields(question)...)...)
	}
	return r, r.Start(ctx)
}

// StartFRR starts FRR's zebra and bgpd, the latter with a configuration, in the
// network of the node.
func (n *Node) StartFRR(ctx context.Context, config string) (*Routing, error) {
	r, err := n.newRouting(config)
	if err != nil {
		return nil, err
	}
	// The daemons give up root, and their sockets are for those who may ask.
	if _, err := n.network().Exec(ctx, "chown", "-R", "frr:frrvty", r.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(r.dir))
	}
	for _, name := range []string{"zebra", "bgpd"} {
		r.daemons = append(r.daemons, []string{
			filepath.Join(frrDir, name), "-u", "frr", "-g", "frr", "-A", "::1", "-P", "0", "--log", "stdout",
			"--vty_socket", r.dir, "-z", filepath.Join(r.dir, "zserv.api"), "-i", filepath.Join(r.dir, name+".pid"),
		})
	}
	r.daemons[0] = append(r.daemons[0], "-K", "120")
	r.daemons[1] = append(r.daemons[1], "-f", filepath.Join(r.dir, "config"))
	r.ready = "show bgp ipv6 summary"
	r.ask = func(ctx context.Context, question string) (string, error) {
		return r.node.Exec(ctx, "vtysh", "--vty_socket", r.dir, "-c", question)
	}
	return r, r.Start(ctx)
}

func (n *Node) newRouting(config string) (*Routing, error) {
	dir, err := os.MkdirTemp("", "ndp6-routing-")
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o644))
	}
	if err != nil {
		return nil, fmt.Errorf("start routing on %s: %w", n.Name, err)
	}
	return &Routing{node: n.network(), dir: dir}, nil
}

// Start starts the daemon again after Stop, and waits until it answers.
func (r *Routing) Start(ctx context.Context) error {
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
			return errors.Join(fmt.Errorf("start routing on %s: %w\n%s", r.node.Name, err, r.Said()), r.Close())
		}
	}
}

// Ask asks the daemon, as birdc or vtysh does.
func (r *Routing) Ask(ctx context.Context, question string) (string, error) {
	return r.ask(ctx, question)
}

// Said is what the daemon wrote into its log.
func (r *Routing) Said() string {
	var all []string
	for _, h := range r.running {
		all = append(all, h.said.String())
	}
	return strings.Join(all, "\n")
}

// Stop ends what speaks with other routers, with a signal such as KILL.
func (r *Routing) Stop(signal string) error {
	last := r.running[len(r.running)-1]
	r.running = r.running[:len(r.running)-1]
	return last.end(signal)
}

// Close ends the daemon.
func (r *Routing) Close() error {
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
