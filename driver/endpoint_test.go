package driver_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
)

func TestCreateEndpointRefuses(t *testing.T) {
	t.Parallel()
	iface := func(address6, mac string) func(*network.CreateEndpointRequest) {
		return func(r *network.CreateEndpointRequest) {
			r.Interface = &network.EndpointInterface{AddressIPv6: address6, MacAddress: mac}
		}
	}
	tests := []struct {
		name   string
		change func(*network.CreateEndpointRequest)
		err    string
	}{
		{"no id", func(r *network.CreateEndpointRequest) { r.EndpointID = "" }, `create endpoint: EndpointID is empty`},
		{
			"network was never seen", func(r *network.CreateEndpointRequest) { r.NetworkID = "0123456789abcdef" },
			`network "0123456789ab" is not known to ndp6: remove it with docker network rm and create it again`,
		},
		{
			"endpoint exists", func(r *network.CreateEndpointRequest) { r.EndpointID = "taken" },
			`endpoint taken exists: delete it first`,
		},
		{"MAC is multicast", iface("", "03:42:00:00:00:02"), `MAC 03:42:00:00:00:02 is a multicast address: clear the lowest bit of its first octet, as in 02:42:00:00:00:02`},
		{"MAC is all zero", iface("", "00:00:00:00:00:00"), `MAC 00:00:00:00:00:00 is all zero: use a unicast address such as 02:42:ac:11:00:02`},
		{"MAC is none", iface("", "02:42"), `MAC "02:42" is not six hexadecimal octets: use a form like 02:42:ac:11:00:02`},
		{"address is outside the pool", iface("2001:db8::b:0:0:2/80", ""), `address 2001:db8::b:0:0:2 is outside the network's pools [2001:db8:0:0:a::/80]: use an address inside one`},
		{"address is none", iface("2001:db8::a:0:0:2", ""), `address "2001:db8::a:0:0:2" is not an address with a prefix length`},
		{"address is the gateway", iface("2001:db8::a:0:0:1/80", ""), `address 2001:db8::a:0:0:1 is the network's gateway: use another address`},
		{"address is another network's", iface("2001:db8::a:0:0:8/80", ""), `address 2001:db8::a:0:0:8 belongs to endpoint foreign of network mail: use another address`},
		{
			"option of ours", func(r *network.CreateEndpointRequest) { r.Options["ndp6.mtu"] = "1500" },
			`endpoint option "ndp6.mtu" is unknown: the only one of endpoints is ndp6.inbound; others are set with docker network create -o`,
		},
		{
			"inbound", func(r *network.CreateEndpointRequest) { r.Options["ndp6.inbound"] = "closed" },
			`endpoint option ndp6.inbound="closed" is not right: use published or open`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			web := createWeb()
			web.IPv6Data = []*network.IPAMData{pool("2001:db8:0:0:a::/80", "2001:db8::a:0:0:1/80")}
			r := newRig(t).serve(t, web)
			// Networks never overlap, records of another time may.
			must(t)(r.endpoints.Put("foreign", plan.Endpoint{ID: "foreign", Network: "mail", Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::a:0:0:8")}}))
			r = r.restart(t)
			taken := createBox("taken")
			taken.Interface = &network.EndpointInterface{AddressIPv6: "2001:db8::a:0:0:9/80"}
			r.attach(t, taken)

			request := createBox("box")
			tt.change(request)
			_, err := r.CreateEndpoint(t.Context(), request)
			if err == nil || err.Error() != tt.err {
				t.Errorf("error\n  %v, want\n  %s", err, tt.err)
			}
			if diff := cmp.Diff([]string{"foreign", "taken"}, r.endpoints.ids()); diff != "" {
				t.Errorf("recorded endpoints (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCreateEndpoint(t *testing.T) {
	t.Parallel()
	mac := inet.MAC{2, 0x42, 0, 0, 0, 2}
	addrs := func(as ...string) []netip.Addr {
		var list []netip.Addr
		for _, a := range as {
			list = append(list, netip.MustParseAddr(a))
		}
		return list
	}
	tests := []struct {
		name    string
		iface   *network.EndpointInterface
		options map[string]any
		want    plan.Endpoint
		makeMAC bool
	}{
		{
			name:  "address of a random MAC",
			iface: &network.EndpointInterface{AddressIPv6: "2001:db8::a:242:0:2/80", MacAddress: mac.String(), Address: "10.6.0.2/24"},
			want:  plan.Endpoint{MAC: mac, Addrs: addrs("2001:db8::a:242:0:2", "10.6.0.2")},
		},
		{
			name:    "address of a chosen MAC",
			iface:   &network.EndpointInterface{AddressIPv6: "2001:db8::a:242:0:2/80", MacAddress: mac.String()},
			options: map[string]any{"com.docker.network.endpoint.macaddress": "AkIAAAAC"},
			want:    plan.Endpoint{MAC: mac, Addrs: addrs("2001:db8::a:242:0:2"), Chosen: true},
		},
		{
			name:  "chosen address",
			iface: &network.EndpointInterface{AddressIPv6: "2001:db8::a:0:0:99/80", MacAddress: mac.String()},
			want:  plan.Endpoint{MAC: mac, Addrs: addrs("2001:db8::a:0:0:99"), Chosen: true},
		},
		{
			name:    "IPAM driver that needs no MAC",
			iface:   &network.EndpointInterface{AddressIPv6: "2001:db8::a:0:0:2/80"},
			want:    plan.Endpoint{Addrs: addrs("2001:db8::a:0:0:2"), Chosen: true},
			makeMAC: true,
		},
		{
			name:  "no IPv4 before Docker 28",
			iface: &network.EndpointInterface{AddressIPv6: "2001:db8::a:242:0:2/80", Address: "0.0.0.0/0", MacAddress: mac.String()},
			want:  plan.Endpoint{MAC: mac, Addrs: addrs("2001:db8::a:242:0:2")},
		},
		{
			name:  "sysctls disable IPv6",
			iface: &network.EndpointInterface{Address: "10.6.0.2/24", MacAddress: mac.String()},
			want:  plan.Endpoint{MAC: mac, Addrs: addrs("10.6.0.2")},
		},
		{name: "no interface", want: plan.Endpoint{}, makeMAC: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			web := createWeb()
			web.IPv4Data = []*network.IPAMData{pool("10.6.0.0/24", "10.6.0.1/24")}
			r := newRig(t).serve(t, web)
			answer, err := r.CreateEndpoint(t.Context(), &network.CreateEndpointRequest{
				NetworkID: "web", EndpointID: "box", Interface: tt.iface, Options: tt.options,
			})
			must(t)(err)
			all, err := r.endpoints.All()
			must(t)(err)
			got := all["box"]
			tt.want.ID, tt.want.Network = "box", "web"
			var want network.CreateEndpointResponse
			if tt.makeMAC {
				must(t)(got.MAC.CheckHost())
				tt.want.MAC = got.MAC
				want.Interface = &network.EndpointInterface{MacAddress: got.MAC.String()}
			}
			if diff := cmp.Diff(tt.want, got, byValue); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(&want, answer); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

var byValue = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestCreateEndpointUndoes(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t)
	r.endpoints.breaks(errBroken)
	if _, err := r.CreateEndpoint(t.Context(), createBox("box")); !errors.Is(err, errBroken) {
		t.Fatalf("error %v, want %v", err, errBroken)
	}
	r.endpoints.breaks(nil)
	r.attach(t, createBox("box"))
}

func TestUnknownIDs(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t)
	applied := r.host.applied
	ctx := t.Context()
	for name, err := range map[string]error{
		"Leave":          r.Leave(ctx, &network.LeaveRequest{NetworkID: "web", EndpointID: "never"}),
		"DeleteEndpoint": r.DeleteEndpoint(ctx, &network.DeleteEndpointRequest{NetworkID: "never", EndpointID: "never"}),
		"DeleteNetwork":  r.DeleteNetwork(ctx, &network.DeleteNetworkRequest{NetworkID: "never"}),
		"FreeNetwork":    r.FreeNetwork(ctx, &network.FreeNetworkRequest{NetworkID: "never"}),
		"Revoke":         r.RevokeExternalConnectivity(ctx, &network.RevokeExternalConnectivityRequest{EndpointID: "never"}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Join(ctx, joinBox("never")); err == nil || err.Error() != `endpoint "never" is not known to ndp6: start the container again` {
		t.Errorf("Join: %v", err)
	}
	if info, err := r.EndpointInfo(ctx, &network.InfoRequest{EndpointID: "never"}); err != nil || info.Value == nil {
		t.Errorf("EndpointInfo: %v, %v", info, err)
	}
	if r.host.applied != applied {
		t.Error("the host was changed")
	}
}

func TestLeaveUndoesJoin(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t)
	r.attach(t, createBox("box"))
	want := webHost + `neigh 2001:db8::a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
veth ndh-box master nd-web mtu 1500 up
neigh proxy 2001:db8::a:242:0:2 dev eth0
`
	for range 2 { // a container that is stopped and started with its endpoint
		if diff := cmp.Diff(want, r.host.holds(withoutSysctls...)); diff != "" {
			t.Errorf("host after Join (-want +got):\n%s", diff)
		}
		for range 2 { // Docker 29 sends it twice
			must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "web", EndpointID: "box"}))
		}
		if diff := cmp.Diff(webHost, r.host.holds(withoutSysctls...)); diff != "" {
			t.Errorf("host after Leave (-want +got):\n%s", diff)
		}
		_, err := r.Join(t.Context(), joinBox("box"))
		must(t)(err)
	}

	t.Log("after some errors Docker sends no Leave")
	must(t)(r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "web", EndpointID: "box"}))
	if diff := cmp.Diff(webHost, r.host.holds(withoutSysctls...)); diff != "" {
		t.Errorf("host after DeleteEndpoint (-want +got):\n%s", diff)
	}
}

// Docker forgets the endpoint whatever the answer.
func TestDeleteEndpointGetsAsFarAsItCan(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t)
	r.attach(t, createBox("box"))
	r.endpoints.breaks(errBroken)
	if err := r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{EndpointID: "box"}); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want %v", err, errBroken)
	}
	if diff := cmp.Diff(webHost, r.host.holds(withoutSysctls...)); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t)
	r.attach(t, createBox("box"))
	before, applied := r.host.holds(), r.host.applied

	t.Log("traffic of running containers never depends on the process")
	r = r.restart(t)
	if diff := cmp.Diff(before, r.host.holds()); diff != "" || r.host.applied != applied {
		t.Errorf("%d operations, host (-want +got):\n%s", r.host.applied-applied, diff)
	}

	t.Log("what was lost meanwhile comes back, except a pair that nobody would move")
	for _, k := range []plan.Key{
		plan.Veth{Name: "ndh-box"}.Key(),
		plan.Proxy{Addr: netip.MustParseAddr("2001:db8::a:242:0:2"), Link: "eth0"}.Key(),
	} {
		delete(r.host.objects, k)
	}
	r = r.restart(t)
	if diff := cmp.Diff(strings.ReplaceAll(before, "veth ndh-box master nd-web mtu 1500 up\n", ""), r.host.holds()); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}

	t.Log("and every later call works")
	must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "web", EndpointID: "box"}))
	must(t)(r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "web", EndpointID: "box"}))
	must(t)(r.DeleteNetwork(t.Context(), &network.DeleteNetworkRequest{NetworkID: "web"}))
	if got := r.host.holds(); got != "" {
		t.Errorf("host holds:\n%s", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t)
	stop := r.run(t)
	const clients, each = 8, 25
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				if err := startAndStop(t.Context(), r, c, i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, want := strings.Count(r.host.holds(plan.KindProxy), "\n"), clients*((each+1)/2); got != want {
		t.Errorf("%d proxy entries, want %d", got, want)
	}
	must(t)(r.DeleteNetwork(t.Context(), &network.DeleteNetworkRequest{NetworkID: "web"}))
	stop()
	if got := r.host.holds(); got != "" || len(r.endpoints.ids()) > 0 {
		t.Errorf("left are %v and\n%s", r.endpoints.ids(), got)
	}
}

// startAndStop starts the i-th container of a client, and stops every other.
func startAndStop(ctx context.Context, r rig, client, i int) error {
	request := createBox(fmt.Sprintf("%d-%d", client, i))
	mac := inet.MAC{2, 0x42, 0, 0, byte(client), byte(i + 2)}
	request.Interface = &network.EndpointInterface{
		MacAddress:  mac.String(),
		AddressIPv6: fmt.Sprintf("2001:db8::a:242:0:%x/80", client<<8|(i+2)),
	}
	if _, err := r.CreateEndpoint(ctx, request); err != nil {
		return err
	}
	if _, err := r.Join(ctx, joinBox(request.EndpointID)); err != nil {
		return err
	}
	if i%2 == 0 {
		return nil
	}
	return errors.Join(
		r.Leave(ctx, &network.LeaveRequest{EndpointID: request.EndpointID}),
		r.DeleteEndpoint(ctx, &network.DeleteEndpointRequest{EndpointID: request.EndpointID}))
}
