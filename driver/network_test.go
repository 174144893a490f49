package driver_test

import (
	"context"
	"errors"
	"testing"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
)

const webHost = `bridge nd-web address 4a:5e:57:f6:eb:2f mtu 1500 up
addr fe80::1/64 dev nd-web
addr fe80::485e:57ff:fef6:eb2f/64 dev nd-web
route 2001:db8:0:0:a::/80 dev nd-web
`

// withoutSysctls are the kinds of objects that belong to one network or endpoint.
var withoutSysctls = []plan.Kind{plan.KindBridge, plan.KindAddress, plan.KindRoute, plan.KindNeighbor, plan.KindVeth, plan.KindProxy}

func TestCreateNetwork(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*network.CreateNetworkRequest)
		want   string
	}{
		{name: "on the uplink's link", change: func(*network.CreateNetworkRequest) {}, want: webHost},
		{
			name: "with options",
			change: func(r *network.CreateNetworkRequest) {
				r.Options = options(map[string]any{
					"ndp6.uplink": "wan0", "ndp6.mtu": "1300", "ndp6.dad": "off", "com.docker.network.bridge.name": "br-web",
					"com.docker.network.bridge.enable_icc": "true", "somebody.elses": "x",
				})
			},
			want: `bridge br-web address 4a:5e:57:f6:eb:2f mtu 1300 up
addr fe80::1/64 dev br-web
addr fe80::485e:57ff:fef6:eb2f/64 dev br-web
route 2001:db8:0:0:a::/80 dev br-web
`,
		},
		{
			name: "dual stack with a gateway of its own",
			change: func(r *network.CreateNetworkRequest) {
				r.IPv6Data = []*network.IPAMData{pool("2001:db8:0:0:a::/80", "2001:db8::a:0:0:1/80")}
				r.IPv4Data = []*network.IPAMData{pool("10.6.0.0/24", "10.6.0.1/24")}
			},
			want: `bridge nd-web address 4a:5e:57:f6:eb:2f mtu 1500 up
addr 10.6.0.1/24 dev nd-web
addr 2001:db8::a:0:0:1/80 dev nd-web
addr fe80::1/64 dev nd-web
addr fe80::485e:57ff:fef6:eb2f/64 dev nd-web
route 10.6.0.0/24 dev nd-web
route 2001:db8:0:0:a::/80 dev nd-web
`,
		},
		{
			name: "without IPv4 before Docker 28",
			change: func(r *network.CreateNetworkRequest) {
				r.IPv4Data = []*network.IPAMData{pool("0.0.0.0/0", "0.0.0.0/0")}
			},
			want: webHost,
		},
		{
			name: "shortest of its kind",
			change: func(r *network.CreateNetworkRequest) {
				r.IPv6Data = []*network.IPAMData{pool("2001:db8:0:0:a::/126", "")}
			},
			want: `bridge nd-web address 4a:5e:57:f6:eb:2f mtu 1500 up
addr fe80::1/64 dev nd-web
addr fe80::485e:57ff:fef6:eb2f/64 dev nd-web
route 2001:db8:0:0:a::/126 dev nd-web
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			request := createWeb()
			tt.change(request)
			r := newRig(t).serve(t, request)
			if diff := cmp.Diff(tt.want, r.host.holds(withoutSysctls...)); diff != "" {
				t.Errorf("host (-want +got):\n%s", diff)
			}
			applied := r.host.applied
			if err := r.CreateNetwork(t.Context(), request); err != nil {
				t.Errorf("the same again: %v", err)
			}
			if r.host.applied != applied {
				t.Error("the same again changed the host")
			}
			must(t)(r.DeleteNetwork(t.Context(), &network.DeleteNetworkRequest{NetworkID: "web"}))
			if got := r.host.holds(); got != "" || len(r.networks.ids()) > 0 {
				t.Errorf("left are %v and\n%s", r.networks.ids(), got)
			}
		})
	}
}

// A host without IPv6 may get it later.
func TestCreateNetworkWithoutUplink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	routes := r.host.Routes
	r.host.Routes = nil
	r.serve(t)
	r.attach(t, createBox("box"))
	if got := r.host.holds(plan.KindProxy); got != "" {
		t.Errorf("proxy entries without an uplink:\n%s", got)
	}
	r.host.Routes = routes
	must(t)(r.Restore(t.Context()))
	if diff := cmp.Diff("neigh proxy 2001:db8::a:242:0:2 dev eth0\n", r.host.holds(plan.KindProxy)); diff != "" {
		t.Errorf("proxy entries (-want +got):\n%s", diff)
	}
}

func TestCreateNetworkUndoes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		cause func(rig) context.Context
	}{
		{"store", func(r rig) context.Context { r.networks.breaks(errBroken); return t.Context() }},
		{"kernel", func(r rig) context.Context { r.host.breaks("add route"); return t.Context() }},
		{"canceled call", func(rig) context.Context {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return ctx
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			if err := r.CreateNetwork(tt.cause(r), createWeb()); !errors.Is(err, errBroken) && !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
			if got := r.host.holds(); got != "" || len(r.networks.ids()) > 0 {
				t.Errorf("left are %v and\n%s", r.networks.ids(), got)
			}
			r.networks.breaks(nil)
			r.host.breaks("")
			r.serve(t)
		})
	}
}

func TestDeleteNetworkWithLeakedEndpoints(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t)
	r.attach(t, createBox("box"))
	must(t)(r.DeleteNetwork(t.Context(), &network.DeleteNetworkRequest{NetworkID: "web"}))
	if got := r.host.holds(); got != "" || len(r.networks.ids())+len(r.endpoints.ids()) > 0 {
		t.Errorf("left are %v, %v and\n%s", r.networks.ids(), r.endpoints.ids(), got)
	}
	r.serve(t)
	r.attach(t, createBox("box"))
}

// Docker forgets the network whatever the answer.
func TestDeleteNetworkGetsAsFarAsItCan(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t)
	r.attach(t, createBox("box"))
	r.networks.breaks(errBroken)
	r.endpoints.breaks(errBroken)
	if err := r.DeleteNetwork(t.Context(), &network.DeleteNetworkRequest{NetworkID: "web"}); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want %v", err, errBroken)
	}
	if got := r.host.holds(); got != "" {
		t.Errorf("host holds:\n%s", got)
	}
}

func FuzzCreateNetwork(f *testing.F) {
	for _, seed := range [][2]string{
		{"ndp6.uplink", "eth0"},
		{"ndp6.mtu", "1500"},
		{"ndp6.dad", "wait"},
		{"ndp6.", ""},
		{"com.docker.network.driver.mtu", "99999999999999999999"},
		{"com.docker.network.bridge.name", "br\x00web"},
		{"com.docker.network.bridge.name", ".."},
		{"com.docker.network.bridge.name", "br\xffweb"},
		{"com.docker.network.bridge.enable_ip_masquerade", "false"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		r := newRig(t)
		request := createWeb()
		request.Options = options(map[string]any{key: value})
		if err := r.CreateNetwork(t.Context(), request); err != nil {
			if got := r.host.holds(); got != "" || len(r.networks.ids()) > 0 {
				t.Errorf("error %v, but left are %v and\n%s", err, r.networks.ids(), got)
			}
			return
		}
		all, err := r.networks.All()
		must(t)(err)
		n := all["web"]
		if n.Bridge == "" || len(n.Bridge) > 15 || n.Uplink == "" || n.MTU != 0 && (n.MTU < 1280 || n.MTU > 65535) {
			t.Errorf("%q=%q is recorded as %+v", key, value, n)
		}
		r.restart(t)
	})
}
