package caller

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/docker/go-plugins-helpers/ipam"
	"github.com/docker/go-plugins-helpers/network"

	"github.com/ndp6/ndp6/netutil/inet"
)

// Keys of Docker's.
const (
	keyGateway = "com.docker.network.gateway"
	keyMAC     = "com.docker.network.endpoint.macaddress"
	keyType    = "RequestAddressType"
)

// Network is one that a Caller made.
type Network struct {
	caller *Caller
	id     string
	number int
	pools  []string // ids: IPv4, IPv6
}

// Network makes network number, with a pool of each family.
func (c *Caller) Network(ctx context.Context, number int, pool4, pool6 netip.Prefix) (*Network, error) {
	n := &Network{caller: c, id: fmt.Sprintf("%04x%060x", number, 0xae), number: number}
	create := network.CreateNetworkRequest{NetworkID: n.id, Options: map[string]any{
		"com.docker.network.enable_ipv4": true, "com.docker.network.enable_ipv6": true,
		"com.docker.network.generic": map[string]string{},
	}}
	for _, pool := range []netip.Prefix{pool4, pool6} {
		var lent ipam.RequestPoolResponse
		if err := c.call(ctx, "IpamDriver.RequestPool", ipam.RequestPoolRequest{
			AddressSpace: "ndp6", Pool: pool.String(), V6: pool.Addr().Is6(), Options: map[string]string{},
		}, &lent); err != nil {
			return nil, err
		}
		gateway := lent.Data[keyGateway]
		if gateway == "" {
			var given ipam.RequestAddressResponse
			if err := c.call(ctx, "IpamDriver.RequestAddress", ipam.RequestAddressRequest{
				PoolID: lent.PoolID, Options: map[string]string{keyType: keyGateway},
			}, &given); err != nil {
				return nil, err
			}
			gateway = given.Address
		}
		n.pools = append(n.pools, lent.PoolID)
		data := &network.IPAMData{AddressSpace: "ndp6", Pool: lent.Pool, Gateway: gateway}
		if pool.Addr().Is4() {
			create.IPv4Data = append(create.IPv4Data, data)
		} else {
			create.IPv6Data = append(create.IPv6Data, data)
		}
	}
	return n, c.call(ctx, "NetworkDriver.CreateNetwork", create, nil)
}

// Container is one that a network started.
type Container struct {
	Link  string // to move into its sandbox
	Took  time.Duration
	id    string
	addrs []string // with their lengths: IPv4, IPv6
}

// Start makes the calls for container i of the network up to the one that
// answers with its link. It times CreateEndpoint and Join, the two that change
// the host. The container has a sandbox of its own, which does not exist.
func (n *Network) Start(ctx context.Context, i int) (Container, error) {
	c := Container{id: fmt.Sprintf("%03x%08x%053x", n.number, i, 0xe9d9)}
	mac := inet.MAC{0x02, 0x42, byte(n.number), byte(i >> 16), byte(i >> 8), byte(i)}.String()
	for _, pool := range n.pools {
		var given ipam.RequestAddressResponse
		if err := n.caller.call(ctx, "IpamDriver.RequestAddress", ipam.RequestAddressRequest{
			PoolID: pool, Options: map[string]string{keyMAC: mac},
		}, &given); err != nil {
			return c, err
		}
		c.addrs = append(c.addrs, given.Address)
	}
	start := time.Now()
	if err := n.caller.call(ctx, "NetworkDriver.CreateEndpoint", network.CreateEndpointRequest{
		NetworkID: n.id, EndpointID: c.id, Options: map[string]any{},
		Interface: &network.EndpointInterface{Address: c.addrs[0], AddressIPv6: c.addrs[1], MacAddress: mac},
	}, nil); err != nil {
		return c, err
	}
	var joined network.JoinResponse
	err := n.caller.call(ctx, "NetworkDriver.Join", network.JoinRequest{
		NetworkID: n.id, EndpointID: c.id, SandboxKey: "/var/run/docker/netns/" + c.id[:12], Options: map[string]any{},
	}, &joined)
	c.Took, c.Link = time.Since(start), joined.InterfaceName.SrcName
	return c, err
}

// Stop makes the calls after the container's end, and times Leave and DeleteEndpoint.
func (n *Network) Stop(ctx context.Context, c Container) (took time.Duration, err error) {
	start := time.Now()
	if err := errors.Join(
		n.caller.call(ctx, "NetworkDriver.Leave", network.LeaveRequest{NetworkID: n.id, EndpointID: c.id}, nil),
		n.caller.call(ctx, "NetworkDriver.DeleteEndpoint", network.DeleteEndpointRequest{NetworkID: n.id, EndpointID: c.id}, nil),
	); err != nil {
		return 0, err
	}
	took = time.Since(start)
	for i, pool := range n.pools {
		prefix, err := netip.ParsePrefix(c.addrs[i])
		if err != nil {
			return took, err
		}
		if err := n.caller.call(ctx, "IpamDriver.ReleaseAddress", ipam.ReleaseAddressRequest{
			PoolID: pool, Address: prefix.Addr().String(),
		}, nil); err != nil {
			return took, err
		}
	}
	return took, nil
}
