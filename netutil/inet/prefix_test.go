package inet_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/ndp6/ndp6/netutil/inet"
)

var mac = inet.MAC{0x02, 0x42, 0xac, 0x11, 0x00, 0x02}

// Shows RFC 7136 5 (opaque).
func TestEmbedMAC(t *testing.T) {
	tests := []struct {
		name, prefix, want, err string
	}{
		{name: "/80", prefix: "2001:db8::/80", want: "2001:db8::242:ac11:2"},
		{name: "/64 gets zeros above", prefix: "2001:db8:1:2::/64", want: "2001:db8:1:2:0:242:ac11:2"},
		{name: "bits beyond the prefix", prefix: "2001:db8::ffff:1/80", want: "2001:db8::242:ac11:2"},
		{name: "/81", prefix: "2001:db8::/81", err: "prefix 2001:db8::/81 has no room for a 48-bit MAC: use /80 or shorter"},
		{name: "IPv4", prefix: "192.0.2.0/24", err: "prefix 192.0.2.0/24 has no room for a 48-bit MAC: use /80 or shorter"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := inet.EmbedMAC(netip.MustParsePrefix(test.prefix), mac)
			if message(err) != test.err || err == nil && got.String() != test.want {
				t.Errorf("EmbedMAC = %s, %v, want %s, %s", got, err, test.want, test.err)
			}
		})
	}
}

// Shows RFC 2464 7 (multicast).
// Shows RFC 4291 2.7.1 (solicited-node).
func TestMulticast(t *testing.T) {
	tests := []struct {
		name, addr, group string
		mac               string
	}{
		{"MAC-derived", "2001:db8::242:ac11:2", "ff02::1:ff11:2", "33:33:ff:11:00:02"},
		{"link-local", "fe80::1", "ff02::1:ff00:1", "33:33:ff:00:00:01"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			group := inet.SolicitedNode(netip.MustParseAddr(test.addr))
			if group.String() != test.group {
				t.Errorf("SolicitedNode = %s, want %s", group, test.group)
			}
			if got := inet.MulticastMAC(group).String(); got != test.mac {
				t.Errorf("MulticastMAC = %s, want %s", got, test.mac)
			}
		})
	}
	if got := inet.MulticastMAC(inet.AllNodes).String(); got != "33:33:00:00:00:01" {
		t.Errorf("MulticastMAC of all nodes = %s", got)
	}
}

func TestWithPrefix(t *testing.T) {
	tests := []struct{ addr, prefix, want string }{
		{"2001:db8:1:2:a:b:c:d", "2001:db8:9::/64", "2001:db8:9:0:a:b:c:d"},
		{"2001:db8:1:2ff:a:b:c:d", "2001:db8:9:100::/56", "2001:db8:9:1ff:a:b:c:d"},
		{"2001:db8:1:2:a:b:c:d", "2001:db8:1:fff0::/61", "2001:db8:1:fff2:a:b:c:d"},
		{"2001:db8:1:2:a:b:c:d", "2001:db8:9::/128", "2001:db8:9::"},
		{"2001:db8:1:2:a:b:c:d", "::/0", "2001:db8:1:2:a:b:c:d"},
	}
	for _, test := range tests {
		got := inet.WithPrefix(netip.MustParseAddr(test.addr), netip.MustParsePrefix(test.prefix))
		if got.String() != test.want {
			t.Errorf("WithPrefix(%s, %s) = %s, want %s", test.addr, test.prefix, got, test.want)
		}
	}
}

func TestLastAddr(t *testing.T) {
	tests := []struct{ prefix, want string }{
		{"2001:db8::/80", "2001:db8::ffff:ffff:ffff"},
		{"2001:db8::/81", "2001:db8::7fff:ffff:ffff"},
		{"2001:db8::1/128", "2001:db8::1"},
		{"192.0.2.128/25", "192.0.2.255"},
		{"10.0.0.0/8", "10.255.255.255"},
	}
	for _, test := range tests {
		t.Run(test.prefix, func(t *testing.T) {
			if got := inet.LastAddr(netip.MustParsePrefix(test.prefix)).String(); got != test.want {
				t.Errorf("LastAddr = %s, want %s", got, test.want)
			}
		})
	}
}

// TestLastAddrIsLast says it for all prefixes: it is inside, its successor is not.
func TestLastAddrIsLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")
		p := netip.PrefixFrom(netip.AddrFrom16([16]byte(b)), rapid.IntRange(0, 128).Draw(t, "bits"))
		last := inet.LastAddr(p)
		if !p.Contains(last) || last.Next().IsValid() && p.Contains(last.Next()) {
			t.Fatalf("LastAddr(%s) = %s", p, last)
		}
	})
}

func TestCovers(t *testing.T) {
	tests := []struct {
		outer, inner string
		want         bool
	}{
		{"2001:db8::/64", "2001:db8::/80", true},
		{"2001:db8::/64", "2001:db8::/64", true},
		{"2001:db8::/80", "2001:db8::/64", false},
		{"2001:db8::/64", "2001:db8:0:1::/80", false},
		{"::/0", "192.0.2.0/24", false},
	}
	for _, test := range tests {
		t.Run(test.outer+" "+test.inner, func(t *testing.T) {
			if got := inet.Covers(netip.MustParsePrefix(test.outer), netip.MustParsePrefix(test.inner)); got != test.want {
				t.Errorf("Covers = %v, want %v", got, test.want)
			}
		})
	}
}

// Shows RFC 4193 3.1 (prefix).
func TestScopes(t *testing.T) {
	tests := []struct {
		prefix   string
		gua, ula bool
	}{
		{"2001:db8::1/64", true, false},
		{"fd00::1/64", false, true},
		{"fe80::1/64", false, false},
		{"ff02::1/128", false, false},
		{"::1/128", false, false},
		{"192.0.2.1/24", false, false},
		{"10.0.0.1/8", false, false},
		{"::ffff:192.0.2.1/128", false, false},
	}
	for _, test := range tests {
		t.Run(test.prefix, func(t *testing.T) {
			p := netip.MustParsePrefix(test.prefix)
			if got := inet.IsGUA(p.Addr()); got != test.gua {
				t.Errorf("IsGUA = %v, want %v", got, test.gua)
			}
			if got := inet.IsULA(p); got != test.ula {
				t.Errorf("IsULA = %v, want %v", got, test.ula)
			}
		})
	}
}

// Shows RFC 4291 A (EUI-64).
func TestLinkLocal(t *testing.T) {
	t.Parallel()
	mac, err := inet.ParseMAC("02:42:ac:11:00:02")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := inet.LinkLocal(mac), netip.MustParseAddr("fe80::42:acff:fe11:2"); got != want {
		t.Errorf("LinkLocal = %s, want %s", got, want)
	}
}
