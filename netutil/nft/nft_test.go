package nft_test

import (
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/nft"
)

// sample uses every statement, type and hook that there is.
func sample() nft.Ruleset {
	return nft.Ruleset{
		Tables: []nft.Table{{
			Family: nft.Inet,
			Sets: []nft.Set{
				{
					Name: "own", Type: []nft.Type{nft.LinkNameType},
					Elements: []nft.Element{{nft.LinkName("br0")}, {nft.LinkName("br1")}},
				},
				{
					Name: "inside", Type: []nft.Type{nft.LinkNameType, nft.LinkNameType},
					Elements: []nft.Element{{nft.LinkName("br0"), nft.LinkName("br0")}},
				},
				{Name: "uplinks", Type: []nft.Type{nft.LinkNameType}},
				{
					Name: "pools", Type: []nft.Type{nft.IPv4Type}, Interval: true,
					Elements: []nft.Element{
						prefix("10.1.0.0/24"), prefix("10.1.1.0/24"), prefix("10.2.0.1/32"), prefix("255.0.0.0/8"),
					},
				},
			},
			Chains: []nft.Chain{
				{Name: "carry", Rules: []nft.Rule{{nft.SetMark(0x10000000), nft.Accept}}},
				{
					Name: "forward",
					Hook: &nft.Hook{Type: nft.Filter, Point: nft.Forward, Priority: nft.PriorityFilter - 5},
					Rules: []nft.Rule{
						{nft.In{Fields: []nft.Field{nft.InputName, nft.OutputName}, Set: "inside"}, nft.Goto("carry")},
						{nft.In{Fields: []nft.Field{nft.InputName}, Not: true, Set: "own"}, nft.Return},
						{nft.Established, nft.Goto("carry")},
						{nft.OutputKind("bridge"), nft.Count, nft.Drop},
					},
				},
				{
					Name: "clear",
					Hook: &nft.Hook{Type: nft.Filter, Point: nft.Forward, Priority: nft.PriorityFilter + 5},
					Rules: []nft.Rule{
						{nft.MarkLacks(0x10000000), nft.Accept},
						{nft.MarkHas(0x10000000), nft.ClearMark(0x10000000)},
					},
				},
				{
					Name: "post",
					Hook: &nft.Hook{Type: nft.NAT, Point: nft.Postrouting, Priority: nft.PrioritySourceNAT},
					Rules: []nft.Rule{
						{nft.In{Fields: []nft.Field{nft.IPv4Source}, Set: "pools"}, nft.Masquerade},
					},
				},
			},
		}},
		Accept: nft.Rule{nft.MarkHas(0x10000000), nft.Count, nft.Accept},
	}
}

func prefix(s string) nft.Element { return nft.Element{nft.Prefix(netip.MustParsePrefix(s))} }

func open(tb testing.TB) *nft.Conn {
	tb.Helper()
	c, err := nft.Open()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// listed returns our table as nft prints it, in the form of Ruleset.String.
func listed(tb testing.TB) string {
	tb.Helper()
	text := nettest.Run(tb, "nft -s list table inet ndp6")
	text = regexp.MustCompile(` # progname .*|\tflags .*owner.*\n+`).ReplaceAllString(text, "")
	elements := regexp.MustCompile(`elements = \{[^}]*\}`)
	return elements.ReplaceAllStringFunc(text, func(s string) string {
		s = strings.TrimSuffix(strings.TrimPrefix(s, "elements = {"), "}")
		parts := strings.Split(s, ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		slices.Sort(parts)
		return "elements = { " + strings.Join(parts, ", ") + " }"
	})
}

func TestTextIsWhatNftLists(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	want := sample()
	if err := c.Apply(want); err != nil {
		t.Fatal(err)
	}
	want.Accept = nil // it has no chain to be in here
	if diff := cmp.Diff(want.String(), listed(t)); diff != "" {
		t.Error(diff)
	}
}

func TestTextIsWhatNftReads(t *testing.T) {
	nettest.Enter(t)
	want := sample()
	want.Accept = nil
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(want.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(want.String(), listed(t)); diff != "" {
		t.Error(diff)
	}
}

func TestCheck(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	for name, test := range map[string]struct {
		element nft.Element
		want    string
	}{
		"long name": {
			nft.Element{nft.LinkName("br-0123456789abcdef")},
			`apply nftables rules: set own: link name "br-0123456789abcdef": want 1 to 15 bytes`,
		},
		"no name": {
			nft.Element{nft.LinkName("")},
			`apply nftables rules: set own: link name "": want 1 to 15 bytes`,
		},
		"parts": {
			nft.Element{nft.LinkName("a"), nft.LinkName("b")},
			`apply nftables rules: set own: element "a" . "b" has 2 parts, want 1`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := sample()
			r.Tables[0].Sets[0].Elements = []nft.Element{test.element}
			err := c.Apply(r)
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	if out := nettest.Run(t, "nft list ruleset"); out != "" {
		t.Errorf("rules after refused rulesets:\n%s", out)
	}
}

func TestEnsure(t *testing.T) {
	for _, test := range []struct {
		name   string
		tamper []string
	}{
		{"ruleset flushed", []string{"nft flush ruleset"}},
		{"table deleted", []string{"nft delete table inet ndp6"}},
		{"table flushed", []string{"nft flush table inet ndp6"}},
		{"table asleep", []string{"nft add table inet ndp6 { flags dormant ; }"}},
		{"chain flushed", []string{"nft flush chain inet ndp6 forward"}},
		{"chain deleted", []string{"nft delete chain inet ndp6 clear"}},
		{"chain policy", []string{"nft chain inet ndp6 forward { policy drop ; }"}},
		{"chain added", []string{"nft add chain inet ndp6 extra"}},
		{"rule added", []string{"nft add rule inet ndp6 forward drop"}},
		{"rule replaced", []string{
			"nft flush chain inet ndp6 carry",
			"nft add rule inet ndp6 carry meta mark set meta mark | 0x20000000 accept",
		}},
		{"set flushed", []string{"nft flush set inet ndp6 own"}},
		{"element added", []string{"nft add element inet ndp6 own { br9 }"}},
		{"element deleted", []string{"nft delete element inet ndp6 own { br1 }"}},
		{"interval deleted", []string{"nft delete element inet ndp6 pools { 10.1.1.0/24 }"}},
		{"set added", []string{"nft add set inet ndp6 extra { type ifname ; }"}},
		{"accept flushed", []string{"ip6tables-nft -F FORWARD"}},
		{"accept not last", []string{"ip6tables-nft -A FORWARD -j DROP"}},
		{"accept twice", []string{
			"ip6tables-nft -A FORWARD -m mark --mark 0x10000000/0x10000000 -m comment --comment ndp6 -j ACCEPT",
		}},
		{"accept changed", []string{
			"ip6tables-nft -F FORWARD",
			"ip6tables-nft -A FORWARD -m comment --comment ndp6 -j ACCEPT",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			nettest.Enter(t)
			nettest.Run(t, "ip6tables-nft -P FORWARD DROP", "iptables-nft -P FORWARD DROP")
			c := open(t)
			c.Pretend(func(f *nft.Features) { f.Owned = false })
			want := sample()
			if changed, err := c.Ensure(want); err != nil || !changed {
				t.Fatalf("first: changed %t, %v", changed, err)
			}
			if changed, err := c.Ensure(want); err != nil || changed {
				t.Fatalf("second: changed %t, %v", changed, err)
			}
			all := nettest.Run(t, "nft -s list ruleset")
			nettest.Run(t, test.tamper...)
			if nettest.Run(t, "nft -s list ruleset") == all {
				t.Fatal("the test changed nothing")
			}
			if changed, err := c.Ensure(want); err != nil || !changed {
				t.Fatalf("after tampering: changed %t, %v", changed, err)
			}
			text := want
			text.Accept = nil
			if diff := cmp.Diff(text.String(), listed(t)); diff != "" {
				t.Error(diff)
			}
			if changed, err := c.Ensure(want); err != nil || changed {
				t.Errorf("on a correct host: changed %t, %v", changed, err)
			}
		})
	}
}

func TestRemove(t *testing.T) {
	nettest.Enter(t)
	nettest.Run(t,
		"ip6tables-nft -P FORWARD DROP", "ip6tables-nft -A FORWARD -i lo -j ACCEPT",
		"nft add table inet other", "nft add table ip ndp6")
	before := nettest.Run(t, "nft list ruleset")
	c := open(t)
	for _, remove := range []func() error{c.Remove, func() error { return c.Apply(nft.Ruleset{}) }} {
		if err := c.Apply(sample()); err != nil {
			t.Fatal(err)
		}
		for range 2 { // what is gone is removed
			if err := remove(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, nettest.Run(t, "nft list ruleset")); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestMissing(t *testing.T) {
	nettest.Enter(t)
	c, err := nft.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := nettest.Run(t, "nft list ruleset")
	if err := c.Missing(); err != nil {
		t.Errorf("this kernel has all that the tests of this package use, got %v", err)
	}
	if diff := cmp.Diff(before, nettest.Run(t, "nft list ruleset")); diff != "" {
		t.Errorf("asking changed the rules (-before +after):\n%s", diff)
	}
}
