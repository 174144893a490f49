package firewall_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/golden"
	"github.com/ndp6/ndp6/netutil/nft"
)

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func TestBuild(t *testing.T) {
	pool := netip.MustParsePrefix
	for _, test := range []struct {
		name   string
		file   string
		policy firewall.Policy
	}{
		{
			name: "one network", file: "one.nft",
			policy: firewall.Policy{
				Networks: []firewall.Network{{Bridge: "nd-web", Pools: prefixes("2001:db8:0:0:a::/80")}},
				Uplinks:  []string{"eth0"},
			},
		},
		{
			name: "all kinds, in any order", file: "all.nft",
			policy: firewall.Policy{
				Networks: []firewall.Network{
					{Bridge: "nd-secret", Internal: true, Pools: prefixes("2001:db8:0:0:c::/80", "10.8.0.0/24"), Masquerade4: pool("10.8.0.0/24")},
					{Bridge: "nd-both", Pools: prefixes("2001:db8:0:0:b::/80", "10.7.0.0/24"), Masquerade4: pool("10.7.0.0/24")},
					{Bridge: "nd-apart", Isolated: true, HostICMPOnly: true, Pools: prefixes("fd00:0:0:d::/64", "192.0.2.0/24")},
					{Bridge: "nd-both", Masquerade4: pool("10.7.0.0/25")},
					{Bridge: "nd-none", Internal: true, Isolated: true},
					{Bridge: "nd-swarm", Shared: true, Pools: prefixes("2001:db8:0:0:d::/80")},
					{Bridge: "nd-nat", NAT6: true, Pools: prefixes("fd00:0:0:e::/64", "10.9.0.0/24")},
					{Bridge: "nd-fixed", NAT6: true, Source6: netip.MustParseAddr("2001:db8::1"), Pools: prefixes("fd00:0:0:f::/64")},
					{Bridge: "nd-map", NAT6: true, Pools: prefixes("fd00::1:0:0:0/80"), Translations: []firewall.Translation{
						{Inside: pool("fd00::1:0:0:0/80"), Outside: pool("2001:db8:2:0:1::/80")},
						{Inside: pool("fd00::1:0:0:0/80"), Outside: pool("2001:db8:1:0:1::/80")},
					}, Withdrawn: prefixes("2001:db8:3:0:1::/80")},
					{Bridge: "nd-shut", NAT6: true, Internal: true, Pools: prefixes("fd00::2:0:0:0/80"), Translations: []firewall.Translation{
						{Inside: pool("fd00::2:0:0:0/80"), Outside: pool("2001:db8:2:0:2::/80")},
					}},
				},
				Uplinks: []string{"wan0", "br-lan", "wan0", "nd-both"},
				Guard:   true,
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			golden.Expect(t, filepath.Join("testdata", test.file), firewall.Build(test.policy).String())
		})
	}
	if got := firewall.Build(firewall.Policy{Uplinks: []string{"eth0"}, Guard: true}).String(); got != "" {
		t.Errorf("without a network there is\n%s", got)
	}
}

// rules returns a table without what may differ between hosts.
func rules(t nft.Table) nft.Table {
	for i := range t.Sets {
		t.Sets[i].Elements = nil
	}
	return t
}

func TestRulesAreConstant(t *testing.T) {
	networks := func(n int) firewall.Policy {
		p := firewall.Policy{Uplinks: []string{"eth0"}, Guard: true}
		for i := range n {
			inside, outside := prefixes(fmt.Sprintf("fd00:0:0:%x::/64", i)), prefixes(fmt.Sprintf("2001:db8:1:%x::/64", i))
			p.Networks = append(p.Networks, firewall.Network{
				NAT6: i%10 > 7, Translations: []firewall.Translation{{Inside: inside[0], Outside: outside[0]}},
				Bridge: fmt.Sprintf("nd-%d", i), Internal: i%10 == 5, Isolated: i%10 == 0, HostICMPOnly: i%10 == 0,
				Pools:       prefixes(fmt.Sprintf("2001:db8:0:%x::/64", i), fmt.Sprintf("10.7.%d.0/24", i)),
				Masquerade4: netip.MustParsePrefix(fmt.Sprintf("10.7.%d.0/24", i)),
			})
		}
		return p
	}
	one, hundred := firewall.Build(networks(1)), firewall.Build(networks(100))
	for i := range one.Tables {
		if diff := cmp.Diff(rules(one.Tables[i]).String(), rules(hundred.Tables[i]).String()); diff != "" {
			t.Errorf("table %d:\n%s", i, diff)
		}
		if diff := cmp.Diff(rules(one.Beside[i]).String(), rules(hundred.Beside[i]).String()); diff != "" {
			t.Errorf("table %d beside others:\n%s", i, diff)
		}
	}
}
