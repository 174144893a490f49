package firewall_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nft"
)

func box() firewall.Endpoint {
	return firewall.Endpoint{
		Port: "ndh-box", Bridge: "nd-web", MAC: inet.MAC{2, 0x42, 0xac, 0x11, 0, 2},
		Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("192.0.2.2")},
	}
}

const guarded = `add element bridge ndp6 guarded { "ndh-box" }
add element bridge ndp6 mac_ok { "ndh-box" . 02:42:ac:11:00:02 }
add element bridge ndp6 mac_nd { "ndh-box" . 02:42:ac:11:00:02 }
add element bridge ndp6 ip6_ok { "ndh-box" . fe80::42:acff:fe11:2 }
add element bridge ndp6 from_ok { "ndh-box" . 02:42:ac:11:00:02 . fe80::42:acff:fe11:2 }
add element bridge ndp6 ip6_ok { "ndh-box" . 2001:db8::2 }
add element bridge ndp6 from_ok { "ndh-box" . 02:42:ac:11:00:02 . 2001:db8::2 }
add element bridge ndp6 ip4_ok { "ndh-box" . 192.0.2.2 }
`

func TestElements(t *testing.T) {
	at := netip.MustParseAddr
	for _, test := range []struct {
		name   string
		change func(*firewall.Endpoint)
		want   string
		line   string
	}{
		{
			name: "nothing published", change: func(*firewall.Endpoint) {}, want: guarded,
			line: "ndh-box bridge nd-web mac 02:42:ac:11:00:02 addr 2001:db8::2 addr 192.0.2.2",
		},
		{
			name: "on two networks", change: func(e *firewall.Endpoint) {
				e.Elsewhere = []netip.Addr{at("2001:db8:0:1::2"), at("198.51.100.2")}
			},
			want: guarded + `add element bridge ndp6 ip6_ok { "ndh-box" . 2001:db8:0:1::2 }
add element bridge ndp6 from_ok { "ndh-box" . 02:42:ac:11:00:02 . 2001:db8:0:1::2 }
add element bridge ndp6 ip4_ok { "ndh-box" . 198.51.100.2 }
`,
			line: "ndh-box bridge nd-web mac 02:42:ac:11:00:02 addr 2001:db8::2 addr 192.0.2.2 elsewhere 2001:db8:0:1::2 elsewhere 198.51.100.2",
		},
		{
			name: "all flags", change: func(e *firewall.Endpoint) { e.Open, e.Unguarded, e.Isolated = true, true, true },
			want: `add element bridge ndp6 unguarded { "ndh-box" }
add element bridge ndp6 peers { "ndh-box" }
add element inet ndp6 open6 { 2001:db8::2 }
add element inet ndp6 open4 { 192.0.2.2 }
`,
			line: "ndh-box bridge nd-web mac 02:42:ac:11:00:02 addr 2001:db8::2 addr 192.0.2.2 open unguarded isolated",
		},
		{
			name: "two ports of the host lead to one", change: func(e *firewall.Endpoint) {
				e.Published = []firewall.Published{
					{Proto: 6, Port: 80, HostAddr: any6, HostPort: 8080, Direct: true},
					{Proto: 6, Port: 80, HostAddr: any4, HostPort: 8080, Direct: true},
					{Proto: 6, Port: 80, HostAddr: any6, HostPort: 8081, Direct: true},
				}
			},
			want: guarded + `add element inet ndp6 pub6 { 2001:db8::2 . tcp . 80 }
add element inet ndp6 host6_any { tcp . 8080 . 2001:db8::2 . 80 }
add element inet ndp6 relay6_any { tcp . 8080 }
add element inet ndp6 pub4 { 192.0.2.2 . tcp . 80 }
add element inet ndp6 host4_any { tcp . 8080 . 192.0.2.2 . 80 }
add element inet ndp6 relay4_any { tcp . 8080 }
add element inet ndp6 host6_any { tcp . 8081 . 2001:db8::2 . 80 }
add element inet ndp6 relay6_any { tcp . 8081 }
`,
			line: "ndh-box bridge nd-web mac 02:42:ac:11:00:02 addr 2001:db8::2 addr 192.0.2.2 publish [::]:8080->80/tcp direct" +
				" publish 0.0.0.0:8080->80/tcp direct publish [::]:8081->80/tcp direct",
		},
		{
			name: "one address of the host, its own port, loopback", change: func(e *firewall.Endpoint) {
				e.Published = []firewall.Published{
					{Proto: 17, Port: 53, HostAddr: at("2001:db8::1"), HostPort: 5353},
					{Proto: 17, Port: 53, HostAddr: at("198.51.100.1"), HostPort: 5353},
					{Proto: 132, Port: 9, HostAddr: any6, Direct: true},
					{Proto: 6, Port: 80, HostAddr: at("::1"), HostPort: 8080},
					{Proto: 6, Port: 80, HostAddr: at("127.0.0.1"), HostPort: 8080},
				}
			},
			want: guarded + `add element inet ndp6 nat6 { 2001:db8::2 . udp . 53 }
add element inet ndp6 host6 { 2001:db8::1 . udp . 5353 . 2001:db8::2 . 53 }
add element inet ndp6 relay6 { 2001:db8::1 . udp . 5353 }
add element inet ndp6 nat4 { 192.0.2.2 . udp . 53 }
add element inet ndp6 host4 { 198.51.100.1 . udp . 5353 . 192.0.2.2 . 53 }
add element inet ndp6 relay4 { 198.51.100.1 . udp . 5353 }
add element inet ndp6 pub6 { 2001:db8::2 . sctp . 9 }
`,
			line: "ndh-box bridge nd-web mac 02:42:ac:11:00:02 addr 2001:db8::2 addr 192.0.2.2 publish [2001:db8::1]:5353->53/udp" +
				" publish 198.51.100.1:5353->53/udp publish ::->9/sctp direct publish [::1]:8080->80/tcp publish 127.0.0.1:8080->80/tcp",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := box()
			test.change(&e)
			if diff := cmp.Diff(test.want, firewall.Elements(e).String()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.line, e.String()); diff != "" {
				t.Error(diff)
			}
			if same := e.Equal(box()); same != (test.want == guarded) {
				t.Errorf("equal to one that publishes nothing: %t", same)
			}
			if !e.Equal(e) {
				t.Error("not equal to itself")
			}
		})
	}
}

// TestElementsHaveSets checks that Build makes every set that Elements names.
func TestElementsHaveSets(t *testing.T) {
	sets := make(map[nft.Family][]string)
	for _, table := range firewall.Build(policy()).Tables {
		for _, s := range table.Sets {
			sets[table.Family] = append(sets[table.Family], s.Name)
		}
	}
	for _, e := range append(containers(), isolated(endpoint("nd1"))) {
		for _, element := range firewall.Elements(e) {
			if !slices.Contains(sets[element.Family], element.Set) {
				t.Errorf("no set %s in %s for %s", element.Set, element.Family, element)
			}
		}
	}
}
