package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/ndp6/ndp6/plugin/e2e/bench/load"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// bench is a lab whose router has a link of its own to each host.
type bench struct {
	lab  *lab.Lab
	root string // of the hosts with Docker

	mu     sync.Mutex
	closes []func() error // in reverse
}

// later has close call a function. Several goroutines may call it.
func (b *bench) later(fn func() error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closes = append(b.closes, fn)
}

func (b *bench) close() error {
	var errs []error
	for _, c := range slices.Backward(b.closes) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// hostAddr is the address of the host with this number.
func hostAddr(number int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::2", number))
}

// pool is the prefix of the containers of a host, which the router routes there.
func pool(number int) netip.Prefix {
	return netip.MustParsePrefix(fmt.Sprintf("2001:db8:%d:a::/64", number))
}

// containerAddr is that of the first container.
func containerAddr(number int) netip.Addr { return pool(number).Addr().Next().Next() }

// wire takes a node off the LAN, whose bridge would be part of the path, and
// connects it to the router.
func (b *bench) wire(ctx context.Context, n *lab.Node, number int) error {
	if err := n.IP(ctx, "link del eth0"); err != nil {
		return err
	}
	link, host := fmt.Sprintf("p%d", number), hostAddr(number)
	if err := b.lab.Router.IP(ctx,
		fmt.Sprintf("link add %s type veth peer name eth0 netns %s", link, n.NetNS()),
		fmt.Sprintf("link set %s addrgenmode none up", link),
		fmt.Sprintf("addr add %s/64 dev %s nodad", host.Prev(), link),
		fmt.Sprintf("route add %s via %s", pool(number), host),
	); err != nil {
		return err
	}
	return n.IP(ctx,
		fmt.Sprintf("addr add %s/64 dev eth0 nodad", host),
		"link set eth0 up",
		fmt.Sprintf("route add default via %s dev eth0", host.Prev()),
	)
}

// What attach makes on a host: the bridge, and the container's port of it.
const (
	bridgeName = "nd-bench"
	portName   = "ndh-bench"
	portMAC    = "02:42:00:00:00:0a"
)

// attach makes a bridge on a host, as ndp6 does, with a container behind it.
func (b *bench) attach(ctx context.Context, p *path, host *lab.Node, number int) error {
	container, err := b.lab.AddNode(ctx, "container-"+host.Name, 100+number)
	if err != nil {
		return err
	}
	if err := host.SetSysctl("net/ipv6/conf/all/forwarding", "1"); err != nil {
		return err
	}
	for _, s := range []struct {
		node  *lab.Node
		lines []string
	}{
		{host, []string{
			"link add " + bridgeName + " type bridge mcast_snooping 0 forward_delay 0",
			"link set " + bridgeName + " addrgenmode none up",
			"addr add fe80::1/64 dev " + bridgeName + " nodad",
			fmt.Sprintf("route add %s dev %s", pool(number), bridgeName),
		}},
		{container, []string{
			"link del eth0",
			fmt.Sprintf("link add eth0 address %s type veth peer name %s netns %s", portMAC, portName, host.NetNS()),
		}},
		{host, []string{fmt.Sprintf("link set %s master %s addrgenmode none up", portName, bridgeName)}},
		{container, []string{
			fmt.Sprintf("addr add %s/64 dev eth0 nodad", containerAddr(number)),
			"link set eth0 up",
			"route add default via fe80::1 dev eth0",
		}},
	} {
		if err := s.node.IP(ctx, s.lines...); err != nil {
			return err
		}
	}
	p.target = netip.AddrPortFrom(containerAddr(number), load.Port)
	return b.serve(ctx, p, container)
}

// serve starts what answers in a container.
func (b *bench) serve(ctx context.Context, p *path, container *lab.Node) (err error) {
	if p.server, err = load.Start(ctx, p.name, container.NetNS()); err == nil {
		b.later(p.server.Close)
	}
	return err
}
