package judge_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/judge"
	"github.com/ndp6/ndp6/netutil/nettest"
)

func packet() judge.Packet {
	return judge.Packet{
		In:     judge.Link{Name: "eth0", Index: 7, Kind: "veth"},
		Out:    judge.Link{Name: "nd-1", Index: 8, Kind: "bridge"},
		Source: netip.MustParseAddr("2001:db8:f::1"), Destination: netip.MustParseAddr("2001:db8::2"),
		Proto: 6, SourcePort: 4000, Port: 80,
	}
}

func text(verdicts []judge.Verdict) string {
	var b strings.Builder
	for _, v := range verdicts {
		word := "accept"
		if v.Drop {
			word = "drop"
		}
		fmt.Fprintf(&b, "%s %s %s: %s", v.Family, v.Table, strings.Join(v.Way, ">"), word)
		if v.Policy {
			b.WriteString(" by policy")
		}
		if v.Counted {
			fmt.Fprintf(&b, " %s %d", v.Counter, v.Packets)
		}
		if v.Unsure {
			b.WriteString(" unsure")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestForward(t *testing.T) {
	const chain = "type filter hook forward priority filter;"
	for _, tt := range []struct {
		name, rules, want string
		change            func(*judge.Packet)
	}{
		{name: "nothing"},
		{name: "conntrack directions", rules: "table inet a { chain f { " + chain + " policy drop; ct direction reply accept; ct original ip6 daddr 2001:db8::2 ct direction original accept; } }", want: "inet a f: accept\n"},
		{name: "conntrack addresses of the other family", rules: "table inet a { chain f { " + chain + " policy drop; ct original ip daddr != 192.0.2.1 drop; accept; } }", want: "inet a f: accept\n"},
		{name: "policy", rules: "table inet a { chain f { " + chain + " policy drop; } }", want: "inet a f: drop by policy\n"},
		{
			name:  "other families and hooks",
			rules: "table ip a { chain f { " + chain + " policy drop; } }\ntable ip6 b { chain i { type filter hook input priority 0; policy drop; } chain f { " + chain + " } }",
			want:  "ip6 b f: accept by policy\n",
		},
		{
			name:  "IPv4",
			rules: "table ip a { chain f { " + chain + " ip daddr 192.0.2.2 tcp dport 80 drop; } }",
			change: func(p *judge.Packet) {
				p.Source, p.Destination = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
			},
			want: "ip a f: drop\n",
		},
		{
			name:  "order, and none after a drop",
			rules: "table inet a { chain late { type filter hook forward priority 5; } chain f { " + chain + " drop; } chain early { type filter hook forward priority -5; accept; } }",
			want:  "inet a early: accept\ninet a f: drop\n",
		},
		{
			name:  "names, indexes, kinds",
			rules: "table inet a { chain f { " + chain + ` iifname "eth1" drop; iifname != "eth*" drop; meta oifkind bond drop; oifname "nd-*" meta iifkind veth meta protocol ip6 meta nfproto ipv6 accept; drop; } }`,
			want:  "inet a f: accept\n",
		},
		{
			name:  "established flows are others",
			rules: "table inet a { chain f { " + chain + " policy drop; ct state established,related accept; ct state invalid drop; } }",
			want:  "inet a f: drop by policy\n",
		},
		{
			name:  "ports, sets, intervals",
			rules: "table inet a { set p { type inet_service; flags interval; elements = { 22, 70-79 } } chain f { " + chain + " policy drop; tcp dport @p drop; tcp dport { 443, 8080 } drop; ip6 daddr { 2001:db8::/64, 2001:db8:1::/48 } tcp dport 80-90 counter accept; } }",
			want:  "inet a f: accept  0\n",
		},
		{
			name:   "end of an interval",
			rules:  "table inet a { chain f { " + chain + " tcp dport { 70-79, 81-90 } drop; } }",
			change: func(*judge.Packet) {},
			want:   "inet a f: accept by policy\n",
		},
		{
			name:  "jump, return, goto, verdict map",
			rules: `table inet a { chain g { accept; } chain j { tcp dport 80 return; drop; } chain f { ` + chain + ` policy drop; jump j; iifname . oifname vmap { "eth0" . "nd-1" : goto g }; drop; } }`,
			want:  "inet a f>g: accept\n",
		},
		{
			name:  "goto does not come back",
			rules: "table inet a { chain g { tcp dport 1 accept; } chain f { " + chain + " goto g; drop; } }",
			want:  "inet a f: accept by policy\n",
		},
		{
			name:  "named counter",
			rules: "table inet a { counter c { packets 3 bytes 4; } chain f { " + chain + " counter name c reject; } }",
			want:  "inet a f: drop c 3\n",
		},
		{
			name: "mark goes on",
			rules: "table inet a { chain f { type filter hook forward priority -5; meta mark set mark or 0x10000000 accept; } }\n" +
				"table ip6 filter { chain FORWARD { " + chain + " policy drop; meta mark and 0x10000000 == 0x10000000 accept; } }",
			want: "inet a f: accept\nip6 filter FORWARD: accept\n",
		},
		{
			name:  "what cannot be known",
			rules: "table inet a { chain f { " + chain + " policy drop; fib saddr type local drop; fib daddr type local accept; } }",
			want:  "inet a f: drop by policy unsure\n",
		},
		{
			name:   "ICMPv6",
			rules:  "table inet a { chain f { " + chain + " policy drop; icmpv6 type { echo-request, packet-too-big } accept; } }",
			change: func(p *judge.Packet) { p.Proto, p.ICMPType = 58, 128 },
			want:   "inet a f: accept\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nettest.Enter(t)
			if tt.rules != "" {
				load(t, tt.rules)
			}
			p := packet()
			if tt.change != nil {
				tt.change(&p)
			}
			got, err := judge.Forward(p)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, text(got)); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
		})
	}
}

// load has nft load rules into the test's namespace, written in one line.
func load(t *testing.T, rules string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte(strings.NewReplacer("; }", ";\n}\n", " } }", " }\n}\n", "} table", "}\ntable").Replace(rules)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	nettest.Run(t, "nft -f "+file)
}

func TestIPTables(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules []string
		want  string
	}{
		{"ours at the end", []string{"-P FORWARD DROP", "-A FORWARD -m mark --mark 0x10000000/0x10000000 -m comment --comment ndp6 -j ACCEPT"}, "ip6 filter FORWARD: accept  0\n"},
		{
			"ours for established flows", []string{
				"-P FORWARD DROP", "-A FORWARD -m mark --mark 0x10000000/0x10000000 -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment ndp6 -j ACCEPT",
			}, "ip6 filter FORWARD: drop by policy\n",
		},
		{"new flows", []string{"-P FORWARD DROP", "-A FORWARD -m conntrack --ctstate NEW -j ACCEPT"}, "ip6 filter FORWARD: accept  0\n"},
		{"all but new flows", []string{"-A FORWARD -m conntrack ! --ctstate NEW -j DROP"}, "ip6 filter FORWARD: accept by policy\n"},
		{"what is not known of flows", []string{"-A FORWARD -m conntrack --ctstate NEW --ctstatus CONFIRMED -j DROP"}, "ip6 filter FORWARD: accept by policy unsure\n"},
		{"by link", []string{"-P FORWARD DROP", "-A FORWARD -i eth0 -o nd-1 -j ACCEPT"}, "ip6 filter FORWARD: accept  0\n"},
		{"another link", []string{"-P FORWARD DROP", "-A FORWARD -i eth0 ! -o nd-1 -j ACCEPT"}, "ip6 filter FORWARD: drop by policy\n"},
		{"chain", []string{"-N U", "-A FORWARD -j U", "-A U -p tcp --dport 80 -j REJECT"}, "ip6 filter FORWARD>U: drop  0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nettest.Enter(t)
			if _, err := exec.LookPath("ip6tables-nft"); err != nil {
				nettest.Unavailable(t, err.Error())
			}
			for _, r := range tt.rules {
				nettest.Run(t, "ip6tables-nft "+r)
			}
			p := packet()
			p.Mark = 0x10000000
			got, err := judge.Forward(p)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, text(got)); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
		})
	}
}
