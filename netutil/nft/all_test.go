package nft_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/nft"
)

func rules(r ...nft.Statement) []nft.Rule {
	var out []nft.Rule
	for _, s := range r {
		out = append(out, nft.Rule{s})
	}
	return out
}

// all uses every statement, field, type and hook that sample does not.
func all() nft.Ruleset {
	type f = []nft.Field
	type ty = []nft.Type
	set := func(name string, types ty, e ...nft.Element) nft.Set {
		return nft.Set{Name: name, Type: types, Elements: e}
	}
	mac := inet.MAC{2, 0, 0, 0, 0, 1}
	v4, v6 := nft.Addr(netip.MustParseAddr("192.0.2.1")), nft.Addr(netip.MustParseAddr("2001:db8::1"))
	base := func(name string, kind nft.ChainType, p nft.HookPoint, priority int, rules ...nft.Rule) nft.Chain {
		return nft.Chain{Name: name, Hook: &nft.Hook{Type: kind, Point: p, Priority: priority}, Rules: rules}
	}
	return nft.Ruleset{Tables: []nft.Table{
		{
			Family: nft.Inet, Counters: []string{"c1", "c2"},
			Sets: []nft.Set{
				set("open6", ty{nft.IPv6Type, nft.ProtoType, nft.PortType}, nft.Element{v6, nft.ProtoTCP, nft.Port(80)}),
				set("open4", ty{nft.IPv4Type, nft.ProtoType, nft.PortType}, nft.Element{v4, nft.ProtoSCTP, nft.Port(80)}),
				set("hosts4", ty{nft.IPv4Type}, nft.Element{v4}),
				set("types", ty{nft.ICMPv6Type}, nft.Element{nft.ICMPv6(2)}),
				{Name: "pools6", Type: ty{nft.IPv6Type}, Interval: true, Elements: []nft.Element{
					prefix("2001:db8::/64"), prefix("2001:db8:1::/64"),
				}},
				{Name: "ports", Type: ty{nft.LinkNameType}, Data: ty{nft.VerdictType}, Elements: []nft.Element{
					{nft.LinkName("a"), nft.Goto("in")}, {nft.LinkName("b"), nft.Accept},
				}},
				{
					Name: "to6", Type: ty{nft.ProtoType, nft.PortType}, Data: ty{nft.IPv6Type, nft.PortType},
					Elements: []nft.Element{{nft.ProtoTCP, nft.Port(8080), v6, nft.Port(80)}},
				},
				{
					Name: "to4", Type: ty{nft.IPv4Type, nft.ProtoType, nft.PortType}, Data: ty{nft.IPv4Type, nft.PortType},
					Elements: []nft.Element{{v4, nft.ProtoUDP, nft.Port(8080), v4, nft.Port(80)}},
				},
				{Name: "source", Type: ty{nft.IPv6Type}, Data: ty{nft.IPv6Type}, Interval: true, Elements: []nft.Element{
					{prefix("fd00:1::/64")[0], v6},
				}},
				{Name: "prefixes", Type: ty{nft.IPv6Type}, Data: ty{nft.IPv6Range}, Interval: true, Elements: []nft.Element{
					{prefix("fd00::/80")[0], nft.Range(netip.MustParsePrefix("2001:db8::/80"))},
					{prefix("fd00::1:0:0:0/80")[0], nft.Range(netip.MustParsePrefix("2001:db8:0:0:f::/80"))},
				}},
			},
			Chains: []nft.Chain{
				{Name: "in", Rules: append(rules(
					nft.In{Fields: f{nft.IPv6Destination, nft.L4Proto, nft.DestinationPort}, Set: "open6"},
					nft.In{Fields: f{nft.IPv4Destination, nft.L4Proto, nft.DestinationPort}, Not: true, Set: "open4"},
					nft.In{Fields: f{nft.IPv6Source}, Set: "pools6"},
					nft.In{Fields: f{nft.FlowDestination}, Not: true, Set: "pools6"},
					nft.In{Fields: f{nft.FlowDestination4}, Set: "hosts4"},
					nft.Is{Field: nft.IPv6Next, Not: true, Value: nft.ProtoTCP},
					nft.In{Fields: f{nft.ICMPv6TypeField}, Set: "types"},
					nft.Is{Field: nft.L4Proto, Value: nft.ProtoUDP},
					nft.Is{Field: nft.SourcePort, Not: true, Value: nft.Port(67)},
					nft.Is{Field: nft.ICMPv6TypeField, Value: nft.ICMPv6(135)},
					nft.Is{Field: nft.HopLimit, Value: nft.Number(255)},
					nft.Is{Field: nft.IPv6Length, Value: nft.Number(24)},
					nft.Is{Field: nft.Protocol, Value: nft.IPv6},
					nft.Is{Field: nft.InputName, Value: nft.LinkName("lo")},
					nft.Is{Field: nft.IPv6Destination, Value: v6},
					nft.Within{Field: nft.IPv6Source, Prefix: netip.MustParsePrefix("fe80::/10")},
					nft.Within{Field: nft.IPv4Destination, Not: true, Prefix: netip.MustParsePrefix("192.0.2.0/24")},
					nft.NamePrefix{Field: nft.OutputName, Prefix: "nd-"},
					nft.Extension("frag"), nft.Extension("rt"),
					nft.Established, nft.Invalid, nft.New, nft.Untracked, nft.DNATed, nft.OriginalDirection, nft.ToLocal,
					nft.Labeled(0), nft.Labeled(127), nft.SetLabel(64),
					nft.InputKind("bridge"), nft.Limit{Rate: 1000, Burst: 200}, nft.CountIn("c1"), nft.Count, nft.Return,
				), nft.Rule{nft.CountIn("c2"), nft.Drop},
					nft.Rule{nft.Is{Field: nft.L4Proto, Value: nft.ProtoTCP}, nft.Reset{}})},
				base("raw", nft.Filter, nft.Prerouting, nft.PriorityRaw),
				base("input", nft.Filter, nft.Input, nft.PriorityFilter-5, nft.Rule{nft.VMap{Fields: f{nft.InputName}, Map: "ports"}}),
				base("forward", nft.Filter, nft.Forward, nft.PriorityFilter, nft.Rule{nft.Jump("in")}),
				base("pre", nft.NAT, nft.Prerouting, nft.PriorityDestinationNAT,
					nft.Rule{nft.DNAT{Family: 6, Fields: f{nft.L4Proto, nft.DestinationPort}, Map: "to6"}},
					nft.Rule{nft.DNAT{Family: 4, Fields: f{nft.IPv4Destination, nft.L4Proto, nft.DestinationPort}, Map: "to4"}}),
				base("out", nft.NAT, nft.Output, nft.PriorityDestinationNAT,
					nft.Rule{nft.Netmap{Field: nft.IPv6Destination, Map: "prefixes"}}),
				base("post", nft.NAT, nft.Postrouting, nft.PrioritySourceNAT,
					nft.Rule{nft.Netmap{Field: nft.IPv6Source, Map: "prefixes"}},
					nft.Rule{nft.SNAT{Map: "source"}}, nft.Rule{nft.Masquerade}),
			},
		},
		{
			Family: nft.Bridge, Counters: []string{"c1"},
			Sets: []nft.Set{
				set("macs", ty{nft.LinkNameType, nft.EtherType}, nft.Element{nft.LinkName("a"), nft.MAC(mac)}),
				set("llas", ty{nft.LinkNameType, nft.LLAType}, nft.Element{nft.LinkName("a"), nft.LLA(mac)}),
				set("ip6", ty{nft.LinkNameType, nft.IPv6Type}, nft.Element{nft.LinkName("a"), v6}),
				set("ip4", ty{nft.LinkNameType, nft.IPv4Type}, nft.Element{nft.LinkName("a"), v4}),
			},
			Chains: []nft.Chain{
				base("pre", nft.Filter, nft.Prerouting, nft.PriorityBridge, rules(
					nft.In{Fields: f{nft.InputName, nft.EtherSource}, Not: true, Set: "macs"},
					nft.In{Fields: f{nft.InputName, nft.IPv6Source}, Not: true, Set: "ip6"},
					nft.In{Fields: f{nft.InputName, nft.IPv4Source}, Not: true, Set: "ip4"},
					nft.In{Fields: f{nft.InputName, nft.NDTarget}, Set: "ip6"},
					nft.In{Fields: f{nft.InputName, nft.ARPSourceIP}, Set: "ip4"},
					nft.In{Fields: f{nft.InputName, nft.ARPSourceMAC}, Set: "macs"},
					nft.In{Fields: f{nft.InputName, nft.NDOption}, Set: "llas"},
					nft.Is{Field: nft.NDOptionType, Value: nft.Number(2)},
					nft.Is{Field: nft.EtherProtocol, Value: nft.EtherARP},
					nft.Is{Field: nft.ICMPv6TypeField, Value: nft.ICMPv6(134)},
					nft.Within{Field: nft.IPv6Destination, Prefix: netip.MustParsePrefix("ff00::/8")},
					nft.Extension("frag"), nft.CountIn("c1"),
				)...),
			},
		},
	}}
}

// TestTranslationsAreCompared has others change what rewrites prefixes.
func TestTranslationsAreCompared(t *testing.T) {
	for name, tamper := range map[string][]string{
		"element": {
			"nft delete element inet ndp6 prefixes { fd00::/80 }",
			"nft add element inet ndp6 prefixes { fd00::/80 : 2001:db8:0:0:e::/80 }",
		},
		"map":  {"nft flush chain inet ndp6 out", "nft add rule inet ndp6 out dnat ip6 to ip6 daddr map @source"},
		"flow": {"nft flush chain inet ndp6 probe", "nft add rule inet ndp6 probe ct reply ip6 daddr @pools6"},
	} {
		t.Run(name, func(t *testing.T) {
			nettest.Enter(t)
			c := open(t)
			c.Pretend(func(f *nft.Features) { f.Owned = false })
			want := all()
			want.Tables[0].Chains = append(want.Tables[0].Chains, nft.Chain{
				Name: "probe", Rules: rules(nft.In{Fields: []nft.Field{nft.FlowDestination}, Set: "pools6"}),
			})
			ensure(t, c, want, true)
			before := listed(t)
			nettest.Run(t, tamper...)
			ensure(t, c, want, true)
			if diff := cmp.Diff(before, listed(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAllReadBack(t *testing.T) {
	nettest.Enter(t)
	c, err := nft.Open()
	if err != nil {
		t.Fatal(err)
	}
	c.Pretend(func(f *nft.Features) { f.Owned = false })
	ensure(t, c, all(), true)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t)
	again.Pretend(func(f *nft.Features) { f.Owned = false })
	ensure(t, again, all(), false)
	for i, family := range []string{"inet", "bridge"} {
		got := nettest.Run(t, "nft -s list table "+family+" ndp6")
		got = regexp.MustCompile(`,\n\s+`).ReplaceAllString(got, ", ")
		// nft shows these guards, which it takes for granted when it reads.
		got = strings.ReplaceAll(got, "meta nfproto ipv6 dnat", "dnat")
		got = strings.ReplaceAll(got, "meta l4proto ipv6-icmp iifname . @th,64,128", "iifname . icmpv6 taddr")
		if diff := cmp.Diff(all().Tables[i].String(), got); diff != "" {
			t.Errorf("%s:\n%s", family, diff)
		}
	}
	counters, err := again.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]nft.Counter{"inet c1": {}, "bridge c1": {}, "c2": {}}, counters); diff != "" {
		t.Error(diff)
	}
}
