package e2e_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// refusal is a docker command that must fail, with an error that holds these words.
type refusal struct {
	name  string
	args  []string
	words []string
}

// badNetwork is arguments that make a network of both our drivers.
func badNetwork(args ...string) []string {
	all := append([]string{"network", "create", "-d", "ndp6", "--ipam-driver", "ndp6", "--ipv6"}, args...)
	return append(all, "bad")
}

// refuses tries commands, which must change nothing on the host.
func (b *bed) refuses(all []refusal) {
	b.Helper()
	for _, r := range all {
		before := b.snapshot()
		b.Logf("%s", r.name)
		b.refused(r.words, r.args...)
		if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(b.snapshot(), "\n")); diff != "" {
			b.Errorf("%s: the host changed (-before +after):\n%s", r.name, diff)
		}
	}
}

// badModes tries what does not fit together, or not the host.
func badModes(b *bed) {
	b.refuses([]refusal{
		{
			"outer prefix of another length", badNetwork("-o", "ndp6.mode=nptv6", "--subnet", "fd00:9:0:0:1::/80", "-o", "ndp6.outside=2001:db8:5::/64"),
			[]string{"ndp6.outside", "2001:db8:5::/64", "fd00:9:0:0:1::/80", "/80"},
		},
		{
			"outgoing address that the host has not", badNetwork("-o", "ndp6.mode=nat", "-o", "ndp6.host_ipv6=2001:db8:1::bad"),
			[]string{"ndp6.host_ipv6", "2001:db8:1::bad", b.host.Addr()},
		},
		{
			"outgoing address that is none", badNetwork("-o", "ndp6.mode=nat", "-o", "ndp6.host_ipv6=eth0"),
			[]string{"ndp6.host_ipv6", "eth0", "address"},
		},
		{
			"unique local pool that is routed", badNetwork("-o", "ndp6.mode=routed", "--subnet", "fd00:9:0:0:1::/80"),
			[]string{"ndp6.mode", "routed", "fd00:9:0:0:1::/80", "ndp6.ndp=on"},
		},
		{
			"given pool that follows the provider", badNetwork("-o", "ndp6.renumber=follow", "--subnet", pool),
			[]string{"ndp6.renumber", "follow", pool, "--subnet"},
		},
		{"unknown mode", badNetwork("-o", "ndp6.mode=bridged"), []string{"ndp6.mode", "bridged", "routed", "nat", "nptv6", "isolated"}},
		{"unknown ndp", badNetwork("-o", "ndp6.ndp=maybe"), []string{"ndp6.ndp", "maybe", "on", "off", "auto"}},
		{"unknown renumber", badNetwork("-o", "ndp6.renumber=always"), []string{"ndp6.renumber", "always", "follow", "warn"}},
		{"unknown stable", badNetwork("-o", "ndp6.stable=mac"), []string{"ndp6.stable", "mac", "name"}},
		{
			"unknown mode of Docker's", badNetwork("-o", "com.docker.network.bridge.gateway_mode_ipv6=bridged"),
			[]string{"gateway_mode_ipv6", "bridged", "routed", "nat", "isolated"},
		},
	})
}

// badInput tries what an operator may get wrong. The error names it, and
// nothing changes on the host.
func badInput(b *bed) {
	run := func(args ...string) []string {
		all := append([]string{"run", "--rm", "--network", "n"}, args...)
		return append(all, lab.Image, "true")
	}
	const route = "2001:db8:5::/64"
	b.ok(b.host.IP(b.ctx(), "route add "+route+" via "+lab.RouterLLA+" dev eth0"))
	defer func() { b.ok(b.host.IP(b.ctx(), "route del "+route+" via "+lab.RouterLLA+" dev eth0")) }()
	b.network("n", "--subnet", pool)
	b.refuses([]refusal{
		{"unknown option", badNetwork("-o", "ndp6.uplnk=eth0"), []string{"ndp6.uplnk", "ndp6.uplink"}},
		{"uplink that does not exist", badNetwork("-o", "ndp6.uplink=eth9"), []string{"ndp6.uplink", "eth9"}},
		{"option with a bad value", badNetwork("-o", "ndp6.mtu=12"), []string{"ndp6.mtu", "12", "1280"}},
		{"unknown IPAM option", badNetwork("--ipam-opt", "ndp6.idd=mac"), []string{"ndp6.idd", "ndp6.iid"}},
		{"pool inside another pool", badNetwork("--subnet", "2001:db8:1:0:a:1::/96"), []string{"2001:db8:1:0:a:1::/96", pool}},
		{"pool over another pool", badNetwork("--subnet", "2001:db8:1:0:a::/79"), []string{"2001:db8:1:0:a::/79"}},
		{"pool with an address of the host", badNetwork("--subnet", "2001:db8:1::/80"), []string{"2001:db8:1::/80", b.host.Addr()}},
		{"pool that is the on-link prefix", badNetwork("--subnet", lab.LAN), []string{lab.LAN}},
		{"pool that is a route", badNetwork("--subnet", route), []string{route}},
		{"pool that covers a route", badNetwork("--subnet", "2001:db8:5::/60"), []string{"2001:db8:5::/60", route}},
		{"pool that is too long", badNetwork("--subnet", "2001:db8:1:0:b::/127"), []string{"/127", "/126"}},
		{"gateway outside the pool", badNetwork("--subnet", "2001:db8:1:0:b::/80", "--gateway", "2001:db8:1:0:c::1"), []string{"2001:db8:1:0:c::1"}},
		{"IPv4 alone", []string{"network", "create", "-d", "ndp6", "--ipam-driver", "ndp6", "bad"}, []string{"--ipv6"}},
		{"multicast MAC", run("--mac-address", "03:42:aa:bb:cc:01"), []string{"03:42:aa:bb:cc:01"}},
		{"MAC that is zero", run("--mac-address", "00:00:00:00:00:00"), []string{"00:00:00:00:00:00"}},
		{"address outside the pool", run("--ip6", "2001:db8:1:0:b::5"), nil},
	})
}

// badRequests sends what no Docker sends, and calls for ids never seen.
func badRequests(b *bed) {
	const never = `{"NetworkID":"0123456789abcdef","EndpointID":"fedcba9876543210","PoolID":"never","Address":"2001:db8::1"}`
	for _, tt := range []struct {
		name, method string
		body         io.Reader
		ok           bool
	}{
		{"not JSON", "NetworkDriver.CreateNetwork", strings.NewReader("network, please"), false},
		{"cut off", "NetworkDriver.Join", strings.NewReader(`{"NetworkID":`), false},
		{"empty", "NetworkDriver.CreateEndpoint", http.NoBody, false},
		{"100 MB", "NetworkDriver.CreateNetwork", io.LimitReader(forever{}, 100<<20), false},
		{"unknown", "NetworkDriver.CreateEndpoint", strings.NewReader(never), false},
		{"unknown", "NetworkDriver.Join", strings.NewReader(never), false},
		{"unknown", "IpamDriver.RequestAddress", strings.NewReader(never), false},
		{"unknown", "NetworkDriver.Leave", strings.NewReader(never), true},
		{"unknown", "NetworkDriver.DeleteEndpoint", strings.NewReader(never), true},
		{"unknown", "NetworkDriver.DeleteNetwork", strings.NewReader(never), true},
		{"unknown", "NetworkDriver.RevokeExternalConnectivity", strings.NewReader(never), true},
		{"unknown", "IpamDriver.ReleaseAddress", strings.NewReader(never), true},
		{"unknown", "IpamDriver.ReleasePool", strings.NewReader(never), true},
	} {
		status, answer, err := b.host.Call(b.ctx(), lab.PluginSocket, http.MethodPost, "/"+tt.method, tt.body)
		switch {
		case err != nil && tt.name == "100 MB": // The plugin may hang up before it read all.
		case err != nil:
			b.Errorf("%s, %s: %v", tt.method, tt.name, err)
		case tt.ok && status != http.StatusOK:
			b.Errorf("%s, %s: status %d %s, want 200", tt.method, tt.name, status, answer)
		case !tt.ok && (status < 400 || !strings.Contains(answer, `"Err":"`)):
			b.Errorf("%s, %s: status %d %s, want an error", tt.method, tt.name, status, answer)
		}
	}
	b.network("n", "--subnet", pool)
	c := b.web("c1", "n")
	b.reach(b.Router, c, c.addr)
}

// forever is a JSON string without an end.
type forever struct{}

func (forever) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte{'['}, len(p)))
	return len(p), nil
}
