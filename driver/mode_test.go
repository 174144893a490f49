package driver_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
)

// moded is a request for a network with these IPv6 pools, separated by spaces,
// and options in the form key=value; internal is one of them.
func moded(pools string, opts ...string) *network.CreateNetworkRequest {
	r := createWeb()
	r.IPv6Data = nil
	for p := range strings.FieldsSeq(pools) {
		r.IPv6Data = append(r.IPv6Data, pool(p, "fe80::1/64"))
	}
	generic := make(map[string]any)
	r.Options = options(generic)
	for _, o := range opts {
		key, value, given := strings.Cut(o, "=")
		if !given {
			r.Options["com.docker.network."+key] = true
			continue
		}
		generic[key] = value
	}
	return r
}

func TestMode(t *testing.T) {
	t.Parallel()
	const global, local = "2001:db8:0:0:a::/80", "fd00:0:0:1:a::/80"
	for _, tt := range []struct {
		name  string
		pools string
		opts  []string
		want  string // mode, and why
	}{
		{"global pool", global, nil, "routed: pool 2001:db8:0:0:a::/80 is global"},
		{"unique local pool", local, nil, "nat: pool fd00:0:0:1:a::/80 is unique local"},
		{"one of each", global + " " + local, nil, "nat: pool fd00:0:0:1:a::/80 is unique local"},
		{"internal", local, []string{"internal"}, "routed: the network is internal"},
		{"given", global, []string{"ndp6.mode=nat"}, "nat: option ndp6.mode"},
		{"given as Docker's", global, []string{"com.docker.network.bridge.gateway_mode_ipv6=nat"}, "nat: option ndp6.mode"},
		{"given as both", local, []string{"com.docker.network.bridge.gateway_mode_ipv6=nat", "ndp6.mode=nptv6"}, "nptv6: option ndp6.mode"},
		{"isolated", local, []string{"internal", "ndp6.mode=isolated"}, "isolated: option ndp6.mode"},
		{"routed by hand", local, []string{"ndp6.mode=routed", "ndp6.ndp=off"}, "routed: option ndp6.mode"},
		{"announced", local, []string{"ndp6.mode=routed", "ndp6.announce=prefix"}, "routed: option ndp6.mode"},
		{"known to neighbors", local, []string{"ndp6.mode=routed", "ndp6.ndp=on"}, "routed: option ndp6.mode"},
		{"outgoing address", local, []string{"ndp6.host_ipv6=2001:db8::5"}, "nat: pool fd00:0:0:1:a::/80 is unique local"},
		{"fixed outside", local, []string{"ndp6.mode=nptv6", "ndp6.outside=2001:db8:f::/80"}, "nptv6: option ndp6.mode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t).serve(t, moded(tt.pools, tt.opts...))
			n := r.networks.all(t)["web"]
			if got := string(n.Mode) + ": " + n.Reason; got != tt.want {
				t.Errorf("mode %s, want %s", got, tt.want)
			}
			status, err := r.Status(t.Context())
			must(t)(err)
			if s := status.Networks[0]; s.Mode != n.Mode || s.Reason != n.Reason {
				t.Errorf("status shows %s: %s", s.Mode, s.Reason)
			}
		})
	}
}

func TestModeRefuses(t *testing.T) {
	t.Parallel()
	const global, local = "2001:db8:0:0:a::/80", "fd00:0:0:1:a::/80"
	for _, tt := range []struct {
		name  string
		pools string
		opts  []string
		err   string
	}{
		{
			"unknown", local,
			[]string{"ndp6.mode=bridge"},
			`option ndp6.mode="bridge" is not right: use routed, nat, nptv6 or isolated`,
		},
		{
			"not Docker's", local,
			[]string{"com.docker.network.bridge.gateway_mode_ipv6=nptv6"},
			`option com.docker.network.bridge.gateway_mode_ipv6="nptv6" is not right: use routed, nat or isolated`,
		},
		{
			"unique local and routed", local,
			[]string{"ndp6.mode=routed"},
			`option ndp6.mode="routed" with pool fd00:0:0:1:a::/80, which is unique local and known to no router: use nat or nptv6, a global --subnet, ` +
				`ndp6.ndp=on where the uplink's neighbors have this prefix, ndp6.ndp=off where you route it to the host, or ndp6.announce=prefix where BIRD or FRR announces it`,
		},
		{
			"global and nptv6", global,
			[]string{"ndp6.mode=nptv6"},
			`option ndp6.mode="nptv6" with pool 2001:db8:0:0:a::/80, which is not unique local: use a --subnet such as fd00:1:2:3:a::/80, or --ipam-opt ndp6.source=ula`,
		},
		{
			"isolated but not internal", local,
			[]string{"ndp6.mode=isolated"},
			`option ndp6.mode="isolated" is for internal networks: add --internal, or use routed or nat`,
		},
		{
			"internal and nat", local,
			[]string{"internal", "ndp6.mode=nat"},
			`option ndp6.mode="nat" is for networks that reach beyond the host: leave it out, or --internal`,
		},
		{
			"outside of another length", local,
			[]string{"ndp6.mode=nptv6", "ndp6.outside=2001:db8:f::/64"},
			`option ndp6.outside="2001:db8:f::/64" and pool fd00:0:0:1:a::/80 differ in length: use a /80, or a --subnet of /64`,
		},
		{
			"one outside for two pools", local + " fd00:0:0:1:b::/80",
			[]string{"ndp6.mode=nptv6", "ndp6.outside=2001:db8:f::/80"},
			`option ndp6.outside="2001:db8:f::/80" with 2 IPv6 pools: use one --subnet, or ndp6.outside=auto`,
		},
		{
			"outside of a routed network", global,
			[]string{"ndp6.outside=2001:db8:f::/80"},
			`option ndp6.outside="2001:db8:f::/80" is for mode nptv6, and this network's is routed: leave it out, or add -o ndp6.mode=nptv6`,
		},
		{
			"outside is no prefix", local,
			[]string{"ndp6.mode=nptv6", "ndp6.outside=2001:db8:f::1/80"},
			`option ndp6.outside="2001:db8:f::1/80" is not right: use auto, or the IPv6 prefix that the pool has outside`,
		},
		{
			"outside holds the host's address", local,
			[]string{"ndp6.mode=nptv6", "ndp6.outside=2001:db8::/80"},
			`pool fd00:0:0:1:a::/80 is 2001:db8::/80 outside: pool 2001:db8::/80 contains the host's address 2001:db8::5 on eth0: use a --subnet without it: conflict`,
		},
		{
			"bits of the host's address", "fd00:0:0:1::/80",
			[]string{"ndp6.mode=nptv6"},
			`pool fd00:0:0:1::/80 is 2001:db8::/80 outside: pool 2001:db8::/80 contains the host's address 2001:db8::5 on eth0: use a --subnet without it: conflict`,
		},
		{
			"as long as the uplink's prefix", "fd00:0:0:1::/64",
			[]string{"ndp6.mode=nptv6"},
			`pool fd00:0:0:1::/64 must be longer than the uplink's prefix 2001:db8::/64, whose length it would have outside: use a --subnet of /80, or -o ndp6.outside=PREFIX of /64`,
		},
		{
			"address is not the host's", local,
			[]string{"ndp6.host_ipv6=2001:db8::6"},
			`option ndp6.host_ipv6="2001:db8::6" is not an address of the host: use one of [2001:db8::5], or leave it out for the kernel's choice`,
		},
		{
			"address is IPv4", local,
			[]string{"ndp6.host_ipv6=192.0.2.5"},
			`option ndp6.host_ipv6="192.0.2.5" is not right: use a global IPv6 address of the host`,
		},
		{
			"address without nat", global,
			[]string{"ndp6.host_ipv6=2001:db8::5"},
			`option ndp6.host_ipv6="2001:db8::5" is for mode nat, and this network's is routed: leave it out, or add -o ndp6.mode=nat`,
		},
		{
			"nat without host ports", local,
			[]string{"ndp6.host_publish=off"},
			`option ndp6.host_publish="off" with mode nat: nothing could reach its containers; use on, or another mode`,
		},
		{
			"fast path behind nat", local,
			[]string{"ndp6.datapath=bpf"},
			`option ndp6.datapath="bpf": only addresses that are the same outside can go around the kernel; leave it out, or use -o ndp6.mode=routed without --internal`,
		},
		{
			"fast path with host ports", global,
			[]string{"ndp6.datapath=bpf"},
			`option ndp6.datapath="bpf" with host ports, whose answers only the kernel can translate back: add -o ndp6.host_publish=off, or leave it out`,
		},
		{"fast path", global, []string{"ndp6.datapath=xdp"}, `option ndp6.datapath="xdp" is not right: use kernel or bpf`},
		{
			"nat with entries", local,
			[]string{"ndp6.ndp=on"},
			`option ndp6.ndp="on": nobody outside sees this network's addresses; leave it out`,
		},
		{"entries", local, []string{"ndp6.ndp=yes"}, `option ndp6.ndp="yes" is not right: use auto, on or off`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			err := r.CreateNetwork(t.Context(), moded(tt.pools, tt.opts...))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.err, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if len(r.networks.ids()) > 0 || r.host.applied > 0 {
				t.Errorf("recorded %v, host holds %s", r.networks.ids(), r.host.holds())
			}
		})
	}
}

// What a pool is outside cannot be another network's.
func TestOutsideOverlaps(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t) // 2001:db8:0:0:a::/80
	second := moded("fd00:0:0:1:a::/80", "ndp6.mode=nptv6")
	second.NetworkID = "second"
	err := r.CreateNetwork(t.Context(), second)
	if err == nil || !strings.Contains(err.Error(), "2001:db8:0:0:a::/80") {
		t.Errorf("error %v", err)
	}
	second.IPv6Data[0] = pool("fd00:0:0:1:b::/80", "fe80::1/64")
	r.serve(t, second)
	third := createDB() // 2001:db8:0:0:b::/80
	if err := r.CreateNetwork(t.Context(), third); err == nil || !strings.Contains(err.Error(), "2001:db8:0:0:b::/80") {
		t.Errorf("error %v", err)
	}
}

// An endpoint of an NPTv6 network is answered for, probed and shown at its
// outside address.
func TestOutside(t *testing.T) {
	t.Parallel()
	r := newRig(t).serve(t, moded("fd00:0:0:1:a::/80", "ndp6.mode=nptv6", "ndp6.dad=wait"))
	box := createBox("box")
	box.Interface.AddressIPv6 = "fd00:0:0:1:a:242:0:2/80"
	r.attach(t, box)
	const outside = "2001:db8::a:242:0:2"
	if got, want := r.host.holds(plan.KindProxy), "neigh proxy "+outside+" dev eth0\n"; got != want {
		t.Errorf("proxy entries %q, want %q", got, want)
	}
	if diff := cmp.Diff([]string{outside + " eth0 200ms"}, r.link.probes); diff != "" {
		t.Errorf("probes (-want +got):\n%s", diff)
	}
	status, err := r.Status(t.Context())
	must(t)(err)
	want := []driver.AddressStatus{
		{Addr: netip.MustParseAddr("fd00::1:a:242:0:2"), Origin: plan.Given},
		{Addr: netip.MustParseAddr(outside), Origin: plan.Outside},
	}
	if got := status.Endpoints[0].Addresses; !slices.Equal(got, want) {
		t.Errorf("status shows %v, want %v", got, want)
	}
	if got := status.Networks[0].Pools[0].Outside; len(got) != 1 || got[0].String() != "2001:db8:0:0:a::/80" {
		t.Errorf("status shows pool %v outside", got)
	}
}

func TestAnnounce(t *testing.T) {
	t.Parallel()
	const global, local = "2001:db8:0:0:a::/80", "fd00:0:0:1:a::/80"
	const addr, anchor = "route 2001:db8::a:242:0:2/128 dev nd-web metric 4096\n", "route unreachable 2001:db8:0:0:a::/80 metric 4096\n"
	for _, tt := range []struct {
		name    string
		setting string
		pools   string
		opts    []string
		want    string // what is announced
		err     string
	}{
		{name: "nothing", pools: global},
		{name: "prefix", pools: global, opts: []string{"ndp6.announce=prefix"}, want: anchor},
		{name: "addresses", pools: global, opts: []string{"ndp6.announce=endpoint"}, want: addr},
		{name: "setting", pools: global, setting: "prefix", want: anchor},
		{name: "option wins", pools: global, setting: "prefix", opts: []string{"ndp6.announce=endpoint"}, want: addr},
		{name: "option wants nothing", pools: global, setting: "prefix", opts: []string{"ndp6.announce=none"}},
		{name: "setting, internal", pools: global, setting: "prefix", opts: []string{"internal"}},
		{name: "setting, nat", pools: global, setting: "prefix", opts: []string{"ndp6.mode=nat"}},
		{
			name: "unknown", pools: global, opts: []string{"ndp6.announce=pool"},
			err: `option ndp6.announce="pool" is not right: use none, prefix or endpoint`,
		},
		{
			name: "internal", pools: global, opts: []string{"internal", "ndp6.announce=prefix"},
			err: `option ndp6.announce="prefix": nobody outside sees this network's addresses; use none, or -o ndp6.mode=routed without --internal`,
		},
		{
			name: "unique local, so nat", pools: local, opts: []string{"ndp6.announce=endpoint"},
			err: `option ndp6.announce="endpoint": nobody outside sees this network's addresses; use none, or -o ndp6.mode=routed without --internal`,
		},
		{
			name: "setting does not make unique local routed", pools: local, setting: "prefix", opts: []string{"ndp6.mode=routed", "ndp6.announce=none"},
			err: `option ndp6.mode="routed" with pool fd00:0:0:1:a::/80, which is unique local and known to no router: use nat or nptv6, a global --subnet, ` +
				`ndp6.ndp=on where the uplink's neighbors have this prefix, ndp6.ndp=off where you route it to the host, or ndp6.announce=prefix where BIRD or FRR announces it`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t).restart(t, func(c *driver.Config) { c.Announce = tt.setting })
			err := r.CreateNetwork(t.Context(), moded(tt.pools, tt.opts...))
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			must(t)(err)
			r.attach(t, createBox("box"))
			if diff := cmp.Diff(tt.want, r.host.holds(plan.KindAnnounced)); diff != "" {
				t.Errorf("announced (-want +got):\n%s", diff)
			}
			status, err := r.Status(t.Context())
			must(t)(err)
			if got := len(status.Networks[0].Announced); got != strings.Count(tt.want, "\n") || (status.Networks[0].Announce == "") != (tt.want == "") {
				t.Errorf("status says %q and shows %v", status.Networks[0].Announce, status.Networks[0].Announced)
			}
			must(t)(r.Leave(t.Context(), &network.LeaveRequest{NetworkID: "web", EndpointID: "box"}))
			must(t)(r.DeleteNetwork(t.Context(), &network.DeleteNetworkRequest{NetworkID: "web"}))
			if left := r.host.holds(plan.KindAnnounced); left != "" {
				t.Errorf("still announced:\n%s", left)
			}
		})
	}
}
