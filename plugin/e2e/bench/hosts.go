package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

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

// Names of the paths. Each goes through a host of its own but for those that go
// through that of pathNDP6.
const (
	pathPlain  = "no rules"
	pathRule   = "one rule"        // that lets established flows pass, which conntrack knows
	pathAlone  = "ndp6, no Docker" // no foreign rules
	pathNDP6   = "ndp6"            // beside a Docker bridge with a container
	pathFast   = "ndp6 fast path"  // on the same host, in front of all rules
	pathNAT    = "ndp6 nat"        // on the same host, a port of the host
	pathNPT    = "ndp6 nptv6"      // on the same host, under another prefix
	pathBeside = "Docker beside"   // that container
	pathBridge = "Docker bridge"   // without ndp6
	pathRouted = "Docker routed"   // without ndp6, and without NAT
)

// A builder makes the hosts of one or more paths. What it returns makes the
// rest, which takes time; several of those may run at once.
type builder func(ctx context.Context, number int) (paths []*path, rest func() error, err error)

func (b *bench) builders() []builder {
	return []builder{b.plain, b.rule, b.alone, b.beside, b.bridge, b.dockerRouted}
}

// plain is a host without rules.
func (b *bench) plain(ctx context.Context, number int) ([]*path, func() error, error) {
	p := &path{name: pathPlain}
	_, err := b.withoutDocker(ctx, p, "plain", number)
	return []*path{p}, func() error { return nil }, err
}

// rule is a host with the least that any rules about connections take.
func (b *bench) rule(ctx context.Context, number int) ([]*path, func() error, error) {
	p := &path{name: pathRule}
	host, err := b.withoutDocker(ctx, p, "rule", number)
	return []*path{p}, func() error {
		return b.ensure(host, nft.Ruleset{Tables: []nft.Table{{Family: nft.Inet, Chains: []nft.Chain{{
			Name: "forward", Hook: &nft.Hook{Type: nft.Filter, Point: nft.Forward},
			Rules: []nft.Rule{{nft.Established, nft.Accept}},
		}}}}})
	}, err
}

// alone is a host with ndp6's rules and nobody else's.
func (b *bench) alone(ctx context.Context, number int) ([]*path, func() error, error) {
	p := &path{name: pathAlone}
	host, err := b.withoutDocker(ctx, p, "alone", number)
	return []*path{p}, func() error { return b.protect(host, routed(number)) }, err
}

// withoutDocker makes the path through a host without Docker and, as br_netfilter
// is loaded for Docker, without the hooks for rules in its bridge.
func (b *bench) withoutDocker(ctx context.Context, p *path, name string, number int) (*lab.Node, error) {
	host, err := b.lab.AddNode(ctx, name, number)
	if err != nil {
		return nil, err
	}
	for _, tables := range []string{"arptables", "iptables", "ip6tables"} {
		if err := host.SetSysctl("net/bridge/bridge-nf-call-"+tables, "0"); err != nil {
			return nil, err
		}
	}
	if err := b.wire(ctx, host, number); err != nil {
		return nil, err
	}
	return host, b.attach(ctx, p, host, routed(number))
}

// beside is a host with ndp6's rules for a network of each mode, and a dockerd
// with an IPv6 bridge of its own.
func (b *bench) beside(ctx context.Context, number int) ([]*path, func() error, error) {
	h, err := b.host(ctx, number)
	if err != nil {
		return nil, nil, err
	}
	networks := map[string]network{pathNDP6: routed(number), pathFast: fast(number), pathNAT: nat(number), pathNPT: nptv6(number)}
	own := &path{name: pathBeside}
	var paths []*path
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		p := &path{name: name}
		if err := b.attach(ctx, p, h.Node, networks[name]); err != nil {
			return nil, nil, err
		}
		paths = append(paths, p)
	}
	return append(paths, own), func() error {
		// The host's port of this name is taken.
		own.target = netip.AddrPortFrom(hostAddr(number), load.Port+1)
		if err := b.docker(ctx, own, h, "fd00:1::/64"); err != nil {
			return err
		}
		return b.protect(h.Node, slices.Collect(maps.Values(networks))...)
	}, nil
}

// bridge is a port of the host that Docker leads to its own bridge.
func (b *bench) bridge(ctx context.Context, number int) ([]*path, func() error, error) {
	h, err := b.host(ctx, number)
	p := &path{name: pathBridge, target: netip.AddrPortFrom(hostAddr(number), load.Port)}
	return []*path{p}, func() error { return b.docker(ctx, p, h, "fd00:1::/64") }, err
}

// dockerRouted is the same where Docker does not translate addresses.
func (b *bench) dockerRouted(ctx context.Context, number int) ([]*path, func() error, error) {
	h, err := b.host(ctx, number)
	p := &path{name: pathRouted, target: netip.AddrPortFrom(containerAddr(pool(number)), load.Port)}
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
