package driver_test

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
)

// newNode is a rig whose networks are those of a swarm.
func newNode(tb testing.TB) rig {
	tb.Helper()
	return newRig(tb).restart(tb, func(c *driver.Config) { c.Global = true })
}

// received decodes a request as Docker sends it.
func received[T any](tb testing.TB, text string) *T {
	tb.Helper()
	r := new(T)
	must(tb)(json.Unmarshal([]byte(text), r))
	return r
}

func TestScope(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]rig{"local": newRig(t), "global": newNode(t)} {
		got, err := r.GetCapabilities(t.Context())
		must(t)(err)
		if diff := cmp.Diff(&network.CapabilitiesResponse{Scope: want, ConnectivityScope: want}, got); diff != "" {
			t.Error(diff)
		}
	}
}

// What Docker 28.5 sends of a network to a manager, and to a node that gets a task.
const (
	allocate = `{"NetworkID":"if9c63vyiw3l97h98vlj5zzlo","Options":{"ndp6.inbound":"open","ndp6.mtu":"1400"},` +
		`"IPv4Data":[{"AddressSpace":"","Pool":"2001:db8:0:0:a::/80","Gateway":"","AuxAddresses":null}],"IPv6Data":null}`
	createShared = `{"NetworkID":"if9c63vyiw3l97h98vlj5zzlo","Options":{"com.docker.network.enable_ipv4":true,"com.docker.network.enable_ipv6":true,` +
		`"com.docker.network.generic":{"ndp6.inbound":"open","ndp6.mtu":"1400"}},` +
		`"IPv4Data":[{"AddressSpace":"ndp6","Gateway":"10.166.0.1/24","Pool":"10.166.0.0/24"}],` +
		`"IPv6Data":[{"AddressSpace":"ndp6","Gateway":"fe80::1/64","Pool":"2001:db8:0:0:a::/80"}]}`
	createTask = `{"NetworkID":"if9c63vyiw3l97h98vlj5zzlo","EndpointID":"task","Interface":{"Address":"10.166.0.2/24",` +
		`"AddressIPv6":"2001:db8::a:4654:a9fe:db82/128","MacAddress":""},"Options":{}}`
	joinTask = `{"NetworkID":"if9c63vyiw3l97h98vlj5zzlo","EndpointID":"task","SandboxKey":"/var/run/docker/netns/1","Options":{}}`
)

// TestSharedNetwork is what becomes of a swarm's network on a manager and on a
// node, whose addresses alone are on its bridge.
func TestSharedNetwork(t *testing.T) {
	t.Parallel()
	r := newNode(t)
	for range 2 { // Another manager leads.
		asked := received[network.AllocateNetworkRequest](t, allocate)
		answer, err := r.AllocateNetwork(t.Context(), asked)
		must(t)(err)
		if diff := cmp.Diff(asked.Options, answer.Options); diff != "" {
			t.Errorf("options that nodes will find (-asked +answered):\n%s", diff)
		}
	}
	must(t)(r.FreeNetwork(t.Context(), &network.FreeNetworkRequest{NetworkID: "other"}))
	if got := r.networks.ids(); len(got) > 0 {
		t.Errorf("a manager records %v", got)
	}

	r.serve(t, received[network.CreateNetworkRequest](t, createShared))
	endpoint, err := r.CreateEndpoint(t.Context(), received[network.CreateEndpointRequest](t, createTask))
	must(t)(err)
	want := &network.CreateEndpointResponse{Interface: &network.EndpointInterface{MacAddress: "46:54:a9:fe:db:82"}}
	if diff := cmp.Diff(want, endpoint); diff != "" {
		t.Errorf("MAC, which is the low 48 bits of the address (-want +got):\n%s", diff)
	}
	joined, err := r.Join(t.Context(), received[network.JoinRequest](t, joinTask))
	must(t)(err)
	if joined.GatewayIPv6 != "fe80::1" {
		t.Errorf("gateway %s", joined.GatewayIPv6)
	}
	const routes = `addr 10.166.0.1/24 dev nd-if9c63vyiw3l
addr fe80::1/64 dev nd-if9c63vyiw3l
addr fe80::b439:d7ff:fe2b:490/64 dev nd-if9c63vyiw3l
route 10.166.0.0/24 dev nd-if9c63vyiw3l
route 2001:db8::a:4654:a9fe:db82/128 dev nd-if9c63vyiw3l
neigh proxy 2001:db8::a:4654:a9fe:db82 dev eth0
`
	if diff := cmp.Diff(routes, r.host.holds(plan.KindAddress, plan.KindRoute, plan.KindProxy)); diff != "" {
		t.Errorf("what is reached (-want +got):\n%s", diff)
	}
	for _, n := range r.networks.all(t) {
		if policy := plan.Build([]plan.Network{n}, nil, plan.Uplinks{}).Policy; !policy.Networks[0].Shared {
			t.Errorf("the firewall takes other nodes' containers for impostors: %+v", policy)
		}
	}
	status, err := r.Status(t.Context())
	must(t)(err)
	if len(status.Networks) != 1 || !status.Networks[0].Shared {
		t.Errorf("status does not say that the network is shared: %+v", status.Networks)
	}
	must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "if9c63vyiw3l97h98vlj5zzlo", EndpointID: "task"}))
	if got := r.host.holds(plan.KindProxy); got != "" {
		t.Errorf("a task that left is reached by %s", got)
	}
}

// TestSharedGateway is one in the pool, which is the same on all nodes.
func TestSharedGateway(t *testing.T) {
	t.Parallel()
	r := newNode(t)
	create := createWeb()
	create.IPv6Data = []*network.IPAMData{pool("2001:db8:0:0:a::/80", "2001:db8::a:0:0:1/80")}
	r.serve(t, create)
	joined := r.attach(t, createBox("box"))
	want := []*network.StaticRoute{{Destination: "2001:db8::a:0:0:1/128", RouteType: 1}}
	if diff := cmp.Diff(want, joined.StaticRoutes); diff != "" || joined.GatewayIPv6 != "2001:db8::a:0:0:1" {
		t.Errorf("gateway %s, routes (-want +got):\n%s", joined.GatewayIPv6, diff)
	}
	if got := r.host.holds(plan.KindAddress, plan.KindRoute); got != `addr 2001:db8::a:0:0:1/128 dev nd-web
addr fe80::1/64 dev nd-web
addr fe80::485e:57ff:fef6:eb2f/64 dev nd-web
route 2001:db8::a:242:0:2/128 dev nd-web
` {
		t.Errorf("on the host:\n%s", got)
	}
}

// TestSharedMAC: a MAC that cannot be taken from the address is a random one.
func TestSharedMAC(t *testing.T) {
	t.Parallel()
	r := newNode(t)
	create := createWeb()
	create.IPv6Data = []*network.IPAMData{pool("2001:db8:0:1::/72", "fe80::1/64")}
	r.serve(t, create)
	mac := func(id, addr, given string) string {
		t.Helper()
		e := createBox(id)
		e.Interface = &network.EndpointInterface{AddressIPv6: addr + "/128", MacAddress: given}
		answer, err := r.CreateEndpoint(t.Context(), e)
		must(t)(err)
		if given != "" {
			return given
		}
		return answer.Interface.MacAddress
	}
	for _, tt := range []struct{ id, addr, given, want string }{
		{id: "picked", addr: "2001:db8:0:1:a:242:0:2", want: "02:42:00:00:00:02"},
		{id: "chosen", addr: "2001:db8:0:1:a:0:0:5", want: "00:00:00:00:00:05"},
		// A manager knows nothing of --mac-address.
		{id: "chosen MAC", addr: "2001:db8:0:1:a:242:0:3", given: "02:42:00:00:00:99", want: "02:42:00:00:00:99"},
		{id: "same MAC, other address", addr: "2001:db8:0:1:b:242:0:2"},
		{id: "multicast", addr: "2001:db8:0:1:a:342:0:2"},
	} {
		got := mac(tt.id, tt.addr, tt.given)
		parsed, err := inet.ParseMAC(got)
		must(t)(err)
		low := inet.LowMAC(netip.MustParseAddr(tt.addr))
		switch {
		case tt.want != "" && got != tt.want:
			t.Errorf("%s: MAC %s, want %s", tt.id, got, tt.want)
		case tt.want == "" && (parsed == low || parsed.CheckHost() != nil):
			t.Errorf("%s: MAC %s, want a random one", tt.id, got)
		}
	}
	other := newRig(t).serve(t)
	e := createBox("box")
	e.Interface.MacAddress = ""
	answer, err := other.CreateEndpoint(t.Context(), e)
	must(t)(err)
	if answer.Interface.MacAddress == "02:42:00:00:00:02" {
		t.Error("a network of this host alone takes the MAC from an address of another IPAM driver")
	}
}

// TestSharedBesideRoutes: a routing daemon has routes to containers of other nodes.
func TestSharedBesideRoutes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rig  rig
		want string
	}{
		{newNode(t), ""},
		{newRig(t), "pool 2001:db8:0:0:a::/80 covers the host's route 2001:db8::a:0:0:9/128 on eth0: use a --subnet beside it, or a longer one inside it: conflict"},
	} {
		tt.rig.host.Routes = append(tt.rig.host.Routes, kernel.Route{Dst: netip.MustParsePrefix("2001:db8::a:0:0:9/128"), Link: "eth0", Type: kernel.Unicast})
		got := ""
		if err := tt.rig.CreateNetwork(t.Context(), createWeb()); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("error %q, want %q", got, tt.want)
		}
	}
}

func TestSharedRefuses(t *testing.T) {
	t.Parallel()
	const global, local = "2001:db8:0:0:a::/80", "fd00:0:0:1:a::/80"
	for _, tt := range []struct {
		name   string
		create *network.CreateNetworkRequest
		want   string
	}{
		{
			"internal", moded(global, "internal"),
			"an internal network does not reach its containers on other nodes: leave out --internal, or use networks of --scope local (NDP6_SCOPE), one for each node",
		},
		{
			"unique local", moded(local),
			"mode nat (pool fd00:0:0:1:a::/80 is unique local) hides containers from those of other nodes: use a global --subnet, or -o ndp6.mode=routed",
		},
		{
			"announced as a whole", moded(global, "ndp6.announce=prefix"),
			`option ndp6.announce="prefix": each node would have the routers send all of pool 2001:db8:0:0:a::/80 to it: use endpoint`,
		},
		{"unique local, announced", moded(local, "ndp6.mode=routed", "ndp6.announce=endpoint"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := newNode(t).CreateNetwork(t.Context(), tt.create); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("error %s\nwant  %s", got, tt.want)
			}
		})
	}
}

func TestAllocateRefuses(t *testing.T) {
	t.Parallel()
	data := func(pools ...string) (all []network.IPAMData) {
		for _, p := range pools {
			all = append(all, network.IPAMData{Pool: p})
		}
		return all
	}
	for _, tt := range []struct {
		name    string
		pools   []network.IPAMData
		options map[string]string
		want    string
	}{
		{"two pools", data("2001:db8:0:0:a::/80", "10.1.0.0/24"), nil, "network has 2 pools: give it one --subnet, of IPv6, from which a swarm gives addresses; nodes add IPv4 by themselves"},
		{"none", nil, nil, "network has 0 pools: give it one --subnet, of IPv6, from which a swarm gives addresses; nodes add IPv4 by themselves"},
		{"IPv4", data("10.1.0.0/24"), nil, "pool 10.1.0.0/24 of the swarm is IPv4: use an IPv6 --subnet; nodes add IPv4 by themselves"},
		{"value", data("2001:db8:0:0:a::/80"), map[string]string{"ndp6.mtu": "7"}, `option ndp6.mtu="7" is not right: use a number of bytes from 1280 to 65535`},
		{"mode", data("2001:db8:0:0:a::/80"), map[string]string{"ndp6.mode": "nat"}, "mode nat (option ndp6.mode) hides containers from those of other nodes: use a global --subnet, or -o ndp6.mode=routed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := newNode(t).AllocateNetwork(t.Context(), &network.AllocateNetworkRequest{NetworkID: "web", Options: tt.options, IPv4Data: tt.pools})
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v\nwant  %s", err, tt.want)
			}
		})
	}
}
