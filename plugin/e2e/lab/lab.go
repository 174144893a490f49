// Package lab builds a small internet on one machine: a LAN with its router, a
// host behind the router, and Docker hosts of several versions. It serves the
// end-to-end tests, the benchmarks and the demonstration, and needs root.
//
//	outside --- router --- lan (bridge) --- h1, h2, ...
//
// Every namespace is held by one process whose standard input is a pipe from
// this one. When the run ends, however it ends, the pipe closes, and processes,
// mounts and links go with their namespace. Only cgroups can outlive a killed
// run; the next one removes them.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Addresses of the lab. Every lab has the same ones, in its own namespaces.
const (
	LAN         = "2001:db8:1::/64" // on-link prefix of the LAN
	RouterLLA   = "fe80::1"         // router's address on the LAN, everyone's default gateway
	RouterGUA   = "2001:db8:1::1"
	RouterMAC   = "02:42:00:00:00:01"
	Outside     = "2001:db8:2::2" // the host behind the router
	OutsideIPv4 = "192.0.2.130"
	routerIPv4  = "192.0.2.126"
)

// Options say where a lab keeps its roots and reports what it does.
type Options struct {
	Cache string    // folder of the Debian roots; empty means NDP6_LAB_CACHE, or /var/cache/ndp6-lab
	Log   io.Writer // progress, one line each; nil means none
}

// Lab is one LAN with its router and its hosts. The caller closes it.
type Lab struct {
	Router  *Node
	Outside *Node

	lan    *Node
	cache  string
	cgroup string // of all containers
	log    io.Writer
	hosts  []*Host
	nodes  []*Node
}

// New makes the LAN, the router and the host behind it, after removing what
// killed runs left.
func New(ctx context.Context, o Options) (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("make namespaces: the lab needs root")
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	l := &Lab{cache: o.Cache, log: o.Log}
	if l.cache == "" {
		l.cache = CacheDir()
	}
	if err := os.MkdirAll(filepath.Join(l.cache, "mnt"), 0o755); err != nil {
		return nil, fmt.Errorf("make the cache of the lab: %w", err)
	}
	if err := sweepCgroups(); err != nil {
		l.logf("sweep: %v", err)
	}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// CacheDir is the folder of the Debian roots: NDP6_LAB_CACHE, or
// /var/cache/ndp6-lab.
func CacheDir() string {
	if dir := os.Getenv("NDP6_LAB_CACHE"); dir != "" {
		return dir
	}
	return "/var/cache/ndp6-lab"
}

// Close ends everything of the lab. It may be called more than once.
func (l *Lab) Close() error {
	var errs []error
	for _, n := range l.nodes {
		errs = append(errs, n.close())
	}
	l.nodes, l.hosts = nil, nil
	if l.cgroup != "" {
		errs = append(errs, removeCgroups(l.cgroup))
	}
	return errors.Join(errs...)
}

// build makes the nodes that every lab has and wires them.
func (l *Lab) build(ctx context.Context) error {
	var err error
	for _, n := range []struct {
		name string
		node **Node
	}{{"lan", &l.lan}, {"router", &l.Router}, {"outside", &l.Outside}} {
		if *n.node, err = l.addNode(ctx, n.name); err != nil {
			return err
		}
	}
	l.cgroup = cgroupName(os.Getpid(), l.lan.pid())
	steps := []struct {
		node  *Node
		lines []string
	}{
		{l.lan, []string{
			"link add lan type bridge mcast_snooping 0 forward_delay 0",
			"link set lan addrgenmode none up",
		}},
		{l.Router, []string{
			fmt.Sprintf("link add outside address 02:42:00:00:02:01 type veth peer name eth0 address 02:42:00:00:02:02 netns %d", l.Outside.pid()),
			fmt.Sprintf("link add lan address %s type veth peer name router netns %d", RouterMAC, l.lan.pid()),
			"link set lan addrgenmode none",
			"addr add fe80::1/64 dev lan nodad",
			"addr add " + RouterGUA + "/64 dev lan nodad",
			"addr add " + routerIPv4 + "/25 dev lan",
			"addr add 2001:db8:2::1/64 dev outside nodad",
			"addr add 192.0.2.129/25 dev outside",
			"link set lan up",
			"link set outside up",
		}},
		{l.lan, []string{"link set router master lan addrgenmode none up"}},
		{l.Outside, []string{
			"addr add " + Outside + "/64 dev eth0 nodad",
			"addr add " + OutsideIPv4 + "/25 dev eth0",
			"link set eth0 up",
			"route add default via 2001:db8:2::1 dev eth0",
			"route add default via 192.0.2.129 dev eth0",
		}},
	}
	if err := l.Router.SetSysctl("net/ipv6/conf/all/forwarding", "1"); err != nil {
		return err
	}
	if err := l.Router.SetSysctl("net/ipv4/ip_forward", "1"); err != nil {
		return err
	}
	for _, s := range steps {
		if err := s.node.IP(ctx, s.lines...); err != nil {
			return err
		}
	}
	return l.settle(ctx, netip.MustParseAddr(Outside))
}

// AddNode adds a plain neighbor to the LAN, without Docker, with the address
// 2001:db8:1::NUMBER on its link eth0, whose MAC is the one that MAC tells.
func (l *Lab) AddNode(ctx context.Context, name string, number int) (*Node, error) {
	n, err := l.addNode(ctx, name)
	if err != nil {
		return nil, err
	}
	return n, l.connect(ctx, n, number)
}

// MAC is the address of the link of the LAN's node with this number.
func MAC(number int) string { return fmt.Sprintf("02:42:00:00:01:%02x", number) }

// HostAddr is the address of the LAN's node with this number.
func HostAddr(number int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:1::%x", number))
}

// LinkLocal is the link-local address of the LAN's node with this number.
func LinkLocal(number int) netip.Addr { return SLAAC(netip.MustParsePrefix("fe80::/64"), number) }

// SLAAC is the address that the LAN's node with this number gives itself in a /64.
func SLAAC(prefix netip.Prefix, number int) netip.Addr {
	b := prefix.Addr().As16()
	copy(b[8:], []byte{0, 0x42, 0, 0xff, 0xfe, 0, 1, byte(number)}) // RFC 4291 appendix A, of MAC(number)
	return netip.AddrFrom16(b)
}

// connect plugs the link eth0 of n into the LAN and gives it the addresses and
// the default routes of the node with this number.
func (l *Lab) connect(ctx context.Context, n *Node, number int) error {
	if err := l.plug(ctx, n, "eth0", number); err != nil {
		return err
	}
	if err := n.IP(ctx, "route add default via "+RouterLLA+" dev eth0", "route add default via "+routerIPv4+" dev eth0"); err != nil {
		return err
	}
	return l.settle(ctx, HostAddr(number))
}

// settle waits until the router reaches addr. A link that just came up loses
// its first packets, and what is sent to it then waits for the next solicitation.
func (l *Lab) settle(ctx context.Context, addr netip.Addr) error {
	for {
		_, err := l.Router.Ping(ctx, addr, 100*time.Millisecond)
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// portName is the LAN's end of the link of the node with this number.
func portName(number int) string { return fmt.Sprintf("port%d", number) }

// plug makes a link of n that is a port of the LAN, with the addresses of the
// node with this number.
func (l *Lab) plug(ctx context.Context, n *Node, link string, number int) error {
	port := portName(number)
	if err := l.lan.IP(ctx,
		fmt.Sprintf("link add %s type veth peer name %s address %s netns %d", port, link, MAC(number), n.pid()),
		fmt.Sprintf("link set %s master lan addrgenmode none up", port),
	); err != nil {
		return err
	}
	// The lab's own links start without duplicate address detection; the rest of the host is as a new host is.
	if err := n.SetSysctl("net/ipv6/conf/"+link+"/accept_dad", "0"); err != nil {
		return err
	}
	return n.IP(ctx,
		fmt.Sprintf("addr add %s/64 dev %s nodad", HostAddr(number), link),
		fmt.Sprintf("addr add 192.0.2.%d/25 dev %s", number, link),
		fmt.Sprintf("link set %s up", link),
	)
}

// Unplug has the LAN lose a host without a word: the host's own link stays up.
func (l *Lab) Unplug(ctx context.Context, h *Host) error {
	return l.lan.IP(ctx, "link set "+portName(h.Number)+" nomaster")
}

// Plug undoes Unplug.
func (l *Lab) Plug(ctx context.Context, h *Host) error {
	if err := l.lan.IP(ctx, "link set "+portName(h.Number)+" master lan"); err != nil {
		return err
	}
	return l.settle(ctx, HostAddr(h.Number))
}

func (l *Lab) addNode(ctx context.Context, name string) (*Node, error) {
	n, err := startNode(ctx, name)
	if err != nil {
		return nil, err
	}
	l.nodes = append(l.nodes, n)
	return n, nil
}

func (l *Lab) logf(format string, args ...any) {
	fmt.Fprintf(l.log, "lab: "+format+"\n", args...)
}
