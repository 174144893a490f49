package fault_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	ipamapi "github.com/docker/go-plugins-helpers/ipam"
	"github.com/docker/go-plugins-helpers/network"

	"github.com/ndp6/ndp6/netutil/nettest"
)

const (
	keyType    = "RequestAddressType"
	keyGateway = "com.docker.network.gateway"
	keyMAC     = "com.docker.network.endpoint.macaddress"
)

// A docker is what dockerd does with one network and one container on it, and
// what it knows of them.
type docker struct {
	tb testing.TB
	// post sends a call to the plugin. An answer of status 0 is a connection
	// that broke, because the plugin died.
	post func(method, body string) (status int, answer string)
	// host and sandbox are paths of namespaces: Docker's own and that of containers.
	host, sandbox string
	// crossed has the calls' errors, which are Docker's to handle.
	crossed []string

	options  map[string]string // of networks
	made     int               // containers and networks so far
	network  string
	pools    []pool
	endpoint string
	addrs    []string // of the endpoint, by the pool
	moved    string   // link in the sandbox
}

// A pool is what IPAM answered, with the gateway.
type pool struct {
	id, prefix, gateway string
	v6                  bool
}

// ask makes one call. dockerd repeats a call whose connection broke without
// its body; the plugin must refuse that.
func (d *docker) ask(method string, req, resp any) error {
	d.tb.Helper()
	body, err := json.Marshal(req)
	if err != nil {
		d.tb.Fatal(err)
	}
	status, answer := d.post(method, string(body))
	if status == 0 {
		for status == 0 { // killed again
			status, answer = d.post(method, "")
		}
		if status != http.StatusInternalServerError || !strings.Contains(answer, "has no arguments") {
			d.tb.Errorf("%s without a body: answer %d %s", method, status, answer)
		}
	}
	if status != http.StatusOK {
		err := fmt.Errorf("%s: %s", method, strings.TrimSpace(answer))
		d.crossed = append(d.crossed, err.Error())
		return err
	}
	if resp != nil {
		if err := json.Unmarshal([]byte(answer), resp); err != nil {
			d.tb.Fatalf("%s: answer %s: %v", method, answer, err)
		}
	}
	return nil
}

// tell makes a call whose error Docker logs and ignores.
func (d *docker) tell(method string, req any) {
	_ = d.ask(method, req, nil)
}

// createNetwork is docker network create of a dual-stack network, in the order of Docker 28.
func (d *docker) createNetwork() error {
	d.made++
	id := fmt.Sprintf("%02x%062x", d.made, 0xae)
	var pools []pool
	undo := func(err error) error {
		for _, p := range pools {
			d.releasePool(p)
		}
		return err
	}
	var v4, v6 []*network.IPAMData
	for _, p := range []pool{{prefix: "10.66.0.0/24"}, {v6: true}} {
		var lent ipamapi.RequestPoolResponse
		if err := d.ask("IpamDriver.RequestPool", ipamapi.RequestPoolRequest{
			AddressSpace: "ndp6", Pool: p.prefix, V6: p.v6, Options: map[string]string{},
		}, &lent); err != nil {
			return undo(err)
		}
		p.id, p.prefix, p.gateway = lent.PoolID, lent.Pool, lent.Data[keyGateway]
		if p.gateway == "" {
			var given ipamapi.RequestAddressResponse
			if err := d.ask("IpamDriver.RequestAddress", ipamapi.RequestAddressRequest{
				PoolID: p.id, Options: map[string]string{keyType: keyGateway},
			}, &given); err != nil {
				d.tell("IpamDriver.ReleasePool", ipamapi.ReleasePoolRequest{PoolID: p.id})
				return undo(err)
			}
			p.gateway = given.Address
		}
		pools = append(pools, p)
		data := &network.IPAMData{AddressSpace: "ndp6", Pool: p.prefix, Gateway: p.gateway}
		if p.v6 {
			v6 = append(v6, data)
		} else {
			v4 = append(v4, data)
		}
	}
	if err := d.ask("NetworkDriver.CreateNetwork", network.CreateNetworkRequest{
		NetworkID: id,
		Options: map[string]any{
			"com.docker.network.enable_ipv4": true, "com.docker.network.enable_ipv6": true,
			"com.docker.network.generic": d.options,
		},
		IPv4Data: v4, IPv6Data: v6,
	}, nil); err != nil {
		return undo(err)
	}
	d.network, d.pools = id, pools
	return nil
}

func (d *docker) releasePool(p pool) {
	addr, _, _ := strings.Cut(p.gateway, "/")
	d.tell("IpamDriver.ReleaseAddress", ipamapi.ReleaseAddressRequest{PoolID: p.id, Address: addr})
	d.tell("IpamDriver.ReleasePool", ipamapi.ReleasePoolRequest{PoolID: p.id})
}

// removeNetwork is docker network rm.
func (d *docker) removeNetwork() {
	pools, id := d.pools, d.network
	d.pools, d.network = nil, ""
	for _, p := range pools {
		d.releasePool(p)
	}
	d.tell("NetworkDriver.DeleteNetwork", network.DeleteNetworkRequest{NetworkID: id})
}

// run is docker run. What it undoes after an error is what Docker 20.10 to 28 do.
func (d *docker) run() error {
	d.made++
	id := fmt.Sprintf("%02x%062x", d.made, 0xe9d9)
	mac := fmt.Sprintf("02:42:ac:11:00:%02x", d.made)
	var addrs []string
	for i, p := range d.pools {
		var given ipamapi.RequestAddressResponse
		if err := d.ask("IpamDriver.RequestAddress", ipamapi.RequestAddressRequest{
			PoolID: p.id, Options: map[string]string{keyMAC: mac},
		}, &given); err != nil {
			if p.v6 && i > 0 {
				d.crossed = append(d.crossed, "dockerd forgets "+addrs[0])
			}
			return err
		}
		addrs = append(addrs, given.Address)
	}
	if err := d.ask("NetworkDriver.CreateEndpoint", network.CreateEndpointRequest{
		NetworkID: d.network, EndpointID: id,
		Interface: &network.EndpointInterface{Address: addrs[0], AddressIPv6: addrs[1], MacAddress: mac},
		Options:   map[string]any{},
	}, nil); err != nil {
		d.release(addrs)
		return err
	}
	var joined network.JoinResponse
	if err := d.ask("NetworkDriver.Join", network.JoinRequest{
		NetworkID: d.network, EndpointID: id, SandboxKey: d.sandbox, Options: map[string]any{},
	}, &joined); err != nil {
		d.tell("NetworkDriver.DeleteEndpoint", network.DeleteEndpointRequest{NetworkID: d.network, EndpointID: id})
		d.release(addrs)
		return err
	}
	d.endpoint, d.addrs, d.moved = id, addrs, joined.InterfaceName.SrcName
	nettest.Run(d.tb, "ip link set "+d.moved+" netns "+d.sandbox)
	nettest.RunIn(d.tb, d.sandbox, "ip link set "+d.moved+" up")
	if err := d.ask("NetworkDriver.ProgramExternalConnectivity", network.ProgramExternalConnectivityRequest{
		NetworkID: d.network, EndpointID: id, Options: map[string]any{"com.docker.network.portmap": []any{
			map[string]any{"Proto": 6, "Port": 80, "HostPort": 8080, "HostPortEnd": 8080},
		}},
	}, nil); err != nil {
		d.disconnect()
		return err
	}
	if err := d.ask("NetworkDriver.EndpointOperInfo", network.InfoRequest{NetworkID: d.network, EndpointID: id}, nil); err != nil {
		d.stop()
		return err
	}
	return nil
}

// stop is docker stop: whatever the answers, Docker goes on.
func (d *docker) stop() {
	d.tell("NetworkDriver.RevokeExternalConnectivity", network.RevokeExternalConnectivityRequest{NetworkID: d.network, EndpointID: d.endpoint})
	d.disconnect()
}

// disconnect takes the container off the network.
func (d *docker) disconnect() {
	id, addrs := d.endpoint, d.addrs
	d.tell("NetworkDriver.Leave", network.LeaveRequest{NetworkID: d.network, EndpointID: id})
	d.giveBack()
	d.endpoint, d.addrs = "", nil
	d.tell("NetworkDriver.DeleteEndpoint", network.DeleteEndpointRequest{NetworkID: d.network, EndpointID: id})
	d.release(addrs)
}

// giveBack gives the link back to the host, as Docker does. One that is gone, or
// goes meanwhile, is no error.
func (d *docker) giveBack() {
	d.tb.Helper()
	inside := func() bool { return strings.Contains(nettest.RunIn(d.tb, d.sandbox, "ip -o link show"), d.moved) }
	if !inside() {
		return
	}
	cmd := exec.Command("nsenter", "--net="+d.sandbox, "ip", "link", "set", d.moved, "netns", d.host)
	if out, err := cmd.CombinedOutput(); err != nil && inside() {
		d.tb.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

func (d *docker) release(addrs []string) {
	for i, cidr := range addrs {
		addr, _, _ := strings.Cut(cidr, "/")
		d.tell("IpamDriver.ReleaseAddress", ipamapi.ReleaseAddressRequest{PoolID: d.pools[i].id, Address: addr})
	}
}

// knows lists the ids of networks, endpoints, pools and leases that Docker has.
func (d *docker) knows() []string {
	var ids []string
	for _, id := range []string{d.network, d.endpoint} {
		if id != "" {
			ids = append(ids, id)
		}
	}
	for _, p := range d.pools {
		ids = append(ids, p.id)
	}
	for _, cidr := range d.addrs {
		addr, _, _ := strings.Cut(cidr, "/")
		ids = append(ids, addr)
	}
	slices.Sort(ids)
	return ids
}
