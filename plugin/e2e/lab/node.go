package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/netns"
)

// Node is a network namespace of a lab, and for a Host also mounts and
// processes of its own. It lives until its lab is closed.
type Node struct {
	Name string

	holder  *exec.Cmd // its namespaces are the node's
	stdin   io.Closer // the holder ends when this closes
	inside  bool      // commands run in the holder's mounts and processes too
	sandbox string    // of a container: the path of its namespace, in place of a holder
}

// plainNode holds a network namespace. cat ends when the run does.
const plainNode = `ip link set lo up && echo ready && exec cat`

func startNode(ctx context.Context, name string) (*Node, error) {
	return hold(ctx, &Node{Name: name}, syscall.CLONE_NEWNET, []string{"sh", "-c", plainNode, name})
}

// hold starts the process that holds n's namespaces: a command that says
// "ready" and waits for the end of its input. It finds files as its
// descriptors 3 and on.
func hold(ctx context.Context, n *Node, namespaces uintptr, command []string, files ...*os.File) (*Node, error) {
	// The process must outlive ctx: Close ends it, or the end of this process.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...)
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Setpgid: true}
	cmd.Env = environ()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", n.Name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", n.Name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", n.Name, err)
	}
	n.holder, n.stdin = cmd, stdin
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		closeErr := n.close()
		return nil, errors.Join(fmt.Errorf("start %s: %s", n.Name, strings.TrimSpace(line+stderr.String())), closeErr)
	}
	return n, nil
}

func (n *Node) pid() int { return n.holder.Process.Pid }

// NetNS is the path of the node's network namespace.
func (n *Node) NetNS() string {
	if n.sandbox != "" {
		return n.sandbox
	}
	return fmt.Sprintf("/proc/%d/ns/net", n.pid())
}

// Path is where this process finds a file of the node's. The last element
// must not be an absolute link.
func (n *Node) Path(name string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", n.pid()), name)
}

// Exec runs a command in the node, without a shell, and returns what it
// printed. The error of one that exits with another code than 0 holds what it said.
func (n *Node) Exec(ctx context.Context, args ...string) (string, error) {
	return n.exec(ctx, nil, args...)
}

func (n *Node) exec(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := n.command(ctx, args...)
	cmd.Stdin = stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %s: %w: %s", n.Name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// command prepares a command in the node. Not "ip netns exec": that hides the cgroups.
func (n *Node) command(ctx context.Context, args ...string) *exec.Cmd {
	enter := []string{"--net=" + n.NetNS()}
	if n.inside {
		enter = append(enter, "--target", fmt.Sprint(n.pid()), "--mount", "--pid")
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(append(enter, "--"), args...)...)
	cmd.Env = environ()
	cmd.WaitDelay = 2 * time.Second // A child in another PID namespace survives nsenter and holds the pipes.
	return cmd
}

// IP runs lines of ip(8) commands in one go, such as "link set eth0 up".
func (n *Node) IP(ctx context.Context, lines ...string) error {
	_, err := n.exec(ctx, strings.NewReader(strings.Join(lines, "\n")+"\n"), "ip", "-batch", "-")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, strings.Join(lines, "\n"))
	}
	return nil
}

// SetSysctl writes a sysctl of the node's namespace, such as net/ipv4/ip_forward.
func (n *Node) SetSysctl(key, value string) error {
	return n.do(func() error { return os.WriteFile("/proc/sys/"+key, []byte(value), 0o644) })
}

// Sysctl reads a sysctl of the node's namespace.
func (n *Node) Sysctl(key string) (string, error) {
	var value []byte
	err := n.do(func() (err error) {
		value, err = os.ReadFile("/proc/sys/" + key)
		return err
	})
	return strings.TrimSpace(string(value)), err
}

// Touch changes the node's loopback link so many times, to no effect, and returns
// how long the kernel took: it changes links of all namespaces one by one.
func (n *Node) Touch(times int) (took time.Duration, err error) {
	var conn *kernel.Conn
	if err := n.do(func() (err error) {
		conn, err = kernel.Open()
		return err
	}); err != nil {
		return 0, err
	}
	begin := time.Now()
	for i := range times {
		err = errors.Join(err, conn.SetMTU("lo", 65535+i%2))
	}
	took = time.Since(begin)
	return took, errors.Join(err, conn.Close())
}

// do calls fn in the node's network namespace.
func (n *Node) do(fn func() error) error {
	if err := netns.Do(n.NetNS(), fn); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

// close ends the holder, and with it all that lives in its namespaces.
func (n *Node) close() error {
	n.stdin.Close()
	if err := n.holder.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", n.Name, err)
	}
	var exit *exec.ExitError
	if err := n.holder.Wait(); err != nil && !errors.As(err, &exit) && !strings.Contains(err.Error(), "Wait was already called") {
		return fmt.Errorf("end %s: %w", n.Name, err)
	}
	return nil
}

// environ is what commands of the lab see of the caller's environment: nothing.
func environ() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
		"LC_ALL=C.UTF-8",
	}
}
