// Package kernel reads and writes the links, addresses, routes, neighbors and
// sysctls of one network namespace, and tells what changes there.
//
// Writes can be repeated: adding what is there succeeds, and so does removing
// what is gone. Reads return complete tables, never one that changed midway.
//
// Requests are built with vishvananda/netlink's codecs and sent over a socket
// of our own. The library's Handle hides its port id, without which Watch
// could not tell a Conn's own changes from those of others, and it can neither
// read nor write the protocol of a neighbor.
package kernel

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrNotFound is wrapped by errors about a link or a sysctl that does not exist.
var ErrNotFound = errors.New("not found")

// Conn is a connection to the kernel for one network namespace. Its methods
// may be called from any goroutine; sysctls are the exception, see Sysctl.
type Conn struct {
	// SysctlDir is the directory that the leading "net" of a sysctl's key
	// stands for. Open sets it to /proc/sys/net.
	SysctlDir string

	requests *pool
	// names finds links by name and index, which waits for nothing.
	names *socket
	// dumps reads tables, so that a long one keeps no change waiting.
	dumps *socket
	// removals takes what is slow, and keeps other changes from waiting for it.
	removals *socket
	flows    *flows
	events   *subscription
}

// Open connects to the network namespace of the calling thread. The caller
// closes the Conn.
func Open() (*Conn, error) {
	c := &Conn{SysctlDir: "/proc/sys/net"}
	var err error
	if c.requests, err = openPool(); err != nil {
		return nil, fmt.Errorf("open netlink sockets: %w", err)
	}
	if c.names, err = openSocket(unix.NETLINK_ROUTE, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink socket for names: %w", err), c.Close())
	}
	if c.dumps, err = openSocket(unix.NETLINK_ROUTE, receiveSize); err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink socket for tables: %w", err), c.Close())
	}
	if c.removals, err = openSocket(unix.NETLINK_ROUTE, receiveSize); err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink socket for removals: %w", err), c.Close())
	}
	if c.flows, err = openFlows(); err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink socket for flows: %w", err), c.Close())
	}
	// Watch runs on whatever thread it likes, so its socket is opened here too.
	if c.events, err = openSubscription(); err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink socket for events: %w", err), c.Close())
	}
	return c, nil
}

// Close closes the Conn and ends Watch with an error. Closing again succeeds.
func (c *Conn) Close() error {
	return errors.Join(c.events.close(), c.flows.close(), c.removals.close(), c.dumps.close(), c.names.close(), c.requests.close())
}

// own reports whether the port is that of a socket by which c changes things.
func (c *Conn) own(port uint32) bool {
	return c.requests.has(port) || port == c.removals.pid
}

// Index returns the index of the link with this name, and ErrNotFound if there is
// none. It waits for nobody: an ioctl costs a tenth of a netlink request, and
// netlink sockets take those of links.
func (c *Conn) Index(name string) (int, error) {
	if err := checkName(name); err != nil {
		return 0, err
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, fmt.Errorf("link %q: %w", name, err)
	}
	if err := c.names.ioctl(unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, linkError(name, err)
	}
	return int(ifr.Uint32()), nil
}

// name returns the name of the link with this index, empty if there is none.
func (c *Conn) name(index int) string {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return ""
	}
	ifr.SetUint32(uint32(index))
	if err := c.names.ioctl(unix.SIOCGIFNAME, ifr); err != nil {
		return ""
	}
	return ifr.Name()
}

// namer returns c.name with a memory, for the length of one dump.
func (c *Conn) namer() func(index int) string {
	seen := map[int]string{0: ""}
	return func(index int) string {
		name, ok := seen[index]
		if !ok {
			name = c.name(index)
			seen[index] = name
		}
		return name
	}
}

// linkError says that err came from looking for a link.
func linkError(name string, err error) error {
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("link %q: %w", name, ErrNotFound)
	}
	return fmt.Errorf("link %q: %w", name, err)
}
