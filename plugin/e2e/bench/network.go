package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/fastpath"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nft"
	"github.com/ndp6/ndp6/plugin/e2e/bench/load"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// network is what attach makes on a host: a bridge, and a container behind it.
type network struct {
	firewall.Network
	published firewall.Published // of its container, for TCP and UDP
	target    netip.AddrPort     // what leads there
	container string             // ends the names of the container and of its port of the bridge
	number    int                // of the container in the lab
	fast      bool               // its port is forwarded by the fast path
}

// newNetwork is one whose mode is still to be chosen.
func newNetwork(number int, name string, pool netip.Prefix) network {
	return network{
		Network:   firewall.Network{Bridge: "nd-" + name, Pools: []netip.Prefix{pool}},
		published: firewall.Published{Port: load.Port, HostAddr: netip.IPv6Unspecified(), Direct: true},
		target:    netip.AddrPortFrom(containerAddr(pool), load.Port),
		container: name, number: number,
	}
}

// routed has its container's port at its own address and as port of the host.
func routed(number int) network {
	n := newNetwork(100+number, "routed", pool(number))
	n.published.HostPort = load.Port
	return n
}

// fast has it at its own address only, which the fast path forwards to.
func fast(number int) network {
	n := newNetwork(40+number, "fast", fastPool(number))
	n.fast = true
	return n
}

// nat has it as port of the host only.
func nat(number int) network {
	n := newNetwork(80+number, "nat", netip.MustParsePrefix("fd00:a::/64"))
	n.NAT6 = true
	n.published.HostPort, n.published.Direct = load.Port+2, false
	n.target = netip.AddrPortFrom(hostAddr(number), load.Port+2)
	return n
}

// nptv6 has it at an address with another prefix.
func nptv6(number int) network {
	inside := netip.MustParsePrefix("fd00:b::/64")
	n := newNetwork(60+number, "nptv6", inside)
	n.NAT6 = true
	n.Translations = []firewall.Translation{{Inside: inside, Outside: outside(number)}}
	n.target = netip.AddrPortFrom(containerAddr(outside(number)), load.Port)
	return n
}

// port is the container's port of the bridge.
func (n network) port() string { return "ndh-" + n.container }

// mac is the container's.
func (n network) mac() string { return fmt.Sprintf("02:42:00:00:00:%02x", n.number) }

// attach makes a network on a host, as ndp6 does, and the path to its container.
func (b *bench) attach(ctx context.Context, p *path, host *lab.Node, n network) error {
	container, err := b.lab.AddNode(ctx, n.container+"-"+host.Name, n.number)
	if err != nil {
		return err
	}
	if err := host.SetSysctl("net/ipv6/conf/all/forwarding", "1"); err != nil {
		return err
	}
	pool := n.Pools[0]
	for _, s := range []struct {
		node  *lab.Node
		lines []string
	}{
		{host, []string{
			"link add " + n.Bridge + " type bridge mcast_snooping 0 forward_delay 0",
			"link set " + n.Bridge + " addrgenmode none up",
			"addr add fe80::1/64 dev " + n.Bridge + " nodad",
			fmt.Sprintf("route add %s dev %s", pool, n.Bridge),
		}},
		{container, []string{
			"link del eth0",
			fmt.Sprintf("link add eth0 address %s type veth peer name %s netns %s", n.mac(), n.port(), host.NetNS()),
		}},
		{host, []string{fmt.Sprintf("link set %s master %s addrgenmode none up", n.port(), n.Bridge)}},
		{container, []string{
			fmt.Sprintf("addr add %s/%d dev eth0 nodad", containerAddr(pool), pool.Bits()),
			"link set eth0 up",
			"route add default via fe80::1 dev eth0",
		}},
	} {
		if err := s.node.IP(ctx, s.lines...); err != nil {
			return err
		}
	}
	p.target = n.target
	return b.serve(ctx, p, container)
}

// protect makes ndp6's rules for networks that attach made on a host.
func (b *bench) protect(host *lab.Node, networks ...network) error {
	policy := firewall.Policy{Uplinks: []string{"eth0"}, Guard: true}
	groups := make(map[string]nft.Group)
	for _, n := range networks {
		mac, err := inet.ParseMAC(n.mac())
		if err != nil {
			return err
		}
		e := firewall.Endpoint{Port: n.port(), Bridge: n.Bridge, MAC: mac, Addrs: []netip.Addr{containerAddr(n.Pools[0])}}
		for _, proto := range []uint8{6, 17} {
			n.published.Proto = proto
			e.Published = append(e.Published, n.published)
		}
		policy.Networks = append(policy.Networks, n.Network)
		groups[n.container] = firewall.Elements(e)
	}
	ruleset := firewall.Build(policy)
	ruleset.Groups = groups
	if err := b.ensure(host, ruleset); err != nil {
		return err
	}
	for _, n := range networks {
		if !n.fast {
			continue
		}
		if err := netns.Do(host.NetNS(), func() error { return b.forwardFast(n, policy) }); err != nil {
			return err
		}
	}
	return nil
}

// ensure makes rules on a host.
func (b *bench) ensure(host *lab.Node, ruleset nft.Ruleset) error {
	var rules *nft.Conn
	err := netns.Do(host.NetNS(), func() (err error) {
		rules, err = nft.Open()
		return err
	})
	if err != nil {
		return err
	}
	b.later(rules.Close)
	_, err = rules.Ensure(ruleset)
	return err
}

// forwardFast has the fast path forward for the container of a network, on the host
// whose namespace the calling thread is in.
func (b *bench) forwardFast(n network, policy firewall.Policy) error {
	path, err := fastpath.New()
	if err != nil {
		return err
	}
	b.later(path.Close)
	links := make(map[string]*net.Interface)
	for _, name := range []string{"eth0", n.port(), n.Bridge} {
		if links[name], err = net.InterfaceByName(name); err != nil {
			return err
		}
	}
	mac, err := inet.ParseMAC(n.mac())
	if err != nil {
		return err
	}
	bridge := links[n.Bridge]
	e := fastpath.Endpoint{Port: links[n.port()].Index, Bridge: bridge.Index, MAC: mac, Gateway: inet.MAC(bridge.HardwareAddr)}
	for _, proto := range []uint8{6, 17} {
		e.Ports = append(e.Ports, fastpath.Port{Proto: proto, Number: load.Port})
	}
	var pools []netip.Prefix
	for _, n := range policy.Networks {
		pools = append(pools, n.Pools...)
	}
	if err := path.SetPools(pools); err != nil {
		return err
	}
	if err := path.Put(e, containerAddr(n.Pools[0])); err != nil {
		return err
	}
	return path.AttachUplink(links["eth0"].Index)
}
