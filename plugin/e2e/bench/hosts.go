package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/plugin/e2e/bench/load"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// path is a way from the router through a host of its own to a container.
type path struct {
	name   string
	target netip.AddrPort
	server *load.Process
	rules  *nft.Conn // what holds ours; nil where none are
}

// Names of the paths.
const (
	pathPlain  = "no rules"
	pathNDP6   = "ndp6"
	pathBridge = "docker bridge"
	pathRouted = "docker routed"
)

// published is what each container publishes.
var published = strings.Fields(fmt.Sprintf("-p %[1]d:%[1]d -p %[1]d:%[1]d/udp", load.Port))

// bench is a lab whose router has a link of its own to each host.
type bench struct {
	lab    *lab.Lab
	root   string
	closes []func() error
}

func (b *bench) close() error {
	var errs []error
	for _, c := range slices.Backward(b.closes) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// subnet is the prefix of the link between the router, ::1, and a host, ::2.
func subnet(number int) string { return fmt.Sprintf("2001:db8:%d:", number) }

// wire takes a node off the LAN, whose bridge would be part of the path, and
// connects it to the router. What begins with inner is behind it.
func (b *bench) wire(ctx context.Context, n *lab.Node, number int) error {
	if err := n.IP(ctx, "link del eth0"); err != nil {
		return err
	}
	link := fmt.Sprintf("p%d", number)
	if err := b.lab.Router.IP(ctx,
		fmt.Sprintf("link add %s type veth peer name eth0 netns %s", link, n.NetNS()),
		fmt.Sprintf("link set %s addrgenmode none up", link),
		fmt.Sprintf("addr add %s:1/64 dev %s nodad", subnet(number), link),
	); err != nil {
		return err
	}
	if err := n.IP(ctx,
		fmt.Sprintf("addr add %s:2/64 dev eth0 nodad", subnet(number)),
		"link set eth0 up",
		fmt.Sprintf("route add default via %s:1 dev eth0", subnet(number)),
	); err != nil {
		return err
	}
	return b.lab.Router.IP(ctx, fmt.Sprintf("route add %s/64 via %s:2", inner(number), subnet(number)))
}

// inner is the prefix behind a host, where its containers are routed.
func inner(number int) string { return fmt.Sprintf("2001:db8:%d:a::", number) }

// serve starts what answers in a container.
func (b *bench) serve(ctx context.Context, p *path, container *lab.Node) (err error) {
	if p.server, err = load.Start(ctx, p.name, container.NetNS()); err == nil {
		b.closes = append(b.closes, p.server.Close)
	}
	return err
}

// port is the host's side of the link of the container behind a bridge that
// attach made, and its MAC.
const (
	bridgeName = "nd-bench"
	port       = "ndh-bench"
	portMAC    = "02:42:00:00:00:0a"
)

// attach makes a bridge on a host, as ndp6 does, and a container behind it.
func (b *bench) attach(ctx context.Context, p *path, host *lab.Node, number int) error {
	container, err := b.lab.AddNode(ctx, "container-"+host.Name, 100+number)
	if err != nil {
		return err
	}
	if err := host.SetSysctl("net/ipv6/conf/all/forwarding", "1"); err != nil {
		return err
	}
	addr := inner(number) + "2"
	steps := []struct {
		node  *lab.Node
		lines []string
	}{
		{host, []string{
			"link add " + bridgeName + " type bridge mcast_snooping 0 forward_delay 0",
			"link set " + bridgeName + " addrgenmode none up",
			"addr add fe80::1/64 dev " + bridgeName + " nodad",
			"route add " + inner(number) + "/64 dev " + bridgeName,
		}},
		{container, []string{
			"link del eth0",
			"link add eth0 address " + portMAC + " type veth peer name " + port + " netns " + host.NetNS(),
		}},
		{host, []string{"link set " + port + " master " + bridgeName + " addrgenmode none up"}},
		{container, []string{
			"addr add " + addr + "/64 dev eth0 nodad", "link set eth0 up", "route add default via fe80::1 dev eth0",
		}},
	}
	for _, s := range steps {
		if err := s.node.IP(ctx, s.lines...); err != nil {
			return err
		}
	}
	p.target = netip.AddrPortFrom(netip.MustParseAddr(addr), load.Port)
	return b.serve(ctx, p, container)
}

// plain is a host without rules, and without the hooks for rules in its bridge.
func (b *bench) plain(ctx context.Context, number int) (func() error, *path, error) {
	host, err := b.lab.AddNode(ctx, "plain", number)
	if err != nil {
		return nil, nil, err
	}
	p := &path{name: pathPlain}
	return func() error {
		for _, tables := range []string{"arptables", "iptables", "ip6tables"} {
			if err := host.SetSysctl("net/bridge/bridge-nf-call-"+tables, "0"); err != nil {
				return err
			}
		}
		if err := b.wire(ctx, host, number); err != nil {
			return err
		}
		return b.attach(ctx, p, host, number)
	}, p, nil
}

// host is one with a dockerd, where then makes the path.
func (b *bench) host(ctx context.Context, name string, number int, then func(*path, *lab.Host) error) (func() error, *path, error) {
	h, err := b.lab.AddHost(ctx, number, b.root)
	if err != nil {
		return nil, nil, err
	}
	p := &path{name: name}
	return func() error {
		if err := b.wire(ctx, h.Node, number); err != nil {
			return err
		}
		if err := h.StartEngine(ctx); err != nil {
			return err
		}
		return then(p, h)
	}, p, nil
}

// ndp6 is a host that also has an IPv6 bridge of Docker's, as hosts have.
func (b *bench) ndp6(ctx context.Context, number int) (func() error, *path, error) {
	return b.host(ctx, pathNDP6, number, func(p *path, h *lab.Host) error {
		if _, err := docker(ctx, h, "fd00:1::/64"); err != nil {
			return err
		}
		if err := b.attach(ctx, p, h.Node, number); err != nil {
			return err
		}
		err := netns.Do(h.NetNS(), func() (err error) {
			p.rules, err = nft.Open()
			return err
		})
		if err != nil {
			return err
		}
		b.closes = append(b.closes, p.rules.Close)
		pool := netip.MustParsePrefix(inner(number) + "/64")
		policy := firewall.Policy{
			Networks: []firewall.Network{{Bridge: bridgeName, Pools: []netip.Prefix{pool}}},
			Uplinks:  []string{"eth0"},
			Guard:    true,
		}
		mac, err := inet.ParseMAC(portMAC)
		if err != nil {
			return err
		}
		endpoint := firewall.Endpoint{Port: port, Bridge: bridgeName, MAC: mac, Addrs: []netip.Addr{p.target.Addr()}}
		for _, proto := range []uint8{6, 17} {
			endpoint.Published = append(endpoint.Published, firewall.Published{
				Proto: proto, Port: load.Port, HostAddr: netip.IPv6Unspecified(), HostPort: load.Port, Direct: true,
			})
		}
		rules := firewall.Build(policy)
		rules.Groups = map[string]nft.Group{"container": firewall.Elements(endpoint)}
		_, err = p.rules.Ensure(rules)
		return err
	})
}

// bridge is a port that Docker's own bridge publishes at the host's address.
func (b *bench) bridge(ctx context.Context, number int) (func() error, *path, error) {
	return b.host(ctx, pathBridge, number, func(p *path, h *lab.Host) error {
		container, err := docker(ctx, h, "fd00:1::/64")
		if err != nil {
			return err
		}
		p.target = netip.AddrPortFrom(netip.MustParseAddr(subnet(number)+":2"), load.Port)
		return b.serve(ctx, p, container)
	})
}

// routed is the same where Docker does not translate addresses.
func (b *bench) routed(ctx context.Context, number int) (func() error, *path, error) {
	return b.host(ctx, pathRouted, number, func(p *path, h *lab.Host) error {
		container, err := docker(ctx, h, inner(number)+"/64", "-o", "com.docker.network.bridge.gateway_mode_ipv6=routed")
		if err != nil {
			return err
		}
		p.target = netip.AddrPortFrom(netip.MustParseAddr(inner(number)+"2"), load.Port)
		return b.serve(ctx, p, container)
	})
}

// docker makes a network of Docker's own and a container that publishes load.Port.
func docker(ctx context.Context, h *lab.Host, prefix string, options ...string) (*lab.Node, error) {
	create := append([]string{"network", "create", "--ipv6", "--subnet", prefix}, options...)
	if _, err := h.Docker(ctx, append(create, "own")...); err != nil {
		return nil, err
	}
	run := append([]string{"run", "-d", "--network", "own"}, published...)
	id, err := h.Docker(ctx, append(run, lab.Image, "sleep", "1h")...)
	if err != nil {
		return nil, err
	}
	return h.Sandbox(ctx, strings.TrimSpace(id))
}
