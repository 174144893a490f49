package xtables_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/xtables"
)

func TestForward(t *testing.T) {
	four, six := "iptables-legacy", "ip6tables-legacy"
	packets := map[string]xtables.Packet{
		four: {In: "eth0", Out: "nd-1", Source: netip.MustParseAddr("192.0.2.1"), Destination: netip.MustParseAddr("192.0.2.2"), Proto: 6, Mark: xtables.Bit},
		six:  {In: "eth0", Out: "nd-1", Source: netip.MustParseAddr("2001:db8::1"), Destination: netip.MustParseAddr("2001:db8::2"), Proto: 6, Mark: xtables.Bit},
	}
	drop := "-P FORWARD DROP"
	for _, tt := range []struct {
		name  string
		rules []string
		want  xtables.Verdict
	}{
		{"empty", []string{"-P FORWARD ACCEPT"}, xtables.Verdict{Policy: true}},
		{"policy", []string{drop}, xtables.Verdict{Drop: true, Policy: true}},
		{"rule of ours", []string{drop, acceptRule[:len(acceptRule)-1]}, xtables.Verdict{}},
		{"other mark", []string{drop, "-A FORWARD -m mark --mark 1 -j ACCEPT"}, xtables.Verdict{Drop: true, Policy: true}},
		{"links", []string{drop, "-A FORWARD -i eth1 -j DROP", "-A FORWARD -i eth+ -o nd-1 -j ACCEPT"}, xtables.Verdict{}},
		{"not that link", []string{"-A FORWARD ! -o nd-1 -j DROP"}, xtables.Verdict{Policy: true}},
		{"protocol", []string{"-A FORWARD -p udp -j DROP", "-A FORWARD -p tcp -j REJECT"}, xtables.Verdict{Drop: true}},
		{"chain", []string{"-N U", "-A FORWARD -j U", "-A FORWARD -j DROP", "-A U -i eth1 -j DROP", "-A U -i eth0 -j ACCEPT"}, xtables.Verdict{}},
		{"return", []string{drop, "-N U", "-A FORWARD -j U", "-A FORWARD -j ACCEPT", "-A U -j RETURN", "-A U -j DROP"}, xtables.Verdict{}},
		{"return from the chain", []string{drop, "-A FORWARD -j RETURN", "-A FORWARD -j ACCEPT"}, xtables.Verdict{Drop: true, Policy: true}},
		{"not known", []string{drop, "-A FORWARD -p tcp --dport 80 -j ACCEPT"}, xtables.Verdict{Drop: true, Policy: true, Unsure: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enter(t)
			for _, command := range []string{four, six} {
				if _, used, err := c.Forward(packets[command]); used || err != nil {
					t.Errorf("no table: %v, %v", used, err)
				}
				for _, r := range tt.rules {
					nettest.Run(t, command+" "+r)
				}
				got, used, err := c.Forward(packets[command])
				if !used || err != nil {
					t.Fatalf("used is %v, %v", used, err)
				}
				tt.want.Command = command
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", command, diff)
				}
			}
		})
	}
	t.Run("addresses", func(t *testing.T) {
		c := enter(t)
		nettest.Run(t, six+" -A FORWARD -s 2001:db8::/112 ! -d 2001:db8::4/126 -j DROP")
		if got, _, err := c.Forward(packets[six]); err != nil || !got.Drop {
			t.Errorf("%+v, %v", got, err)
		}
		other := packets[six]
		other.Destination = netip.MustParseAddr("2001:db8::5")
		if got, _, err := c.Forward(other); err != nil || got.Drop {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
