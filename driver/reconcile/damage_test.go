package reconcile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/nettest"
)

// Commands that bring back what a router advertisement would.
var (
	advertised = []string{
		"ip addr replace fe80::5/64 dev eth0 nodad", "ip addr replace 2001:db8::5/64 dev eth0 nodad",
		"ip -6 route replace default via fe80::9 dev eth0 proto ra",
	}
	proxied = map[string]string{"ip -6 neigh show proxy": "2001:db8::a:0:0:2 dev eth0 proxy proto 166"}
)

// A harm is what others do to a host, as commands. At one that says rest, the
// loop gets time to notice.
type harm struct {
	name   string
	damage []string
	// shows is what the host must show again. Without, it must be what it
	// was in everything.
	shows map[string]string
}

// harms returns what is repaired.
func harms() []harm {
	return []harm{
		{name: "uplink down and up", damage: append([]string{"ip link set eth0 down", "ip link set eth0 up"}, advertised...)},
		{
			name: "uplink down", damage: []string{"ip link set eth0 down"}, shows: proxied,
		},
		{name: "uplink up, nothing advertised yet", damage: []string{"ip link set eth0 down", "ip link set eth0 up"}, shows: proxied},
		{name: "carrier flap", damage: []string{"ip link set lan0 down", "ip link set lan0 up"}},
		{name: "carrier lost for a while", damage: []string{"ip link set lan0 down", "rest", "ip link set lan0 up"}},
		{
			name: "IPv6 disabled and enabled on the uplink",
			damage: append([]string{
				"sysctl -w net.ipv6.conf.eth0.disable_ipv6=1", "sysctl -w net.ipv6.conf.eth0.disable_ipv6=0",
			}, advertised...),
		},
		{
			name: "uplink has another name",
			damage: []string{
				"ip link set eth0 down", "ip link set eth0 name wan0", "ip link set wan0 up",
				"ip addr replace fe80::5/64 dev wan0 nodad", "ip addr replace 2001:db8::5/64 dev wan0 nodad",
				"ip -6 route replace default via fe80::9 dev wan0 proto ra",
			},
			shows: map[string]string{
				"ip -6 neigh show proxy":                 "2001:db8::a:0:0:2 dev wan0 proxy proto 166",
				"sysctl net.ipv6.conf.wan0.proxy_ndp":    "= 1",
				"sysctl net.ipv6.neigh.wan0.proxy_delay": "= 0",
				"sysctl net.ipv6.conf.wan0.accept_ra":    "= 2",
			},
		},
		{
			name: "uplink deleted and made again",
			damage: append([]string{
				"ip link del eth0", "ip link add eth0 type veth peer name lan0",
				"ip link set eth0 addrgenmode none", "ip link set lan0 addrgenmode none",
				"ip link set lan0 up", "ip link set eth0 up",
			}, advertised...),
			shows: map[string]string{
				"ip -6 neigh show proxy":                 "2001:db8::a:0:0:2 dev eth0 proxy proto 166",
				"sysctl net.ipv6.conf.eth0.proxy_ndp":    "= 1",
				"sysctl net.ipv6.conf.all.proxy_ndp":     "= 1",
				"sysctl net.ipv6.neigh.eth0.proxy_delay": "= 0",
				"sysctl net.ipv6.conf.eth0.accept_ra":    "= 2",
			},
		},
		{name: "bridge down", damage: []string{"ip link set nd-web down"}},
		{name: "bridge down and up", damage: []string{"ip link set nd-web down", "ip link set nd-web up"}},
		{name: "bridge deleted", damage: []string{"ip link del nd-web"}, shows: map[string]string{
			"ip link show ndh-00000":                             "master nd-web",
			"ip -d link show nd-web":                             "mcast_snooping 0",
			"ip -6 route show proto kernel":                      "2001:db8:0:0:a::/80 dev nd-web",
			"ip -6 neigh show dev nd-web nud permanent":          "2001:db8::a:0:0:2 lladdr 02:42:00:00:00:00",
			"ip -o -6 addr show dev nd-web":                      "inet6 fe80::1/64",
			"sysctl net.ipv6.conf.nd-web.accept_ra":              "= 0",
			"ip -6 neigh show proxy":                             "2001:db8::a:0:0:2 dev eth0",
			"ip -o link show dev nd-web":                         "UP",
			"ip -6 route get 2001:db8::a:0:0:2 from 2001:db8::5": "nd-web",
		}},
		{name: "proxy entries flushed", damage: []string{"ip -6 neigh flush proxy"}},
		{name: "neighbors flushed", damage: []string{"ip -6 neigh flush dev nd-web nud permanent"}},
		{name: "main table flushed", damage: append([]string{"ip -6 route flush table main"}, advertised...), shows: map[string]string{
			"ip -6 route show proto kernel": "2001:db8:0:0:a::/80 dev nd-web",
			"ip -6 neigh show proxy":        "2001:db8::a:0:0:2 dev eth0",
		}},
		{name: "our routes flushed", damage: []string{"ip -6 route flush dev nd-web metric 1024"}},
		{name: "proxy entry deleted", damage: []string{"ip -6 neigh del proxy 2001:db8::a:0:0:2 dev eth0"}},
		{name: "proxy entry of ours too many", damage: []string{"ip -6 neigh add proxy 2001:db8::a:0:0:9 dev eth0 proto 166"}},
		{name: "route deleted", damage: []string{"ip -6 route del 2001:db8:0:0:a::/80 dev nd-web"}},
		{name: "permanent neighbor deleted", damage: []string{"ip -6 neigh del 2001:db8::a:0:0:2 dev nd-web"}},
		{name: "permanent neighbor replaced", damage: []string{"ip -6 neigh replace 2001:db8::a:0:0:2 lladdr 02:42:00:00:00:99 dev nd-web nud permanent"}},
		{name: "port left the bridge", damage: []string{"ip link set ndh-00000 nomaster"}},
		{name: "port is down", damage: []string{"ip link set ndh-00000 down"}},
		{name: "rules flushed", damage: []string{"nft flush ruleset"}},
		{name: "all.forwarding reset", damage: []string{"sysctl -w net.ipv6.conf.all.forwarding=0"}},
		{name: "uplink's forwarding reset", damage: []string{"sysctl -w net.ipv6.conf.eth0.forwarding=0"}},
		{name: "proxy_ndp reset", damage: []string{"sysctl -w net.ipv6.conf.all.proxy_ndp=0", "sysctl -w net.ipv6.conf.eth0.proxy_ndp=0"}},
		{name: "accept_ra reset", damage: []string{"sysctl -w net.ipv6.conf.eth0.accept_ra=1"}},
		{name: "proxy_delay reset", damage: []string{"sysctl -w net.ipv6.neigh.eth0.proxy_delay=80"}},
		{name: "bridge's accept_ra reset", damage: []string{"sysctl -w net.ipv6.conf.nd-web.accept_ra=1"}},
		{name: "bridge's mcast_snooping reset", damage: []string{"ip link set nd-web type bridge mcast_snooping 1"}, shows: map[string]string{
			"ip -d link show nd-web": "mcast_snooping 0",
		}},
	}
}

// A move is a harm after which neighbors must be told of a MAC.
type move struct {
	name   string
	damage []string
	mac    string
}

func moves() []move {
	return []move{
		{"another MAC", []string{"ip link set eth0 address 02:42:00:00:00:99"}, "02:42:00:00:00:99"},
		{"uplink down and up", append([]string{"ip link set eth0 down", "ip link set eth0 up"}, advertised...), "02:42:00:00:00:05"},
		{"carrier lost for a while", []string{"ip link set lan0 down", "rest", "ip link set lan0 up"}, "02:42:00:00:00:05"},
	}
}

// missing returns what a harm took from the host as it was before.
func (h harm) missing(tb testing.TB, before []string) string {
	tb.Helper()
	if h.shows != nil {
		return shows(tb, h.shows)
	}
	return cmp.Diff(before, observe(tb))
}

func (n *node) damage(tb testing.TB, commands ...string) {
	tb.Helper()
	for _, command := range commands {
		if command == "rest" {
			n.rest(tb)
			continue
		}
		nettest.Run(tb, command)
	}
}
