package plan_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
)

// records are what a plan is made of.
type records struct {
	networks  []plan.Network
	endpoints []plan.Endpoint
	up        plan.Uplinks
}

func (r records) plan() plan.Host { return plan.Build(r.networks, r.endpoints, r.up) }

// with returns r with more endpoints.
func (r records) with(es ...plan.Endpoint) records {
	r.endpoints = slices.Concat(r.endpoints, es)
	return r
}

// host holds objects that nobody in particular owns.
func host(objects ...plan.Object) plan.Host {
	h := plan.NewHost()
	h.Add("", objects...)
	return h
}

// sysctls are settings in the form name=value, with dots.
func sysctls(settings ...string) []plan.Object {
	var os []plan.Object
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		os = append(os, plan.Sysctl{Name: strings.ReplaceAll(name, ".", "/"), Value: value})
	}
	return os
}

// plus returns h with other objects in the place of those with their keys.
func plus(h plan.Host, objects ...plan.Object) plan.Host {
	all := host(objects...)
	for _, o := range h.Objects {
		all.Add(o.Owner, o.Object)
	}
	return all
}

// without returns h without the objects whose text contains one of parts.
func without(h plan.Host, parts ...string) plan.Host {
	rest := plan.NewHost()
	for _, o := range h.Objects {
		keep := true
		for _, part := range parts {
			keep = keep && !strings.Contains(o.String(), part)
		}
		if keep {
			rest.Add(o.Owner, o.Object)
		}
	}
	return rest
}

func text(ops []plan.Op) string {
	var b strings.Builder
	for _, op := range ops {
		b.WriteString("\n" + op.String())
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

func prefixes(ss ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range ss {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// uplink is the plan's knowledge of one link that all of the names stand for.
func uplink(u plan.Uplink, names ...string) plan.Uplinks {
	up := plan.Uplinks{For: make(map[string]plan.Uplink)}
	for _, n := range names {
		up.For[n] = u
	}
	return up
}

// fresh are the settings of a host that learns its route on eth0 and does not forward.
func fresh() []plan.Object {
	return sysctls(
		"net.ipv6.conf.eth0.accept_ra=1", "net.ipv6.conf.all.forwarding=0", "net.ipv6.conf.eth0.forwarding=0",
		"net.ipv6.conf.eth0.proxy_ndp=0", "net.ipv6.conf.all.proxy_ndp=0", "net.ipv6.neigh.eth0.proxy_delay=80",
	)
}

var (
	fe80 = netip.MustParseAddr("fe80::1")
	eth0 = uplink(plan.Uplink{Name: "eth0", MTU: 1500, OnLink: prefixes("2001:db8::/64")}, "auto")
	wan0 = uplink(plan.Uplink{Name: "wan0", MTU: 1500, OnLink: prefixes("2001:db8::/64")}, "auto")

	web = plan.Network{
		ID: "web", Bridge: "nd-web", Uplink: "auto",
		Pools: []plan.Pool{{Prefix: netip.MustParsePrefix("2001:db8:0:0:a::/80"), Gateway: fe80}},
	}
	box = plan.Endpoint{
		ID: "box", Network: "web", MAC: inet.MAC{2, 0x42, 0, 0, 0, 2}, Joined: true,
		Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::a:242:0:2")},
	}
	onWeb = records{networks: []plan.Network{web}, up: eth0}
)

func joining(e plan.Endpoint) plan.Endpoint {
	e.Joining = true
	return e
}

func at(up plan.Uplinks, r records) plan.Host {
	r.up = up
	return r.plan()
}

func TestDiff(t *testing.T) {
	t.Parallel()
	routed := web
	routed.Pools = []plan.Pool{{Prefix: netip.MustParsePrefix("2001:db8:1::/80"), Gateway: netip.MustParseAddr("2001:db8:1::1")}}
	routedBox := box
	routedBox.Addrs = []netip.Addr{netip.MustParseAddr("2001:db8:1::2")}
	internal := web
	internal.Internal = true
	dual := web
	dual.Pools = append(dual.Pools[:1:1], plan.Pool{Prefix: netip.MustParsePrefix("10.6.0.0/24"), Gateway: netip.MustParseAddr("10.6.0.1")})
	dualBox := box
	dualBox.Addrs = append(dualBox.Addrs[:1:1], netip.MustParseAddr("10.6.0.2"))
	withdrawn := box
	withdrawn.Withdrawn = box.Addrs
	left := box
	left.Joined = false
	learns := eth0
	learns.RA = []string{"eth0", "eth1"}
	program := plan.Responder{Link: "eth0", MAC: inet.MAC{2, 0x42, 0, 0, 0, 5}, Source: netip.MustParseAddr("fe80::5"), Global: netip.MustParseAddr("2001:db8::5")}
	answering := uplink(plan.Uplink{Name: "eth0", MTU: 1500, OnLink: prefixes("2001:db8::/64"), Responder: &program}, "auto", "eth0")
	moved := program
	moved.MAC, moved.Source = inet.MAC{2, 0x42, 0, 0, 0, 6}, netip.MustParseAddr("fe80::6")
	other := uplink(plan.Uplink{Name: "eth0", MTU: 1500, OnLink: prefixes("2001:db8::/64"), Responder: &moved}, "auto", "eth0")
	second := web
	second.ID, second.Bridge, second.Uplink = "db", "nd-db", "eth0"
	second.Pools = []plan.Pool{{Prefix: netip.MustParsePrefix("2001:db8:0:0:9::/80"), Gateway: fe80}}
	jumbo := uplink(plan.Uplink{Name: "eth0", MTU: 9000, OnLink: prefixes("2001:db8::/64")}, "auto")

	tests := []struct {
		name       string
		have, want plan.Host
		ops        string
	}{
		{
			name: "network created: accept_ra before forwarding",
			have: plus(host(fresh()...), sysctls("net.ipv6.conf.eth1.accept_ra=1")...),
			want: at(learns, onWeb),
			ops: `
set sysctl net.ipv6.conf.eth0.accept_ra=2
set sysctl net.ipv6.conf.eth1.accept_ra=2
set sysctl net.ipv6.conf.all.forwarding=1
set sysctl net.ipv6.conf.eth0.forwarding=1
set sysctl net.ipv6.conf.all.proxy_ndp=1
set sysctl net.ipv6.conf.eth0.proxy_ndp=1
set sysctl net.ipv6.neigh.eth0.proxy_delay=0
add bridge nd-web address 4a:5e:57:f6:eb:2f mtu 1500 up
add addr fe80::1/64 dev nd-web
add addr fe80::485e:57ff:fef6:eb2f/64 dev nd-web
add route 2001:db8:0:0:a::/80 dev nd-web
`,
		},
		{
			name: "network created where a manager handles advertisements",
			have: plus(host(fresh()...), sysctls("net.ipv6.conf.eth0.accept_ra=0", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.eth0.forwarding=1")...),
			want: onWeb.plan(),
			ops: `
set sysctl net.ipv6.conf.all.proxy_ndp=1
set sysctl net.ipv6.conf.eth0.proxy_ndp=1
set sysctl net.ipv6.neigh.eth0.proxy_delay=0
add bridge nd-web address 4a:5e:57:f6:eb:2f mtu 1500 up
add addr fe80::1/64 dev nd-web
add addr fe80::485e:57ff:fef6:eb2f/64 dev nd-web
add route 2001:db8:0:0:a::/80 dev nd-web
`,
		},
		{
			name: "network removed: sysctls go back in reverse, accept_ra last",
			have: plus(without(onWeb.plan(), "sysctl"), fresh()...),
			want: plan.NewHost(),
			ops: `
del route 2001:db8:0:0:a::/80 dev nd-web
del addr fe80::485e:57ff:fef6:eb2f/64 dev nd-web
del addr fe80::1/64 dev nd-web
del bridge nd-web address 4a:5e:57:f6:eb:2f mtu 1500 up
restore sysctl net.ipv6.neigh.eth0.proxy_delay=80
restore sysctl net.ipv6.conf.eth0.proxy_ndp=0
restore sysctl net.ipv6.conf.all.proxy_ndp=0
restore sysctl net.ipv6.conf.eth0.forwarding=0
restore sysctl net.ipv6.conf.all.forwarding=0
restore sysctl net.ipv6.conf.eth0.accept_ra=1
`,
		},
		{
			name: "endpoint joins: the proxy entry comes last",
			have: onWeb.plan(),
			want: onWeb.with(joining(box)).plan(),
			ops: `
add neigh 2001:db8::a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
add rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2
add veth ndh-box master nd-web mtu 1500 up
add neigh proxy 2001:db8::a:242:0:2 dev eth0
`,
		},
		{
			name: "endpoint leaves: the proxy entry goes first",
			have: onWeb.with(box).plan(),
			want: onWeb.with(left).plan(),
			ops: `
del neigh proxy 2001:db8::a:242:0:2 dev eth0
del veth ndh-box master nd-web mtu 1500 up
del rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2
del neigh 2001:db8::a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
`,
		},
		{
			name: "network created where a program answers: all.proxy_ndp stays 0",
			have: host(fresh()...),
			want: at(answering, onWeb),
			ops: `
set sysctl net.ipv6.conf.eth0.accept_ra=2
set sysctl net.ipv6.conf.all.forwarding=1
set sysctl net.ipv6.conf.eth0.forwarding=1
set sysctl net.ipv6.conf.eth0.proxy_ndp=1
set sysctl net.ipv6.neigh.eth0.proxy_delay=0
add bridge nd-web address 4a:5e:57:f6:eb:2f mtu 1500 up
add addr fe80::1/64 dev nd-web
add addr fe80::485e:57ff:fef6:eb2f/64 dev nd-web
add route 2001:db8:0:0:a::/80 dev nd-web
add responder dev eth0 address 02:42:00:00:00:05 src fe80::5 global 2001:db8::5 pool 2001:db8:0:0:a::/80
restore sysctl net.ipv6.conf.all.proxy_ndp=0
`,
		},
		{
			name: "endpoint joins where a program answers: its target before the entry, which is announced",
			have: at(answering, onWeb),
			want: at(answering, onWeb.with(joining(box))),
			ops: `
add neigh 2001:db8::a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
add rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2
add veth ndh-box master nd-web mtu 1500 up
add target 2001:db8::a:242:0:2 dev eth0
add neigh proxy 2001:db8::a:242:0:2 dev eth0
`,
		},
		{
			name: "endpoint leaves where a program answers",
			have: at(answering, onWeb.with(box)),
			want: at(answering, onWeb.with(left)),
			ops: `
del neigh proxy 2001:db8::a:242:0:2 dev eth0
del target 2001:db8::a:242:0:2 dev eth0
del veth ndh-box master nd-web mtu 1500 up
del rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2
del neigh 2001:db8::a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
`,
		},
		{
			name: "a program takes over from the kernel",
			have: onWeb.with(box).plan(),
			want: at(answering, onWeb.with(box)),
			ops: `
add responder dev eth0 address 02:42:00:00:00:05 src fe80::5 global 2001:db8::5 pool 2001:db8:0:0:a::/80
add target 2001:db8::a:242:0:2 dev eth0
restore sysctl net.ipv6.conf.all.proxy_ndp=1
`,
		},
		{
			name: "the kernel takes over from a program: it answers before that goes",
			have: at(answering, onWeb.with(box)),
			want: onWeb.with(box).plan(),
			ops: `
add sysctl net.ipv6.conf.all.proxy_ndp=1
del target 2001:db8::a:242:0:2 dev eth0
del responder dev eth0 address 02:42:00:00:00:05 src fe80::5 global 2001:db8::5 pool 2001:db8:0:0:a::/80
`,
		},
		{
			name: "uplink of a program has other addresses",
			have: at(answering, onWeb.with(box)),
			want: at(other, onWeb.with(box)),
			ops: `
set responder dev eth0 address 02:42:00:00:00:06 src fe80::6 global 2001:db8::5 pool 2001:db8:0:0:a::/80
`,
		},
		{
			name: "another network on the uplink of a program",
			have: at(answering, onWeb),
			want: without(records{[]plan.Network{web, second}, nil, answering}.plan(), "nd-db"),
			ops: `
set responder dev eth0 address 02:42:00:00:00:05 src fe80::5 global 2001:db8::5 pool 2001:db8:0:0:9::/80 pool 2001:db8:0:0:a::/80
`,
		},
		{
			name: "veth pair is gone and its endpoint does not join",
			have: without(onWeb.with(box).plan(), "veth"),
			want: onWeb.with(box).plan(),
		},
		{
			name: "veth pair is gone while its endpoint joins",
			have: without(onWeb.with(box).plan(), "veth"),
			want: onWeb.with(joining(box)).plan(),
			ops: `
add veth ndh-box master nd-web mtu 1500 up
`,
		},
		{
			name: "veth pair lost its bridge",
			have: plus(onWeb.with(box).plan(), plan.Veth{Name: "ndh-box", Alias: plan.AliasEndpoint + "box", MTU: 1500, Up: true}),
			want: onWeb.with(box).plan(),
			ops: `
set veth ndh-box master nd-web mtu 1500 up
`,
		},
		{
			name: "bridge is down",
			have: plus(without(onWeb.plan(), "addr fe80", "route"), plan.Bridge{Name: "nd-web", Alias: plan.AliasNetwork + "web", MAC: web.MAC(), MTU: 1500}),
			want: onWeb.plan(),
			ops: `
set bridge nd-web address 4a:5e:57:f6:eb:2f mtu 1500 up
add addr fe80::1/64 dev nd-web
add addr fe80::485e:57ff:fef6:eb2f/64 dev nd-web
add route 2001:db8:0:0:a::/80 dev nd-web
`,
		},
		{
			name: "neighbor has another MAC",
			have: plus(onWeb.with(box).plan(), plan.Neighbor{Addr: box.Addrs[0], Link: "nd-web", MAC: inet.MAC{2, 0x42, 0, 0, 0, 9}}),
			want: onWeb.with(box).plan(),
			ops: `
set neigh 2001:db8::a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
`,
		},
		{
			name: "uplink renamed",
			have: without(onWeb.with(box).plan(), "sysctl"),
			want: without(at(wan0, onWeb.with(box)), "sysctl"),
			ops: `
add neigh proxy 2001:db8::a:242:0:2 dev wan0
del neigh proxy 2001:db8::a:242:0:2 dev eth0
`,
		},
		{
			name: "uplink gone: containers still reach each other",
			have: without(onWeb.with(box).plan(), "eth0.", "all.proxy_ndp"),
			want: at(plan.Uplinks{}, onWeb.with(box)),
			ops: `
del neigh proxy 2001:db8::a:242:0:2 dev eth0
`,
		},
		{
			name: "uplink's MTU changes",
			have: onWeb.with(box).plan(),
			want: at(jumbo, onWeb.with(box)),
			ops: `
set bridge nd-web address 4a:5e:57:f6:eb:2f mtu 9000 up
set veth ndh-box master nd-web mtu 9000 up
`,
		},
		{
			name: "address withdrawn",
			have: onWeb.with(box).plan(),
			want: onWeb.with(withdrawn).plan(),
			ops: `
del neigh proxy 2001:db8::a:242:0:2 dev eth0
`,
		},
		{
			name: "pool is routed to the host: no proxying",
			have: plan.NewHost(),
			want: records{[]plan.Network{routed}, []plan.Endpoint{joining(routedBox)}, eth0}.plan(),
			ops: `
add sysctl net.ipv6.conf.eth0.accept_ra=2
add sysctl net.ipv6.conf.all.forwarding=1
add bridge nd-web address 4a:5e:57:f6:eb:2f mtu 1500 up
add addr 2001:db8:1::1/80 dev nd-web
add addr fe80::1/64 dev nd-web
add addr fe80::485e:57ff:fef6:eb2f/64 dev nd-web
add route 2001:db8:1::/80 dev nd-web
add neigh 2001:db8:1::2 lladdr 02:42:00:00:00:02 dev nd-web
add rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8:1::2
add veth ndh-box master nd-web mtu 1500 up
`,
		},
		{
			name: "internal network: no sysctls, no proxying",
			have: plan.NewHost(),
			want: records{[]plan.Network{internal}, []plan.Endpoint{joining(box)}, jumbo}.plan(),
			ops: `
add bridge nd-web address 4a:5e:57:f6:eb:2f mtu 1500 up
add addr fe80::1/64 dev nd-web
add addr fe80::485e:57ff:fef6:eb2f/64 dev nd-web
add route 2001:db8:0:0:a::/80 dev nd-web
add neigh 2001:db8::a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
add rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2
add veth ndh-box master nd-web mtu 1500 up
`,
		},
		{
			name: "dual stack",
			have: onWeb.plan(),
			want: records{[]plan.Network{dual}, []plan.Endpoint{joining(dualBox)}, eth0}.plan(),
			ops: `
add sysctl net.ipv4.ip_forward=1
add addr 10.6.0.1/24 dev nd-web
add route 10.6.0.0/24 dev nd-web
add neigh 10.6.0.2 lladdr 02:42:00:00:00:02 dev nd-web
add neigh 2001:db8::a:242:0:2 lladdr 02:42:00:00:00:02 dev nd-web
add rules ndh-box bridge nd-web mac 02:42:00:00:00:02 addr 2001:db8::a:242:0:2 addr 10.6.0.2
add veth ndh-box master nd-web mtu 1500 up
add neigh proxy 2001:db8::a:242:0:2 dev eth0
`,
		},
		{
			name: "link that another process left",
			have: plus(onWeb.plan(), plan.Bridge{Name: "nd-old", Alias: plan.AliasNetwork + "old", MTU: 1500, Up: true}, plan.Route{Dst: netip.MustParsePrefix("2001:db8:2::/80"), Link: "nd-old"}),
			want: onWeb.plan(),
			ops: `
del route 2001:db8:2::/80 dev nd-old
del bridge nd-old address 00:00:00:00:00:00 mtu 1500 up
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.ops, text(plan.Diff(tt.have, tt.want))); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
		})
	}
}
