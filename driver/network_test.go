package driver_test

import (
	"context"
	"errors"
	"testing"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
)

const webHost = `bridge nd-web address 4a:5e:57:f6:eb:2f mtu 1500 up
addr fe80::1/64 dev nd-web
route 2001:db8:0:0:a::/80 dev nd-web
`

// withoutSysctls are the kinds of objects that belong to one network or endpoint.
var withoutSysctls = []plan.Kind{plan.KindBridge, plan.KindAddress, plan.KindRoute, plan.KindNeighbor, plan.KindVeth, plan.KindProxy}

func TestCreateNetworkRefuses(t *testing.T) {
	t.Parallel()
	generic := func(key string, value any) func(*network.CreateNetworkRequest) {
		return func(r *network.CreateNetworkRequest) { r.Options = options(map[string]any{key: value}) }
	}
	pool6 := func(prefix, gateway string) func(*network.CreateNetworkRequest) {
		return func(r *network.CreateNetworkRequest) { r.IPv6Data = []*network.IPAMData{pool(prefix, gateway)} }
	}
	pool4 := func(prefix, gateway string) func(*network.CreateNetworkRequest) {
		return func(r *network.CreateNetworkRequest) { r.IPv4Data = []*network.IPAMData{pool(prefix, gateway)} }
	}
	tests := []struct {
		name   string
		change func(*network.CreateNetworkRequest)
		err    string
	}{
		{
			"unknown option", generic("ndp6.uplnk", "eth0"),
			`option "ndp6.uplnk" is unknown: use one of ndp6.dad, ndp6.mtu, ndp6.uplink`,
		},
		{
			"uplink does not exist", generic("ndp6.uplink", "eth7"),
			`option ndp6.uplink: uplink "eth7" does not exist: use one of auto, eth0, wan0, br-other: no such uplink`,
		},
		{
			"uplink is no name", generic("ndp6.uplink", "eth0/1"),
			`option ndp6.uplink="eth0/1" is not right: use auto, or the name of a link of the host`,
		},
		{
			"uplink is loopback", generic("ndp6.uplink", "lo"),
			`option ndp6.uplink: uplink "lo" leads to no router: use one of auto, eth0, wan0, br-other: no such uplink`,
		},
		{
			"MTU below IPv6's", generic("ndp6.mtu", "1279"),
			`option ndp6.mtu="1279" is not right: use a number of bytes from 1280 to 65535`,
		},
		{
			"MTU is no number", generic("com.docker.network.driver.mtu", "jumbo"),
			`option com.docker.network.driver.mtu="jumbo" is not right: use a number of bytes from 1280 to 65535`,
		},
		{
			"MTU is no text", generic("ndp6.mtu", []any{1500}),
			`option ndp6.mtu="[1500]" is not right: use a number of bytes from 1280 to 65535`,
		},
		{
			"dad", generic("ndp6.dad", "maybe"),
			`option ndp6.dad="maybe" is not right: use auto, wait, async or off`,
		},
		{
			"isolation within a network", generic("com.docker.network.bridge.enable_icc", "false"),
			`option com.docker.network.bridge.enable_icc="false" is not right: use true: isolation within a network is not supported yet`,
		},
		{
			"gateway mode", generic("com.docker.network.bridge.gateway_mode_ipv6", "nat"),
			`option com.docker.network.bridge.gateway_mode_ipv6="nat" is not right: use routed: other modes are not supported yet`,
		},
		{
			"masquerading", generic("com.docker.network.bridge.enable_ip_masquerade", "perhaps"),
			`option com.docker.network.bridge.enable_ip_masquerade="perhaps" is not right: use true or false`,
		},
		{
			"bridge name is a pattern", generic("com.docker.network.bridge.name", "br%d"),
			`option com.docker.network.bridge.name="br%d" is not right: use a link name of 1 to 15 bytes without spaces, slashes, colons and percent signs`,
		},
		{
			"bridge name is too long", generic("com.docker.network.bridge.name", "br-0123456789abc"),
			`option com.docker.network.bridge.name="br-0123456789abc" is not right: use a link name of 1 to 15 bytes without spaces, slashes, colons and percent signs`,
		},
		{
			"bridge is another's link", generic("com.docker.network.bridge.name", "br-other"),
			`link br-other exists on the host: use another name with -o com.docker.network.bridge.name`,
		},
		{
			"bridge is another network's", generic("com.docker.network.bridge.name", "nd-mail"),
			`bridge nd-mail belongs to network mail: use another -o com.docker.network.bridge.name`,
		},
		{
			"options are no map", func(r *network.CreateNetworkRequest) { r.Options["com.docker.network.generic"] = "ndp6.mtu=1500" },
			`create network: com.docker.network.generic is a string, not options by key`,
		},
		{
			"IPv4 only", func(r *network.CreateNetworkRequest) {
				r.IPv4Data, r.IPv6Data = []*network.IPAMData{pool("10.6.0.0/24", "10.6.0.1/24")}, nil
			},
			`network has no IPv6 pool: add --ipv6 to docker network create, or enable_ipv6: true to the compose file`,
		},
		{"no id", func(r *network.CreateNetworkRequest) { r.NetworkID = "" }, `create network: NetworkID is empty`},
		{"pool is null", func(r *network.CreateNetworkRequest) { r.IPv6Data[0] = nil }, `create network: a pool is null`},
		{"pool is no prefix", pool6("2001:db8::a", ""), `pool "2001:db8::a" is not a prefix: use a --subnet such as 2001:db8:1::/80`},
		{"pool of the null IPAM driver", pool6("::/0", ""), `pool ::/0 is not for unicast addresses: use a --subnet such as 2001:db8:1::/80`},
		{"pool is link-local", pool6("fe80::/80", ""), `pool fe80::/80 is not for unicast addresses: use a --subnet such as 2001:db8:1::/80`},
		{"pool is multicast", pool6("ff02::/80", ""), `pool ff02::/80 is not for unicast addresses: use a --subnet such as 2001:db8:1::/80`},
		{"pool is mapped", pool6("::ffff:192.0.2.0/120", ""), `pool ::ffff:192.0.2.0/120 is not for unicast addresses: use a --subnet such as 2001:db8:1::/80`},
		{"pool is too long", pool6("2001:db8:1::/127", ""), `pool 2001:db8:1::/127 has no room for containers: use a --subnet of /126 or shorter`},
		{"IPv4 pool is too long", pool4("10.6.0.0/31", ""), `pool 10.6.0.0/31 has no room for containers: use a --subnet of /30 or shorter`},
		{
			"pool overlaps another network's", pool6("2001:db8:1::/72", ""),
			`pool 2001:db8:1::/72 overlaps pool 2001:db8:1::/80 of another network: use another --subnet: conflict`,
		},
		{
			"pool holds an address of the host", pool6("2001:db8::/80", ""),
			`pool 2001:db8::/80 contains the host's address 2001:db8::5 on eth0: use a --subnet without it: conflict`,
		},
		{
			"pool equals a route of the host", pool6("2001:db8:5::/64", ""),
			`pool 2001:db8:5::/64 covers the host's route 2001:db8:5::/64 on wan0: use a --subnet beside it, or a longer one inside it: conflict`,
		},
		{
			"pool covers a route of the host", pool6("2001:db8:4::/47", ""),
			`pool 2001:db8:4::/47 covers the host's route 2001:db8:5::/64 on wan0: use a --subnet beside it, or a longer one inside it: conflict`,
		},
		{
			"IPv4 pool overlaps a route of the host", pool4("192.0.2.128/25", ""),
			`pool 192.0.2.128/25 overlaps the host's route 192.0.2.0/24 on eth0: use a --subnet beside it: conflict`,
		},
		{
			"gateway is outside the pool", pool6("2001:db8:2::/80", "2001:db8:3::1/80"),
			`gateway 2001:db8:3::1 is outside the pool 2001:db8:2::/80: use a --gateway inside it, or none for fe80::1`,
		},
		{
			"gateway is of another family", pool4("10.6.0.0/24", "fe80::1/64"),
			`gateway fe80::1 is outside the pool 10.6.0.0/24: use a --gateway inside it, or none for fe80::1`,
		},
		{
			"gateway is no address", pool6("2001:db8:2::/80", "router"),
			`gateway "router" is not an address with a prefix length`,
		},
		{
			"two pools overlap", func(r *network.CreateNetworkRequest) {
				r.IPv6Data = append(r.IPv6Data, pool("2001:db8:0:0:a::/96", ""))
			},
			`pool 2001:db8:0:0:a::/96 overlaps pool 2001:db8:0:0:a::/80 of the same network: use another --subnet`,
		},
		{
			"same id, other settings", func(r *network.CreateNetworkRequest) { r.NetworkID = "mail" },
			`network mail exists with other settings: remove it first`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mail := createWeb()
			mail.NetworkID = "mail"
			mail.IPv6Data = []*network.IPAMData{pool("2001:db8:1::/80", "fe80::1/64")}
			r := newRig(t).serve(t, mail)
			applied := r.host.applied

			request := createWeb()
			tt.change(request)
			err := r.CreateNetwork(t.Context(), request)
			if err == nil || err.Error() != tt.err {
				t.Errorf("error\n  %v, want\n  %s", err, tt.err)
			}
			if diff := cmp.Diff([]string{"mail"}, r.networks.ids()); diff != "" {
				t.Errorf("recorded networks (-want +got):\n%s", diff)
			}
			if r.host.applied != applied {
				t.Errorf("host was changed: %s", r.host.holds())
			}
		})
	}
}

func TestCreateNetworkRefusesMissingSysctls(t *testing.T) {
	t.Parallel()
	r := newRig(t).restart(t, func(c *driver.Config) { c.CheckSysctls = true })
	r.host.missing = []string{"sysctl -w net/ipv6/conf/eth0/accept_ra=2", "sysctl -w net/ipv6/conf/all/forwarding=1"}
	err := r.CreateNetwork(t.Context(), createWeb())
	want := "the host's sysctls are not what the network needs and --sysctls check writes none: run " +
		"sysctl -w net/ipv6/conf/eth0/accept_ra=2; sysctl -w net/ipv6/conf/all/forwarding=1"
	if err == nil || err.Error() != want {
		t.Errorf("error\n  %v, want\n  %s", err, want)
	}
	if r.host.holds() != "" || len(r.networks.ids()) > 0 {
		t.Errorf("host holds:\n%s", r.host.holds())
	}
	r.host.missing = nil
	r.serve(t)
}

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
