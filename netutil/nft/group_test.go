package nft_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/nft"
)

// endpoints is a ruleset with the sets and maps of endpoints, like those that
// a host with containers has.
func endpoints() nft.Ruleset {
	r := sample()
	r.Tables[0].Counters = []string{"drops"}
	r.Tables[0].Chains = append(r.Tables[0].Chains, nft.Chain{Name: "publish", Rules: []nft.Rule{
		{nft.In{Fields: []nft.Field{nft.IPv6Destination, nft.L4Proto, nft.DestinationPort}, Set: "open"}, nft.Accept},
		{nft.DNAT{Family: 6, Fields: []nft.Field{nft.L4Proto, nft.DestinationPort}, Map: "to"}},
		{nft.CountIn("drops"), nft.Drop},
	}})
	r.Tables[0].Chains = append(r.Tables[0].Chains, nft.Chain{
		Name: "pre", Hook: &nft.Hook{Type: nft.NAT, Point: nft.Prerouting, Priority: nft.PriorityDestinationNAT},
		Rules: []nft.Rule{{nft.ToLocal, nft.Goto("publish")}},
	})
	r.Tables[0].Sets = append(r.Tables[0].Sets,
		nft.Set{Name: "open", Type: []nft.Type{nft.IPv6Type, nft.ProtoType, nft.PortType}},
		nft.Set{Name: "to", Type: []nft.Type{nft.ProtoType, nft.PortType}, Data: []nft.Type{nft.IPv6Type, nft.PortType}})
	r.Tables = append(r.Tables, nft.Table{
		Family: nft.Bridge,
		Sets: []nft.Set{
			{Name: "ports", Type: []nft.Type{nft.LinkNameType}, Data: []nft.Type{nft.VerdictType}},
			{Name: "macs", Type: []nft.Type{nft.LinkNameType, nft.EtherType}},
			{Name: "ip6", Type: []nft.Type{nft.LinkNameType, nft.IPv6Type}},
		},
		Chains: []nft.Chain{
			{
				Name:  "pre",
				Hook:  &nft.Hook{Type: nft.Filter, Point: nft.Prerouting, Priority: nft.PriorityBridge},
				Rules: []nft.Rule{{nft.VMap{Fields: []nft.Field{nft.InputName}, Map: "ports"}}},
			},
			{Name: "guard", Rules: []nft.Rule{
				{nft.In{Fields: []nft.Field{nft.InputName, nft.EtherSource}, Not: true, Set: "macs"}, nft.Drop},
				{nft.In{Fields: []nft.Field{nft.InputName, nft.IPv6Source}, Not: true, Set: "ip6"}, nft.Drop},
			}},
		},
	})
	return r
}

// endpoint is the group of the i-th endpoint: eight elements.
func endpoint(i int) nft.Group {
	port := nft.LinkName(fmt.Sprintf("ndh-%d", i))
	addr := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(i >> 8), 15: byte(i)})
	lla := netip.AddrFrom16([16]byte{0xfe, 0x80, 14: byte(i >> 8), 15: byte(i)})
	mac := inet.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}
	in := func(f nft.Family, set string, e ...nft.Value) nft.GroupElement {
		return nft.GroupElement{Family: f, Set: set, Element: e}
	}
	return nft.Group{
		in(nft.Inet, "open", nft.Addr(addr), nft.ProtoTCP, nft.Port(80)),
		in(nft.Inet, "open", nft.Addr(addr), nft.ProtoUDP, nft.Port(443)),
		in(nft.Inet, "to", nft.ProtoTCP, nft.Port(1024+i), nft.Addr(addr), nft.Port(80)),
		in(nft.Inet, "to", nft.ProtoUDP, nft.Port(1024+i), nft.Addr(addr), nft.Port(443)),
		in(nft.Bridge, "ports", port, nft.Goto("guard")),
		in(nft.Bridge, "macs", port, nft.MAC(mac)),
		in(nft.Bridge, "ip6", port, nft.Addr(addr)),
		in(nft.Bridge, "ip6", port, nft.Addr(lla)),
	}
}

func withGroups(r nft.Ruleset, n int) nft.Ruleset {
	r.Groups = make(map[string]nft.Group, n)
	for i := range n {
		r.Groups[fmt.Sprintf("ep%d", i)] = endpoint(i)
	}
	return r
}

func ensure(tb testing.TB, c *nft.Conn, r nft.Ruleset, want bool) {
	tb.Helper()
	if changed, err := c.Ensure(r); err != nil || changed != want {
		tb.Fatalf("ensure: changed %t, want %t, %v", changed, want, err)
	}
}

// everything returns what nft lists, without who owns tables.
func everything(tb testing.TB) string {
	tb.Helper()
	return nettest.Run(tb, "nft -s -j list ruleset")
}

func TestGroups(t *testing.T) {
	nettest.Enter(t)
	c, err := nft.Open()
	if err != nil {
		t.Fatal(err)
	}
	ensure(t, c, withGroups(endpoints(), 3), true)
	three := everything(t)
	ensure(t, c, withGroups(endpoints(), 3), false)

	set := func(owner string, g nft.Group) {
		t.Helper()
		if err := c.SetGroup(owner, g); err != nil {
			t.Fatal(err)
		}
	}
	set("ep3", endpoint(3))
	if got, ok := c.Group("ep3"); !ok || !cmp.Equal(endpoint(3).String(), got.String()) {
		t.Errorf("group: %t\n%s", ok, got)
	}
	if everything(t) == three {
		t.Error("the group is not there")
	}
	ensure(t, c, withGroups(endpoints(), 4), false)

	// The same keys with other data.
	moved := endpoint(3)
	moved[2].Element = nft.Element{nft.ProtoTCP, nft.Port(1027), moved[0].Element[0], nft.Port(81)}
	set("ep3", moved)
	set("ep3", endpoint(3))
	ensure(t, c, withGroups(endpoints(), 4), false)
	set("ep3", nil)
	if _, ok := c.Group("ep3"); ok {
		t.Error("a removed group is there")
	}
	ensure(t, c, withGroups(endpoints(), 3), false)

	// Whoever has not seen any of it reads the same, and adopts it.
	owned := c.IsOwned()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t)
	ensure(t, again, withGroups(endpoints(), 3), owned)
	ensure(t, again, withGroups(endpoints(), 3), false)
	if err := again.SetGroup("ep1", nil); err != nil {
		t.Fatal(err)
	}
	ensure(t, again, withGroups(endpoints(), 3), true)
	ensure(t, again, withGroups(endpoints(), 5), true)
	ensure(t, again, withGroups(endpoints(), 0), true)
}

func TestSharedElement(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	ensure(t, c, endpoints(), true)
	for _, owner := range []string{"a", "b"} {
		if err := c.SetGroup(owner, endpoint(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SetGroup("a", nil); err != nil {
		t.Fatal(err)
	}
	want := endpoints()
	want.Groups = map[string]nft.Group{"b": endpoint(1)}
	ensure(t, c, want, false)
	conflict := endpoint(1)[2:3]
	conflict = nft.Group{{Family: nft.Inet, Set: "to", Element: nft.Element{
		conflict[0].Element[0], conflict[0].Element[1], conflict[0].Element[2], nft.Port(9),
	}}}
	if err := c.SetGroup("a", conflict); err == nil {
		t.Error("two owners have a key with different data")
	}
	ensure(t, c, want, false)
	if err := c.SetGroup("a", nft.Group{{Family: nft.Inet, Set: "none", Element: nft.Element{nft.Port(1)}}}); err == nil {
		t.Error("an element of no set")
	}
	if err := c.SetGroup("b", nil); err != nil {
		t.Fatal(err)
	}
	ensure(t, c, endpoints(), false)
}

func TestManyGoroutines(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	storm := startStorm(t)
	ensure(t, c, endpoints(), true)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			owner := fmt.Sprintf("ep%d", i)
			for _, g := range []nft.Group{endpoint(i), nil, endpoint(i)} {
				if err := c.SetGroup(owner, g); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	storm.end()
	ensure(t, c, withGroups(endpoints(), 64), false)
}

func TestManyGroups(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	want := withGroups(endpoints(), 10_000)
	ensure(t, c, want, true)
	ensure(t, c, want, false)
	if err := c.Apply(want); err != nil {
		t.Fatal(err)
	}
	ensure(t, c, want, false)
}

func TestNoBridge(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	c.Pretend(func(f *nft.Features) { f.Bridge = false })
	for i := range 2 {
		if changed, err := c.Ensure(withGroups(endpoints(), 2)); !errors.Is(err, nft.ErrNoBridge) || changed != (i == 0) {
			t.Errorf("changed %t, %v", changed, err)
		}
	}
	if err := c.SetGroup("ep2", endpoint(2)); err != nil {
		t.Error(err)
	}
	if out := nettest.Run(t, "nft list tables"); out != "table inet ndp6\n" {
		t.Errorf("tables:\n%s", out)
	}
	c.Pretend(func(f *nft.Features) { f.NAT = false })
	if _, err := c.Ensure(sample()); !errors.Is(err, nft.ErrNoNAT) {
		t.Errorf("without NAT: %v", err)
	}
}

// TestNoLabels has a kernel whose flows have no labels.
func TestNoLabels(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	c.Pretend(func(f *nft.Features) { f.Owned, f.Labels = false, false })
	accept := nft.Is{Field: nft.L4Proto, Value: nft.ProtoTCP}
	table := func(rules ...nft.Rule) nft.Ruleset {
		return nft.Ruleset{Tables: []nft.Table{{Family: nft.Inet, Chains: []nft.Chain{{Name: "in", Rules: rules}}}}}
	}
	labeled := table(
		nft.Rule{nft.Established, nft.Labeled(1), nft.Accept}, nft.Rule{accept, nft.SetLabel(1), nft.Accept},
		nft.Rule{nft.SetLabel(1)}, nft.Rule{nft.Drop},
	)
	for i := range 2 {
		ensure(t, c, labeled, i == 0)
	}
	if diff := cmp.Diff(table(nft.Rule{accept, nft.Accept}, nft.Rule{nft.Drop}).String(), listed(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c.Pretend(func(f *nft.Features) { f.Owned = false })
	ensure(t, c, sample(), true)
	ensure(t, c, labeled, true)
	if diff := cmp.Diff(labeled.String(), listed(t)); diff != "" {
		t.Errorf("with labels (-want +got):\n%s", diff)
	}
}

// BenchmarkSetGroup adds and removes an endpoint; one operation is both.
func BenchmarkSetGroup(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprintf("groups=%d", n), func(b *testing.B) {
			nettest.Enter(b)
			c := open(b)
			ensure(b, c, withGroups(endpoints(), n), true)
			g := endpoint(n + 1)
			p := newPercentiles(b)
			for b.Loop() {
				for _, g := range []nft.Group{g, nil} {
					p.measure(func() {
						if err := c.SetGroup("new", g); err != nil {
							b.Fatal(err)
						}
					})
				}
			}
			p.report()
		})
	}
}

func BenchmarkRebuild(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprintf("groups=%d", n), func(b *testing.B) {
			nettest.Enter(b)
			c, r := open(b), withGroups(endpoints(), n)
			for b.Loop() {
				if err := c.Apply(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEnsureGroups(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprintf("groups=%d", n), func(b *testing.B) {
			nettest.Enter(b)
			c, r := open(b), withGroups(endpoints(), n)
			ensure(b, c, r, true)
			for b.Loop() {
				if _, err := c.Ensure(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestElementsAlone changes what the ruleset itself has in sets. Tables stay:
// to replace one loses packets that are on their way through it.
func TestElementsAlone(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	with := func(ports ...int) nft.Ruleset {
		r := withGroups(endpoints(), 2)
		for _, p := range ports {
			to := nft.Element{nft.ProtoTCP, nft.Port(p), nft.Addr(netip.MustParseAddr("2001:db8::9")), nft.Port(80)}
			sets := r.Tables[0].Sets
			sets[len(sets)-1].Elements = append(sets[len(sets)-1].Elements, to)
		}
		return r
	}
	handles := func() string { return nettest.Run(t, "nft -a list chain inet ndp6 publish") }
	list := func() string { return nettest.Run(t, "nft -s list ruleset") }
	ensure(t, c, with(80), true)
	want := handles()
	for _, ports := range [][]int{{80, 81}, {81}, {}, {82, 83}} {
		ensure(t, c, with(ports...), true)
		ensure(t, c, with(ports...), false)
		if diff := cmp.Diff(want, handles()); diff != "" {
			t.Errorf("ports %v: the table was replaced:\n%s", ports, diff)
		}
		got := list()
		if err := c.Apply(with(ports...)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(list(), got); diff != "" {
			t.Errorf("ports %v (-made anew +changed):\n%s", ports, diff)
		}
		want = handles()
	}
}
