package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/plugin/e2e/bench/load"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// path is a way from the router through a host to a container.
type path struct {
	name   string
	target netip.AddrPort
	server *load.Process
}

// Names of the paths. Each goes through a host of its own but for pathBeside,
// which goes through that of pathNDP6.
const (
	pathPlain  = "no rules"
	pathAlone  = "ndp6, no Docker" // no foreign rules
	pathNDP6   = "ndp6"            // beside a Docker bridge with a container
	pathBeside = "Docker beside"   // that container
	pathBridge = "Docker bridge"   // without ndp6
	pathRouted = "Docker routed"   // without ndp6, and without NAT
)

// A builder makes the hosts of one or more paths. What it returns makes the
// rest, which takes time; several of those may run at once.
type builder func(ctx context.Context, number int) (paths []*path, rest func() error, err error)

func (b *bench) builders() []builder {
	return []builder{b.plain, b.alone, b.beside, b.bridge, b.routed}
}

// plain is a host without rules, and without the hooks for rules in its bridge.
func (b *bench) plain(ctx context.Context, number int) ([]*path, func() error, error) {
	host, err := b.lab.AddNode(ctx, "plain", number)
	if err != nil {
		return nil, nil, err
	}
	for _, tables := range []string{"arptables", "iptables", "ip6tables"} {
		if err := host.SetSysctl("net/bridge/bridge-nf-call-"+tables, "0"); err != nil {
			return nil, nil, err
		}
	}
	p := &path{name: pathPlain}
	return []*path{p}, func() error { return nil }, b.bare(ctx, p, host, number)
}

// alone is a host with ndp6's rules and nobody else's.
func (b *bench) alone(ctx context.Context, number int) ([]*path, func() error, error) {
	host, err := b.lab.AddNode(ctx, "alone", number)
	if err != nil {
		return nil, nil, err
	}
	p := &path{name: pathAlone}
	return []*path{p}, func() error { return b.protect(p, host) }, b.bare(ctx, p, host, number)
}

// bare makes the path through a host without Docker.
func (b *bench) bare(ctx context.Context, p *path, host *lab.Node, number int) error {
	if err := b.wire(ctx, host, number); err != nil {
		return err
	}
	return b.attach(ctx, p, host, number)
}

// beside is a host with ndp6's rules and a dockerd with an IPv6 bridge of its own.
func (b *bench) beside(ctx context.Context, number int) ([]*path, func() error, error) {
	h, err := b.host(ctx, number)
	if err != nil {
		return nil, nil, err
	}
	p, own := &path{name: pathNDP6}, &path{name: pathBeside}
	if err := b.attach(ctx, p, h.Node, number); err != nil {
		return nil, nil, err
	}
	return []*path{p, own}, func() error {
		// The host's port of this name is taken.
		own.target = netip.AddrPortFrom(hostAddr(number), load.Port+1)
		if err := b.docker(ctx, own, h, "fd00:1::/64"); err != nil {
			return err
		}
		return b.protect(p, h.Node)
	}, nil
}

// bridge is a port of the host that Docker leads to its own bridge.
func (b *bench) bridge(ctx context.Context, number int) ([]*path, func() error, error) {
	h, err := b.host(ctx, number)
	p := &path{name: pathBridge, target: netip.AddrPortFrom(hostAddr(number), load.Port)}
	return []*path{p}, func() error { return b.docker(ctx, p, h, "fd00:1::/64") }, err
}

// routed is the same where Docker does not translate addresses.
func (b *bench) routed(ctx context.Context, number int) ([]*path, func() error, error) {
	h, err := b.host(ctx, number)
	p := &path{name: pathRouted, target: netip.AddrPortFrom(containerAddr(number), load.Port)}
	return []*path{p}, func() error {
		return b.docker(ctx, p, h, pool(number).String(), "-o", "com.docker.network.bridge.gateway_mode_ipv6=routed")
	}, err
}

// host is a host for a dockerd.
func (b *bench) host(ctx context.Context, number int) (*lab.Host, error) {
	h, err := b.lab.AddHost(ctx, number, b.root)
	if err != nil {
		return nil, err
	}
	return h, b.wire(ctx, h.Node, number)
}

// docker starts a dockerd with a network of its own and a container that
// publishes its port as the one of the path.
func (b *bench) docker(ctx context.Context, p *path, h *lab.Host, prefix string, options ...string) error {
	if err := h.StartEngine(ctx); err != nil {
		return err
	}
	create := append([]string{"network", "create", "--ipv6", "--subnet", prefix}, options...)
	if _, err := h.Docker(ctx, append(create, "own")...); err != nil {
		return err
	}
	publish := fmt.Sprintf("%d:%d", p.target.Port(), load.Port)
	id, err := h.Docker(ctx, "run", "-d", "--network", "own", "-p", publish, "-p", publish+"/udp", lab.Image, "sleep", "1h")
	if err != nil {
		return err
	}
	container, err := h.Sandbox(ctx, strings.TrimSpace(id))
	if err != nil {
		return err
	}
	return b.serve(ctx, p, container)
}

// protect makes ndp6's rules for what attach made: the ports are published at
// the container's address and at the host's.
func (b *bench) protect(p *path, host *lab.Node) error {
	var rules *nft.Conn
	err := netns.Do(host.NetNS(), func() (err error) {
		rules, err = nft.Open()
		return err
	})
	if err != nil {
		return err
	}
	b.later(rules.Close)
	mac, err := inet.ParseMAC(portMAC)
	if err != nil {
		return err
	}
	addr := p.target.Addr()
	endpoint := firewall.Endpoint{Port: portName, Bridge: bridgeName, MAC: mac, Addrs: []netip.Addr{addr}}
	for _, proto := range []uint8{6, 17} {
		endpoint.Published = append(endpoint.Published, firewall.Published{
			Proto: proto, Port: load.Port, HostAddr: netip.IPv6Unspecified(), HostPort: load.Port, Direct: true,
		})
	}
	ruleset := firewall.Build(firewall.Policy{
		Networks: []firewall.Network{{Bridge: bridgeName, Pools: []netip.Prefix{netip.PrefixFrom(addr, 64).Masked()}}},
		Uplinks:  []string{"eth0"},
		Guard:    true,
	})
	ruleset.Groups = map[string]nft.Group{"container": firewall.Elements(endpoint)}
	_, err = rules.Ensure(ruleset)
	return err
}
