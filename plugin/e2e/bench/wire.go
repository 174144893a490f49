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

// outside is the prefix that containers of a host are known under by NPTv6,
// which the router routes there.
func outside(number int) netip.Prefix {
	return netip.MustParsePrefix(fmt.Sprintf("2001:db8:%d:b::/64", number))
}

// fastPool is the prefix of the containers of a host that the fast path serves,
// which the router routes there.
func fastPool(number int) netip.Prefix {
	return netip.MustParsePrefix(fmt.Sprintf("2001:db8:%d:c::/64", number))
}

// containerAddr is that of the first container with addresses of a prefix.
func containerAddr(prefix netip.Prefix) netip.Addr { return prefix.Addr().Next().Next() }

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
		fmt.Sprintf("route add %s via %s", outside(number), host),
		fmt.Sprintf("route add %s via %s", fastPool(number), host),
	); err != nil {
		return err
	}
	return n.IP(ctx,
		fmt.Sprintf("addr add %s/64 dev eth0 nodad", host),
		"link set eth0 up",
		fmt.Sprintf("route add default via %s dev eth0", host.Prev()),
	)
}

// serve starts what answers in a container.
func (b *bench) serve(ctx context.Context, p *path, container *lab.Node) (err error) {
	if p.server, err = load.Start(ctx, p.name, container.NetNS()); err == nil {
		b.later(p.server.Close)
	}
	return err
}
