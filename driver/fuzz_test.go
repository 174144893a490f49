package driver_test

import (
	"net/netip"
	"testing"

	"github.com/docker/go-plugins-helpers/network"
)

// FuzzCreateEndpoint: an endpoint is refused and leaves nothing, or its
// addresses are those of the request, inside the network's pools.
func FuzzCreateEndpoint(f *testing.F) {
	f.Add("box", "10.6.0.2/24", "2001:db8::a:242:0:2/80", "02:42:00:00:00:02", "com.docker.network.portmap", "")
	f.Add("box", "", "2001:db8::a:0:0:7/80", "", "ndp6.mode", "nat")
	f.Add("", "0.0.0.0/0", "", "01:00:5e:00:00:01", "com.docker.network.endpoint.macaddress", "Aqq7zN0B")
	f.Add("box", "2001:db8::a:0:0:7/80", "10.6.0.2/24", "02-42-00-00-00-02", "", "")
	f.Add("box", "", "::ffff:10.6.0.2/120", "02:42:00:00:00:02:03:04", "", "")
	f.Add("box", "", "fe80::1%eth0/64", "00:00:00:00:00:00", "", "")
	f.Fuzz(func(t *testing.T, id, v4, v6, mac, key, value string) {
		r := newRig(t).serve(t, createDual())
		before := r.host.holds()
		_, err := r.CreateEndpoint(t.Context(), &network.CreateEndpointRequest{
			NetworkID: "dual", EndpointID: id, Options: map[string]any{key: value},
			Interface: &network.EndpointInterface{Address: v4, AddressIPv6: v6, MacAddress: mac},
		})
		all, readErr := r.endpoints.All()
		must(t)(readErr)
		if err != nil {
			if len(all) > 0 {
				t.Errorf("error %v, but recorded is %+v", err, all)
			}
			return
		}
		e := all[id]
		if e.MAC.CheckHost() != nil {
			t.Errorf("MAC %s", e.MAC)
		}
		for _, a := range e.Addrs {
			if !inPools(createDual(), a) {
				t.Errorf("address %s is in no pool", a)
			}
		}
		// A network with addresses that only look different is one link that cannot be made.
		if _, err := r.Join(t.Context(), &network.JoinRequest{NetworkID: "dual", EndpointID: id, SandboxKey: value}); err != nil {
			t.Errorf("join: %v", err)
		}
		must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "dual", EndpointID: id}))
		must(t)(r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "dual", EndpointID: id}))
		if after := r.host.holds(); after != before {
			t.Errorf("host before:\n%s\nafter:\n%s", before, after)
		}
	})
}

// createDual is a request for a dual-stack network.
func createDual() *network.CreateNetworkRequest {
	return &network.CreateNetworkRequest{
		NetworkID: "dual", Options: options(map[string]any{"ndp6.dad": "off"}),
		IPv4Data: []*network.IPAMData{pool("10.6.0.0/24", "10.6.0.1/24")},
		IPv6Data: []*network.IPAMData{pool("2001:db8:0:0:a::/80", "fe80::1/64")},
	}
}

func inPools(r *network.CreateNetworkRequest, a netip.Addr) bool {
	return netip.MustParsePrefix(r.IPv4Data[0].Pool).Contains(a) || netip.MustParsePrefix(r.IPv6Data[0].Pool).Contains(a)
}

// FuzzRestore: whatever the records say, a process starts with them, or says
// that it does not, and ends with a host that is empty once they are forgotten.
func FuzzRestore(f *testing.F) {
	const net = `{"id":"web","bridge":"nd-web","pools":[{"prefix":"2001:db8:0:0:a::/80"}],"uplink":"auto"}`
	f.Add(net, `{"id":"box","network":"web","mac":"02:42:00:00:00:02","addrs":["2001:db8::a:242:0:2"],"joined":true}`)
	f.Add(net, `{"id":"other","network":"gone","addrs":null,"joined":true}`)
	f.Add(`{}`, `{}`)
	f.Add(`{"id":"web","pools":[{"prefix":"::/0","gateway":"10.0.0.1"},{"prefix":""}],"uplink":"","mtu":-1}`, `{"network":"web","addrs":["::1","127.0.0.1",""],"joined":true}`)
	f.Fuzz(func(t *testing.T, net, endpoint string) {
		r := newRig(t)
		r.networks.values = map[string][]byte{"web": []byte(net)}
		r.endpoints.values = map[string][]byte{"box": []byte(endpoint)}
		if _, err := r.networks.All(); err != nil {
			return
		}
		if _, err := r.endpoints.All(); err != nil {
			return
		}
		r = r.restart(t)
		must(t)(r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{EndpointID: "box"}))
		must(t)(r.DeleteNetwork(t.Context(), &network.DeleteNetworkRequest{NetworkID: "web"}))
		if got := r.host.holds(); got != "" {
			t.Errorf("host holds:\n%s", got)
		}
		if len(r.networks.ids())+len(r.endpoints.ids()) > 0 {
			t.Errorf("recorded are %v and %v", r.networks.ids(), r.endpoints.ids())
		}
	})
}
