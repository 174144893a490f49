package firewall_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/firewall"
)

func TestBuild(t *testing.T) {
	pool := netip.MustParsePrefix
	for _, test := range []struct {
		name   string
		policy firewall.Policy
		want   string
	}{
		{
			name:   "no network",
			policy: firewall.Policy{Uplinks: []string{"eth0"}},
		},
		{
			name: "IPv6 only",
			policy: firewall.Policy{
				Networks: []firewall.Network{{Bridge: "nd-a"}},
				Uplinks:  []string{"eth0"},
			},
			want: `table inet ndp6 {
	set own {
		type ifname
		elements = { "nd-a" }
	}

	set inside {
		type ifname . ifname
		elements = { "nd-a" . "nd-a" }
	}

	set internal {
		type ifname
	}

	set uplinks {
		type ifname
		elements = { "eth0" }
	}
` + forward + `}
` + accept,
		},
		{
			name: "dual stack and internal, in any order",
			policy: firewall.Policy{
				Networks: []firewall.Network{
					{Bridge: "nd-b", Masquerade4: pool("10.9.0.0/24")},
					{Bridge: "nd-i", Masquerade4: pool("10.8.0.0/24"), Internal: true},
					{Bridge: "nd-a", Masquerade4: pool("10.7.0.0/24")},
					{Bridge: "nd-a", Masquerade4: pool("10.7.0.0/25")},
				},
				Uplinks: []string{"wan0", "br-lan", "wan0"},
			},
			want: `table inet ndp6 {
	set own {
		type ifname
		elements = { "nd-a", "nd-b", "nd-i" }
	}

	set inside {
		type ifname . ifname
		elements = { "nd-a" . "nd-a", "nd-b" . "nd-b", "nd-i" . "nd-i" }
	}

	set internal {
		type ifname
		elements = { "nd-i" }
	}

	set uplinks {
		type ifname
		elements = { "br-lan", "wan0" }
	}

	set masquerade4 {
		type ipv4_addr
		flags interval
		elements = { 10.7.0.0/24, 10.9.0.0/24 }
	}
` + forward + `
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr @masquerade4 oifname != @own masquerade
	}
}
` + accept,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, firewall.Build(test.policy).String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const forward = `
	chain carry {
		meta mark set meta mark | 0x10000000 accept
	}

	chain forward {
		type filter hook forward priority filter - 5; policy accept;
		iifname . oifname @inside goto carry
		iifname @internal counter drop
		oifname @internal counter drop
		oifname @own goto carry
		iifname != @own accept
		ct state established,related goto carry
		oifname @uplinks goto carry
		meta oifkind "bridge" accept
		goto carry
	}

	chain forward_clear {
		type filter hook forward priority filter + 5; policy accept;
		meta mark & 0x10000000 == 0x00000000 accept
		iifname @own meta mark set meta mark & 0xefffffff accept
		oifname @own meta mark set meta mark & 0xefffffff
	}
`

const accept = `# last in ip and ip6 filter FORWARD:
meta mark & 0x10000000 == 0x10000000 counter accept comment "ndp6"
`
