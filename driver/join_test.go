package driver_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
)

// Shows RFC 5942 4 (on-link).
func TestJoinAnswers(t *testing.T) {
	t.Parallel()
	old := func(r *network.CreateNetworkRequest) { delete(r.Options, "com.docker.network.enable_ipv4") }
	dual := func(r *network.CreateNetworkRequest) {
		r.IPv4Data = []*network.IPAMData{pool("10.6.0.0/24", "10.6.0.1/24")}
	}
	own := func(r *network.CreateNetworkRequest) {
		r.IPv6Data = []*network.IPAMData{pool("2001:db8:0:0:a::/80", "2001:db8::a:0:0:1/80")}
	}
	internal := func(r *network.CreateNetworkRequest) { r.Options["com.docker.network.internal"] = true }
	none := func(r *network.CreateNetworkRequest) {
		r.IPv6Data = []*network.IPAMData{pool("2001:db8:0:0:a::/80", "")}
	}
	connected := &network.StaticRoute{Destination: "fe80::1/128", RouteType: 1}
	halves := func(gateway string) []*network.StaticRoute {
		return []*network.StaticRoute{{Destination: "::/1", NextHop: gateway}, {Destination: "8000::/1", NextHop: gateway}}
	}

	tests := []struct {
		name    string
		changes []func(*network.CreateNetworkRequest)
		want    network.JoinResponse
	}{
		{name: "IPv6 only", want: network.JoinResponse{GatewayIPv6: "fe80::1", StaticRoutes: []*network.StaticRoute{connected}}},
		{
			name: "no gateway of its own", changes: []func(*network.CreateNetworkRequest){none},
			want: network.JoinResponse{GatewayIPv6: "fe80::1", StaticRoutes: []*network.StaticRoute{connected}},
		},
		{
			name: "IPv6 only before Docker 28", changes: []func(*network.CreateNetworkRequest){old},
			want: network.JoinResponse{GatewayIPv6: "fe80::1", StaticRoutes: append([]*network.StaticRoute{connected}, halves("fe80::1")...)},
		},
		{
			name: "dual stack", changes: []func(*network.CreateNetworkRequest){dual},
			want: network.JoinResponse{Gateway: "10.6.0.1", GatewayIPv6: "fe80::1", StaticRoutes: []*network.StaticRoute{connected}},
		},
		{
			name: "dual stack before Docker 28", changes: []func(*network.CreateNetworkRequest){dual, old},
			want: network.JoinResponse{Gateway: "10.6.0.1", GatewayIPv6: "fe80::1", StaticRoutes: []*network.StaticRoute{connected}},
		},
		{
			name: "gateway of its own", changes: []func(*network.CreateNetworkRequest){own},
			want: network.JoinResponse{GatewayIPv6: "2001:db8::a:0:0:1"},
		},
		{
			name: "gateway of its own before Docker 28", changes: []func(*network.CreateNetworkRequest){own, old},
			want: network.JoinResponse{GatewayIPv6: "2001:db8::a:0:0:1", StaticRoutes: halves("2001:db8::a:0:0:1")},
		},
		{name: "internal", changes: []func(*network.CreateNetworkRequest){dual, internal}},
		{name: "internal before Docker 28", changes: []func(*network.CreateNetworkRequest){dual, internal, old}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			web := createWeb()
			for _, change := range tt.changes {
				change(web)
			}
			r := newRig(t).serve(t, web)
			box := createBox("box")
			if len(web.IPv4Data) > 0 {
				box.Interface.Address = "10.6.0.2/24"
			}
			tt.want.InterfaceName = network.InterfaceName{SrcName: "ndc-box", DstPrefix: "eth"}
			tt.want.DisableGatewayService = true
			if diff := cmp.Diff(&tt.want, r.attach(t, box)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// Two networks in one sandbox must differ in their gateways, or Docker would
// find the gateway of the one on the link of the other.
func TestJoinOfSeveralNetworks(t *testing.T) {
	t.Parallel()
	web, mail, inside := createWeb(), createWeb(), createWeb()
	mail.NetworkID, mail.IPv6Data = "mail", []*network.IPAMData{pool("2001:db8:0:0:b::/80", "fe80::1/64")}
	inside.NetworkID, inside.IPv6Data = "inside", []*network.IPAMData{pool("2001:db8:0:0:c::/80", "fe80::1/64")}
	for _, n := range []*network.CreateNetworkRequest{web, mail, inside} {
		delete(n.Options, "com.docker.network.enable_ipv4")
	}
	inside.Options["com.docker.network.internal"] = true
	r := newRig(t).serve(t, web, mail, inside)
	ofMail := plan.Network{ID: "mail"}.LinkLocal().String()

	join := func(of, id, addr, sandbox string) string {
		t.Helper()
		_, err := r.CreateEndpoint(t.Context(), &network.CreateEndpointRequest{
			NetworkID: of, EndpointID: id, Interface: &network.EndpointInterface{AddressIPv6: addr + "/80"},
		})
		must(t)(err)
		answer, err := r.Join(t.Context(), &network.JoinRequest{NetworkID: of, EndpointID: id, SandboxKey: sandbox})
		must(t)(err)
		text := answer.GatewayIPv6
		for _, route := range answer.StaticRoutes {
			text += " " + route.Destination
		}
		return text
	}
	for _, step := range []struct {
		of, id, addr, sandbox string
		want                  string
	}{
		{"inside", "1", "2001:db8:0:0:c::2", "box", ""},
		{"web", "2", "2001:db8:0:0:a::2", "box", "fe80::1 fe80::1/128 ::/1 8000::/1"}, // an internal network has none
		{"mail", "3", "2001:db8:0:0:b::2", "box", ofMail + " " + ofMail + "/128"},
		{"mail", "4", "2001:db8:0:0:b::3", "other", "fe80::1 fe80::1/128 ::/1 8000::/1"},
	} {
		if got := join(step.of, step.id, step.addr, step.sandbox); got != step.want {
			t.Errorf("%s in sandbox %s has gateway and routes %q, want %q", step.of, step.sandbox, got, step.want)
		}
	}
	must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "web", EndpointID: "2"}))
	must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "mail", EndpointID: "3"}))
	if got, want := join("mail", "5", "2001:db8:0:0:b::4", "box"), "fe80::1 fe80::1/128 ::/1 8000::/1"; got != want {
		t.Errorf("the only network that is left has gateway and routes %q, want %q", got, want)
	}
}

func TestJoinUndoes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		cause func(rig) context.Context
	}{
		{"store", func(r rig) context.Context { r.endpoints.breaks(errBroken); return t.Context() }},
		{"veth", func(r rig) context.Context { r.host.breaks("add veth"); return t.Context() }},
		{"proxy entry", func(r rig) context.Context { r.host.breaks("add neigh proxy"); return t.Context() }},
		{"canceled call", func(rig) context.Context {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return ctx
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t).serve(t)
			_, err := r.CreateEndpoint(t.Context(), createBox("box"))
			must(t)(err)
			if _, err := r.Join(tt.cause(r), joinBox("box")); !errors.Is(err, errBroken) && !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(webHost, r.host.holds(withoutSysctls...)); diff != "" {
				t.Errorf("host (-want +got):\n%s", diff)
			}
			r.endpoints.breaks(nil)
			r.host.breaks("")
			_, err = r.Join(t.Context(), joinBox("box"))
			must(t)(err)
		})
	}
}

var (
	boxAddr = netip.MustParseAddr("2001:db8::a:242:0:2")
	other   = inet.MAC{2, 0x42, 0, 0, 0, 0x99}
)

const (
	boxProxy  = "neigh proxy 2001:db8::a:242:0:2 dev eth0\n"
	duplicate = "address 2001:db8::a:242:0:2 is in use on uplink eth0 by 02:42:00:00:00:99: use another --ip6 or --mac-address, or remove it there"
)

// Shows RFC 4429 3.3 (beside).
// Shows RFC 4862 5.4 (before use).
// Shows RFC 4862 5.4.5 (failure).
func TestDuplicateAddress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		dad    string
		chosen bool
		// waited is how long Join took where nobody has the address; probed what was asked.
		waited time.Duration
		probed []string
		// refused and withdrawn are what becomes of an address that another host has.
		refused, withdrawn bool
	}{
		{name: "random MAC", probed: []string{"2001:db8::a:242:0:2 eth0 1s"}, withdrawn: true},
		{name: "chosen", chosen: true, waited: 200 * time.Millisecond, probed: []string{"2001:db8::a:242:0:2 eth0 200ms"}, refused: true},
		{name: "wait", dad: "wait", waited: 200 * time.Millisecond, probed: []string{"2001:db8::a:242:0:2 eth0 200ms"}, refused: true},
		{name: "async", dad: "async", chosen: true, probed: []string{"2001:db8::a:242:0:2 eth0 1s"}, withdrawn: true},
		{name: "off", dad: "off", chosen: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// start makes a container and returns how long its Join took.
			start := func(t *testing.T, r rig) (time.Duration, error) {
				t.Helper()
				web := createWeb()
				if tt.dad != "" {
					web.Options = options(map[string]any{"ndp6.dad": tt.dad})
				}
				r.serve(t, web)
				box := createBox("box")
				if tt.chosen {
					box.Options["com.docker.network.endpoint.macaddress"] = "AkIAAAAC"
				}
				_, err := r.CreateEndpoint(t.Context(), box)
				must(t)(err)
				begin := time.Now()
				_, err = r.Join(t.Context(), joinBox("box"))
				return time.Since(begin), err
			}
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				waited, err := start(t, r)
				must(t)(err)
				if waited != tt.waited {
					t.Errorf("Join took %v, want %v", waited, tt.waited)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if diff := cmp.Diff(tt.probed, r.link.probes); diff != "" {
					t.Errorf("probes (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(boxProxy, r.host.holds(plan.KindProxy)); diff != "" {
					t.Errorf("proxy entries (-want +got):\n%s", diff)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.link.owners[boxAddr] = other
				_, err := start(t, r)
				if tt.refused {
					if err == nil || err.Error() != duplicate {
						t.Errorf("error %v, want %s", err, duplicate)
					}
				} else {
					must(t)(err)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				want := boxProxy
				if tt.refused || tt.withdrawn {
					want = ""
				}
				if diff := cmp.Diff(want, r.host.holds(plan.KindProxy)); diff != "" {
					t.Errorf("proxy entries (-want +got):\n%s", diff)
				}
				all, err := r.endpoints.All()
				must(t)(err)
				if got := len(all["box"].Withdrawn) > 0; got != tt.withdrawn {
					t.Errorf("recorded as withdrawn: %t, want %t", got, tt.withdrawn)
				}
			})
		})
	}
}

// Shows RFC 4862 5.4.5 (failure).
func TestWithdrawnAddressStaysWithdrawn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t)
		r.link.owners[boxAddr] = other
		r.attach(t, createBox("box"))
		time.Sleep(time.Second)
		synctest.Wait()
		r = r.restart(t)
		if got := r.host.holds(plan.KindProxy); got != "" {
			t.Errorf("proxy entries after a restart:\n%s", got)
		}

		t.Log("until the container is started again")
		delete(r.link.owners, boxAddr)
		must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "web", EndpointID: "box"}))
		_, err := r.Join(t.Context(), joinBox("box"))
		must(t)(err)
		time.Sleep(2 * time.Second)
		if diff := cmp.Diff(boxProxy, r.host.holds(plan.KindProxy)); diff != "" {
			t.Errorf("proxy entries (-want +got):\n%s", diff)
		}
	})
}

// A duplicate that is found when its endpoint is gone must not bring it back.
func TestLateDuplicate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t)
		r.link.owners[boxAddr] = other
		r.attach(t, createBox("box"))
		must(t)(r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "web", EndpointID: "box"}))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := r.endpoints.ids(); len(got) > 0 {
			t.Errorf("recorded endpoints: %v", got)
		}
	})
}

func TestProbeThatCannotBeSentIsNoDuplicate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.link.err = errBroken
	web := createWeb()
	web.Options = options(map[string]any{"ndp6.dad": "wait"})
	r.serve(t, web)
	r.attach(t, createBox("box"))
	if diff := cmp.Diff(boxProxy, r.host.holds(plan.KindProxy)); diff != "" {
		t.Errorf("proxy entries (-want +got):\n%s", diff)
	}
}

func TestRunEndsProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).serve(t)
		stop := r.run(t)
		r.attach(t, createBox("box"))
		synctest.Wait()
		begin := time.Now()
		stop()
		if took := time.Since(begin); took != 0 {
			t.Errorf("Run took %v to end", took)
		}
		t.Log("a call that is still drained begins none")
		must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "web", EndpointID: "box"}))
		_, err := r.Join(t.Context(), joinBox("box"))
		must(t)(err)
		if len(r.link.probes) != 1 {
			t.Errorf("probes: %v", r.link.probes)
		}
	})
}
