package lab

import (
	"context"
	_ "embed" // host.sh, wait.sh
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

//go:embed host.sh
var hostScript string

//go:embed wait.sh
var waitScript string

// hostNamespaces are those that end with the first process of a host.
const hostNamespaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID

// Host is a machine of the LAN with a Docker engine of its own: its mounts,
// processes and network are private, its data is in memory.
type Host struct {
	*Node

	Number int // in its address and MAC: see HostAddr and MAC
	image  []byte
	cgroup string
	engine *daemon
	plugin *daemon
}

// AddHost adds the host hNUMBER that runs on a Debian root, as Root gives it,
// or with an empty root on the machine's own files and its own dockerd.
func (l *Lab) AddHost(ctx context.Context, number int, root string) (*Host, error) {
	return l.addHost(ctx, number, hostScript+waitScript, root)
}

// addHost adds a host whose first process runs a script that begins with host.sh.
func (l *Lab) addHost(ctx context.Context, number int, script, root string) (*Host, error) {
	image, err := busyboxImage(ctx)
	if err != nil {
		return nil, err
	}
	node := &Node{Name: fmt.Sprintf("h%d", number), inside: true}
	command := []string{"sh", "-c", script, node.Name, filepath.Join(l.cache, "mnt")}
	if root != "" {
		command = append(command, root)
	}
	if _, err := hold(ctx, node, hostNamespaces|syscall.CLONE_NEWNS, command); err != nil {
		return nil, err
	}
	h := &Host{Node: node, Number: number, image: image, cgroup: l.cgroup}
	l.nodes = append(l.nodes, node)
	l.hosts = append(l.hosts, h)
	return h, l.connect(ctx, node, number)
}

// Sandbox is the network namespace of a running container as a node: what it
// sends has passed no check but those that a container's own traffic passes. It
// goes with the container.
func (h *Host) Sandbox(ctx context.Context, container string) (*Node, error) {
	pid, err := h.Docker(ctx, "inspect", "-f", "{{.State.Pid}}", container)
	if err != nil {
		return nil, err
	}
	path := h.Path(filepath.Join("/proc", strings.TrimSpace(pid), "ns/net"))
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("find the sandbox of %s: %w", container, err)
	}
	return &Node{Name: container, sandbox: path}, nil
}

// AddUplink gives the host a second link to the LAN, with the address of
// another number and without routes.
func (l *Lab) AddUplink(ctx context.Context, h *Host, link string, number int) error {
	if err := l.plug(ctx, h.Node, link, number); err != nil {
		return fmt.Errorf("add %s to %s: %w", link, h.Name, err)
	}
	return nil
}

// AddRouterLink gives the host a link to the router beside the LAN, without
// addresses but for the router's fe80::1.
func (l *Lab) AddRouterLink(ctx context.Context, h *Host, link string) error {
	end := h.Name + "-" + link
	if err := l.Router.IP(ctx,
		fmt.Sprintf("link add %s type veth peer name %s netns %d", end, link, h.pid()),
		"link set "+end+" addrgenmode none up",
		"addr add "+RouterLLA+"/64 dev "+end+" nodad",
	); err != nil {
		return fmt.Errorf("add %s to %s: %w", link, h.Name, err)
	}
	if err := h.SetSysctl("net/ipv6/conf/"+link+"/accept_dad", "0"); err != nil {
		return err
	}
	return h.IP(ctx, "link set "+link+" up")
}

// Addr is the host's address on the LAN, as text.
func (h *Host) Addr() string { return HostAddr(h.Number).String() }

// Install writes an executable to the host and returns its path there.
func (h *Host) Install(file string) (string, error) {
	dst := filepath.Join(runDir, "bin", filepath.Base(file))
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("install on %s: %w", h.Name, err)
	}
	if err := h.WriteFile(dst, data, 0o755); err != nil {
		return "", err
	}
	return dst, nil
}

// WriteFile writes a file of the host's, with the folders above it. A running
// executable can be replaced.
func (h *Host) WriteFile(name string, data []byte, mode os.FileMode) error {
	path := h.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s on %s: %w", name, h.Name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write %s on %s: %w", name, h.Name, err)
	}
	// A command that another goroutine starts meanwhile would have the open file
	// too for a moment, and the kernel does not run what someone can write.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, data, mode); err != nil {
		return fmt.Errorf("write %s on %s: %w", name, h.Name, err)
	}
	return nil
}
