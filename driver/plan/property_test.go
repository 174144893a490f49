package plan_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/netutil/inet"
)

// drawRecords draws records such as the driver allows: no two share a pool, an
// address or a name.
func drawRecords(t *rapid.T) records {
	var r records
	for i := range rapid.IntRange(0, 4).Draw(t, "networks") {
		n := plan.Network{
			ID: fmt.Sprintf("net%d", i), Bridge: fmt.Sprintf("nd-%d", i),
			Uplink:       rapid.SampledFrom([]string{"auto", "eth0", "wan0"}).Draw(t, "uplink"),
			MTU:          rapid.SampledFrom([]int{0, 1280, 9000}).Draw(t, "mtu"),
			Internal:     rapid.Bool().Draw(t, "internal"),
			NoMasquerade: rapid.Bool().Draw(t, "no masquerade"),
			Follow:       rapid.Bool().Draw(t, "follow"),
			Shared:       rapid.Bool().Draw(t, "shared"),
			Mode:         rapid.SampledFrom([]plan.Mode{"", plan.Routed, plan.NPTv6}).Draw(t, "mode"),
			FastPath:     rapid.Bool().Draw(t, "fast path"),
			Announce:     rapid.SampledFrom([]string{"", plan.AnnouncePrefix, plan.AnnounceEndpoint}).Draw(t, "announce"),
			Pools:        []plan.Pool{{Prefix: netip.MustParsePrefix(fmt.Sprintf("2001:db8:0:0:%x::/80", i+1)), Gateway: fe80}},
		}
		if rapid.Bool().Draw(t, "dual") {
			n.Pools = append(n.Pools, plan.Pool{Prefix: netip.MustParsePrefix(fmt.Sprintf("10.6.%d.0/24", i))})
		}
		for j := range rapid.IntRange(0, 4).Draw(t, "endpoints") {
			e := plan.Endpoint{
				ID: fmt.Sprintf("%d.%d", i, j), Network: n.ID, MAC: inet.MAC{2, 0x42, 0, 0, byte(i), byte(j)},
				Joined: rapid.Bool().Draw(t, "joined"), Joining: rapid.Bool().Draw(t, "joining"),
				Addrs: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("2001:db8:0:0:%x::%x", i+1, j+2))},
			}
			if rapid.Bool().Draw(t, "withdrawn") {
				e.Withdrawn = e.Addrs
			}
			if rapid.Bool().Draw(t, "published") {
				e.Published = []firewall.Published{{Proto: 6, Port: 80, HostAddr: netip.IPv6Unspecified(), Direct: true}}
			}
			if rapid.Bool().Draw(t, "placed") {
				e.Placed, e.Sandbox = true, "/run/docker/netns/"+e.ID
			}
			if rapid.Bool().Draw(t, "stable") {
				e.Stable = netip.MustParseAddr(fmt.Sprintf("2001:db8:0:0:%x:5::%x", i+1, j+2))
			}
			r.endpoints = append(r.endpoints, e)
		}
		r.networks = append(r.networks, n)
	}
	r.up.For = make(map[string]plan.Uplink)
	for _, name := range []string{"auto", "eth0", "wan0"} {
		if !rapid.Bool().Draw(t, "exists") {
			continue
		}
		u := plan.Uplink{Name: name, MTU: rapid.SampledFrom([]int{0, 1400, 1500}).Draw(t, "uplink mtu")}
		if name == "auto" {
			u.Name = "eth0"
		}
		if rapid.Bool().Draw(t, "on link") {
			u.OnLink = prefixes("2001:db8::/64")
		}
		if rapid.Bool().Draw(t, "another on link") {
			u.OnLink = append(u.OnLink, prefixes("2001:db8:1::/64")...)
		}
		if rapid.Bool().Draw(t, "deprecated") {
			u.Deprecated = prefixes("2001:db8::/64")
		}
		if rapid.Bool().Draw(t, "responder") {
			u.Responder = &plan.Responder{Link: u.Name, MAC: inet.MAC{2, 0x42, 0, 0, 0, 5}}
		}
		r.up.For[name] = u
		r.up.RA = append(r.up.RA, u.Name)
	}
	return r
}

// apply does to h what a kernel would.
func apply(h plan.Host, ops []plan.Op) plan.Host {
	h.Objects = maps.Clone(h.Objects)
	for _, op := range ops {
		if op.Verb == plan.Del {
			delete(h.Objects, op.Key())
		} else {
			h.Objects[op.Key()] = op.Owned
		}
	}
	return h
}

func TestDiffOfTheSameIsEmpty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawRecords(t).plan()
		if ops := plan.Diff(h, h); len(ops) > 0 {
			t.Errorf("operations on a host as planned:%s", text(ops))
		}
	})
}

func TestDiffLeadsToThePlan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawRecords(t).plan(), drawRecords(t).plan()
		ops := plan.Diff(have, want)
		got := apply(have, ops)
		if again := plan.Diff(got, want); len(again) > 0 {
			t.Errorf("operations after those of the first time:%s", text(again))
		}
		for k, o := range want.Objects {
			v, ok := o.Object.(plan.Veth)
			_, had := have.Objects[k]
			if _, has := got.Objects[k]; has != (!ok || had || v.Peer != "") {
				t.Errorf("%s: present is %t", o, has)
			}
		}
		removing := false
		for _, op := range ops {
			if removing && op.Verb != plan.Del {
				t.Errorf("%s comes after a removal", op)
			}
			removing = op.Verb == plan.Del
		}
	})
}

func TestBuildKnowsNoOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecords(t)
		want := r.plan()
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		random.Shuffle(len(r.networks), func(i, j int) { r.networks[i], r.networks[j] = r.networks[j], r.networks[i] })
		random.Shuffle(len(r.endpoints), func(i, j int) { r.endpoints[i], r.endpoints[j] = r.endpoints[j], r.endpoints[i] })
		if diff := cmp.Diff(want, r.plan(), byValue...); diff != "" {
			t.Errorf("plan of the same records in another order (-want +got):\n%s", diff)
		}
	})
}

func TestBuildIsTheSumOfItsParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecords(t)
		parts := plan.Shared(r.networks, r.up)
		for _, n := range r.networks {
			maps.Copy(parts.Objects, plan.ForNetwork(n, r.up).Objects)
			for _, e := range r.endpoints {
				if e.Network == n.ID {
					maps.Copy(parts.Objects, plan.ForEndpoint(n, e, r.up).Objects)
				}
			}
		}
		if diff := cmp.Diff(parts, r.plan(), byValue...); diff != "" {
			t.Errorf("plan (-parts +whole):\n%s", diff)
		}
	})
}

func TestOwners(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecords(t)
		for _, o := range r.plan().Objects {
			kind := o.Key().Kind
			shared := kind == plan.KindSysctl || kind == plan.KindResponder || kind == plan.KindFastLink
			known := slices.ContainsFunc(r.networks, func(n plan.Network) bool { return n.ID == o.Owner }) ||
				slices.ContainsFunc(r.endpoints, func(e plan.Endpoint) bool { return e.ID == o.Owner })
			if shared != (o.Owner == "") || !shared && !known {
				t.Errorf("%s belongs to %q", o, o.Owner)
			}
		}
	})
}

// byValue compares what has no exported fields.
var byValue = []cmp.Option{
	cmp.Comparer(func(a, b plan.Owned) bool { return reflect.DeepEqual(a, b) }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

func BenchmarkBuild(b *testing.B) {
	for _, size := range []int{10, 10_000} {
		r := onWeb
		for i := range size {
			e := box
			e.ID = fmt.Sprintf("%011d", i)
			e.Addrs = []netip.Addr{netip.MustParseAddr(fmt.Sprintf("2001:db8::a:0:%x:%x", i>>16, i&0xffff))}
			r.endpoints = append(r.endpoints, e)
		}
		b.Run(fmt.Sprintf("endpoints=%d", size), func(b *testing.B) {
			for b.Loop() {
				r.plan()
			}
		})
	}
}
