package driver_test

import (
	"testing"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver"
)

// Shows RFC 8200 5 (MTU).
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
			`option "ndp6.uplnk" is unknown: use one of ndp6.announce, ndp6.dad, ndp6.datapath, ndp6.guard, ndp6.host_access, ndp6.host_ipv6, ndp6.host_publish, ndp6.inbound, ndp6.mode, ndp6.mtu, ndp6.ndp, ndp6.outside, ndp6.renumber, ndp6.stable, ndp6.uplink`,
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
			"isolation within a network", generic("com.docker.network.bridge.enable_icc", "off"),
			`option com.docker.network.bridge.enable_icc="off" is not right: use true or false`,
		},
		{"inbound", generic("ndp6.inbound", "all"), `option ndp6.inbound="all" is not right: use published or open`},
		{"guard", generic("ndp6.guard", "on"), `option ndp6.guard="on" is not right: use strict or off`},
		{"host access", generic("ndp6.host_access", "none"), `option ndp6.host_access="none" is not right: use all or icmp`},
		{"host ports", generic("ndp6.host_publish", "false"), `option ndp6.host_publish="false" is not right: use on or off`},
		{
			"host binding", generic("com.docker.network.bridge.host_binding_ipv4", "2001:db8::5"),
			`option com.docker.network.bridge.host_binding_ipv4="2001:db8::5" is not right: use an IPv4 address of the host`,
		},
		{
			"IPv4 gateway mode", generic("com.docker.network.bridge.gateway_mode_ipv4", "routed"),
			`option com.docker.network.bridge.gateway_mode_ipv4="routed" is not right: use nat: IPv4 is not routed`,
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
