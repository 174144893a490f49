package driver_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
)

// boxAt is createBox with other addresses.
func boxAt(id, address6, address string) *network.CreateEndpointRequest {
	r := createBox(id)
	r.Interface = &network.EndpointInterface{AddressIPv6: address6, Address: address, MacAddress: "02:42:00:00:00:03"}
	return r
}

// Docker lends an address once. Where it asks for an endpoint with an address
// that another one has, the other one is gone, and nobody said so: its
// DeleteEndpoint came while no process ran, or its CreateEndpoint got no answer.
func TestCreateEndpointReplaces(t *testing.T) {
	t.Parallel()
	const box6, box4 = "2001:db8::a:242:0:2/80", "10.6.0.2/24"
	tests := []struct {
		name   string
		before func(t *testing.T, r rig) rig
		ids    []string // left after CreateEndpoint
		host   string   // left of the endpoints before, likewise
	}{
		{
			name: "one that never joined",
			before: func(t *testing.T, r rig) rig {
				t.Helper()
				_, err := r.CreateEndpoint(t.Context(), boxAt("old", box6, box4))
				must(t)(err)
				return r
			},
			ids: []string{"new"},
		},
		{
			name: "one that joined",
			before: func(t *testing.T, r rig) rig {
				t.Helper()
				r.attach(t, boxAt("old", box6, box4))
				return r
			},
			ids: []string{"new"},
		},
		{
			name: "one that joined in another process",
			before: func(t *testing.T, r rig) rig {
				t.Helper()
				r.attach(t, boxAt("old", box6, box4))
				return r.restart(t)
			},
			ids: []string{"new"},
		},
		{
			name: "one for each address, but not its neighbors",
			before: func(t *testing.T, r rig) rig {
				t.Helper()
				r.attach(t, boxAt("old6", box6, "10.6.0.3/24"))
				r.attach(t, boxAt("old4", "2001:db8::a:242:0:3/80", box4))
				r.attach(t, boxAt("other", "2001:db8::a:242:0:4/80", "10.6.0.4/24"))
				return r
			},
			ids: []string{"new", "other"},
			host: `neigh 10.6.0.4 lladdr 02:42:00:00:00:03 dev nd-web
neigh 2001:db8::a:242:0:4 lladdr 02:42:00:00:00:03 dev nd-web
veth ndh-other master nd-web mtu 1500 up
neigh proxy 2001:db8::a:242:0:4 dev eth0
`,
		},
	}
	kinds := []plan.Kind{plan.KindNeighbor, plan.KindVeth, plan.KindProxy}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			web := createWeb()
			web.IPv4Data = []*network.IPAMData{pool("10.6.0.0/24", "10.6.0.1/24")}
			r := tt.before(t, newRig(t).serve(t, web))

			request := boxAt("new", box6, box4)
			_, err := r.CreateEndpoint(t.Context(), request)
			must(t)(err)
			if diff := cmp.Diff(tt.ids, r.endpoints.ids()); diff != "" {
				t.Errorf("recorded endpoints (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.host, r.host.holds(kinds...)); diff != "" {
				t.Errorf("host (-want +got):\n%s", diff)
			}

			_, err = r.Join(t.Context(), joinBox("new"))
			must(t)(err)
			joined := r.host.holds()
			t.Log("what Docker still had to say of the old one does no harm")
			must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "web", EndpointID: "old"}))
			must(t)(r.DeleteEndpoint(t.Context(), &network.DeleteEndpointRequest{NetworkID: "web", EndpointID: "old"}))
			if diff := cmp.Diff(joined, r.host.holds()); diff != "" {
				t.Errorf("host after a late DeleteEndpoint (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(joined, r.restart(t).host.holds()); diff != "" {
				t.Errorf("host after a restart (-want +got):\n%s", diff)
			}
		})
	}
}

// A kernel that does not let go of the old endpoint does not keep the new one
// from its address.
func TestCreateEndpointReplacesWhatStays(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t)
	r.attach(t, createBox("old"))
	r.host.breaks("del veth ndh-old")
	r.attach(t, createBox("new"))
	status, err := r.Status(t.Context())
	must(t)(err)
	if len(status.Problems) != 1 || status.Problems[0].Owner != "old" {
		t.Errorf("problems %+v, want one of the old endpoint", status.Problems)
	}
	const stays = "veth ndh-old master nd-web mtu 1500 up\n"
	want := webHost + `neigh 2001:db8::a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
veth ndh-new master nd-web mtu 1500 up
` + stays + `neigh proxy 2001:db8::a:242:0:2 dev eth0
`
	if diff := cmp.Diff(want, r.host.holds(withoutSysctls...)); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}
	r.host.breaks("")
	r = r.restart(t)
	if diff := cmp.Diff(strings.ReplaceAll(want, stays, ""), r.host.holds(withoutSysctls...)); diff != "" {
		t.Errorf("host after a restart (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"new"}, r.endpoints.ids()); diff != "" {
		t.Errorf("recorded endpoints (-want +got):\n%s", diff)
	}
}

// A store that breaks meanwhile leaves neither: the old one is gone in Docker,
// and the new one will be.
func TestCreateEndpointReplacesOnABrokenStore(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t)
	r.attach(t, createBox("old"))
	r.endpoints.breaks(errBroken)
	if _, err := r.CreateEndpoint(t.Context(), createBox("new")); !errors.Is(err, errBroken) {
		t.Fatalf("error %v, want %v", err, errBroken)
	}
	if diff := cmp.Diff(webHost, r.host.holds(withoutSysctls...)); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}
	r.endpoints.breaks(nil)
	r.attach(t, createBox("newer"))
	if diff := cmp.Diff([]string{"newer"}, r.endpoints.ids()); diff != "" {
		t.Errorf("recorded endpoints (-want +got):\n%s", diff)
	}
}
