package publish_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/publish"
	"github.com/ndp6/ndp6/netutil/hostport"
)

var (
	addr6 = netip.MustParseAddr("2001:db8::a")
	addr4 = netip.MustParseAddr("192.0.2.10")
)

// TestDecide is the table of what -p comes to.
func TestDecide(t *testing.T) {
	dual, six, four := []netip.Addr{addr6, addr4}, []netip.Addr{netip.MustParseAddr("fe80::a"), addr6}, []netip.Addr{addr4}
	off := publish.Options{NoHostPorts6: true}
	only4 := publish.Options{IPv4Only: true}
	nat := publish.Options{NAT6: true}
	binding := publish.Options{HostBinding4: netip.MustParseAddr("192.0.2.1")}
	tests := []struct {
		name  string
		addrs []netip.Addr
		o     publish.Options
		ports string
		want  string
	}{
		{"port", dual, publish.Options{}, "8080:80", "tcp 80 from 8080 at :: 0.0.0.0 direct"},
		{"port, IPv6 only", six, publish.Options{}, "8080:80", "tcp 80 from 8080 at :: direct"},
		{"port, IPv4 only", four, publish.Options{}, "8080:80", "tcp 80 from 8080 at :: 0.0.0.0"},
		{"port, off", dual, off, "8080:80", "tcp 80 from 8080 at 0.0.0.0 direct"},
		{"port, off, IPv6 only", six, off, "8080:80", "tcp 80 from 8080 direct"},
		{"port, off, IPv4 only", four, off, "8080:80", "tcp 80 from 8080 at 0.0.0.0"},
		{"port, IPv6 elsewhere", dual, only4, "8080:80", "tcp 80 from 8080 at 0.0.0.0"},
		{"port, IPv6 elsewhere, IPv4 only", four, only4, "8080:80", "tcp 80 from 8080 at 0.0.0.0"},
		{"port, IPv6 elsewhere, IPv6 only", six, only4, "8080:80", "left 8080:80/tcp"},
		{"port, no address", nil, publish.Options{}, "8080:80", "left 8080:80/tcp"},
		{"port, default address", dual, binding, "8080:80", "tcp 80 from 8080 at 192.0.2.1"},
		{"all of IPv4, default address", dual, binding, "0.0.0.0:8080:80", "tcp 80 from 8080 at 0.0.0.0"},
		{"udp", dual, publish.Options{}, "53:53/udp", "udp 53 from 53 at :: 0.0.0.0 direct"},
		{"sctp", dual, publish.Options{}, "80:80/sctp", "sctp 80 from 80 at :: 0.0.0.0 direct"},
		{"sctp can not be relayed", four, publish.Options{}, "80:80/sctp", "sctp 80 from 80 at 0.0.0.0"},
		{"sctp on loopback", dual, publish.Options{}, "[::1]:80:80/sctp", "left [::1]:80:80/sctp"},
		{"range", dual, publish.Options{}, "8000-8010:80", "tcp 80 from 8000 to 8010 at :: 0.0.0.0 direct"},
		{"no host port", dual, publish.Options{}, "80", "tcp 80 at 0.0.0.0 direct"},
		{"no host port, IPv6 only", six, publish.Options{}, "80", "tcp 80 direct"},
		{"no host port, IPv4 only", four, publish.Options{}, "80", "tcp 80 at :: 0.0.0.0"},
		{"all of IPv6", dual, publish.Options{}, "[::]:8080:80", "tcp 80 from 8080 at :: direct"},
		{"all of IPv6, no port", dual, publish.Options{}, "[::]::80", "tcp 80 direct"},
		{"all of IPv6, IPv4 only", four, publish.Options{}, "[::]:8080:80", "tcp 80 from 8080 at ::"},
		{"all of IPv6, off", dual, off, "[::]:8080:80", "tcp 80 from 8080 direct"},
		{"all of IPv6, IPv6 elsewhere", dual, only4, "[::]:8080:80", "left [::]:8080:80/tcp"},
		{"all of IPv4", dual, publish.Options{}, "0.0.0.0:8080:80", "tcp 80 from 8080 at 0.0.0.0"},
		{"all of IPv4, IPv6 only", six, publish.Options{}, "0.0.0.0:8080:80", "tcp 80 from 8080 at 0.0.0.0"},
		{"one of IPv6", dual, publish.Options{}, "[2001:db8::1]:8080:80", "tcp 80 from 8080 at 2001:db8::1"},
		{"one of IPv6, no port", dual, publish.Options{}, "[2001:db8::1]::80", "tcp 80 at 2001:db8::1"},
		{"one of IPv6, off", dual, off, "[2001:db8::1]:8080:80", "left [2001:db8::1]:8080:80/tcp"},
		{"one of IPv4", dual, publish.Options{}, "192.0.2.1:8080:80", "tcp 80 from 8080 at 192.0.2.1"},
		{"loopback of IPv6", dual, publish.Options{}, "[::1]:8080:80", "tcp 80 from 8080 at ::1"},
		{"loopback of IPv6, off", dual, off, "[::1]:8080:80", "left [::1]:8080:80/tcp"},
		{"loopback of IPv6, IPv4 only", four, publish.Options{}, "[::1]:8080:80", "tcp 80 from 8080 at ::1"},
		{"loopback of IPv6, IPv4 only, IPv6 elsewhere", four, only4, "[::1]:8080:80", "left [::1]:8080:80/tcp"},
		{"loopback of IPv4", dual, publish.Options{}, "127.0.0.1:8080:80", "tcp 80 from 8080 at 127.0.0.1"},
		{"loopback of IPv4, no port", dual, publish.Options{}, "127.0.0.1::80", "tcp 80 at 127.0.0.1"},
		{"loopback of IPv4, IPv6 only", six, publish.Options{}, "127.0.0.1:8080:80", "tcp 80 from 8080 at 127.0.0.1"},
		{"nat, port", dual, nat, "8080:80", "tcp 80 from 8080 at :: 0.0.0.0"},
		{"nat, port, IPv6 only", six, nat, "8080:80", "tcp 80 from 8080 at ::"},
		{"nat, port, IPv4 only", four, nat, "8080:80", "tcp 80 from 8080 at :: 0.0.0.0"},
		{"nat, port, IPv6 elsewhere", dual, publish.Options{NAT6: true, IPv4Only: true}, "8080:80", "tcp 80 from 8080 at 0.0.0.0"},
		{"nat, no host port", dual, nat, "80", "tcp 80 at :: 0.0.0.0"},
		{"nat, no host port, IPv6 only", six, nat, "80", "tcp 80 at ::"},
		{"nat, range", dual, nat, "8000-8010:80", "tcp 80 from 8000 to 8010 at :: 0.0.0.0"},
		{"nat, sctp", dual, nat, "80:80/sctp", "sctp 80 from 80 at :: 0.0.0.0"},
		{"nat, all of IPv6", dual, nat, "[::]:8080:80", "tcp 80 from 8080 at ::"},
		{"nat, all of IPv6, no port", dual, nat, "[::]::80", "tcp 80 at ::"},
		{"nat, all of IPv4", dual, nat, "0.0.0.0:8080:80", "tcp 80 from 8080 at 0.0.0.0"},
		{"nat, one of IPv6", dual, nat, "[2001:db8::1]:8080:80", "tcp 80 from 8080 at 2001:db8::1"},
		{"nat, one of IPv6, no port", dual, nat, "[2001:db8::1]::80", "tcp 80 at 2001:db8::1"},
		{"nat, loopback of IPv6", dual, nat, "[::1]:8080:80", "tcp 80 from 8080 at ::1"},
		{"nat, loopback of IPv4", dual, nat, "127.0.0.1:8080:80", "tcp 80 from 8080 at 127.0.0.1"},
		{
			"nat, default address", dual,
			publish.Options{NAT6: true, HostBinding4: netip.MustParseAddr("192.0.2.1")},
			"8080:80", "tcp 80 from 8080 at 192.0.2.1",
		},
		{"nat, off", dual, publish.Options{NAT6: true, NoHostPorts6: true}, "8080:80", "tcp 80 from 8080 at 0.0.0.0"},
		{"nat, off, IPv6 only", six, publish.Options{NAT6: true, NoHostPorts6: true}, "8080:80", "left 8080:80/tcp"},
		{
			"same port at several addresses", dual,
			publish.Options{},
			"127.0.0.1::80 [::1]::80 192.0.2.1::80",
			"tcp 80 at 127.0.0.1 192.0.2.1 ::1",
		},
		{"both families by name", dual, publish.Options{}, "0.0.0.0:8080:80 [::]:8080:80", "tcp 80 from 8080 at 0.0.0.0 :: direct"},
		{
			"not at overlapping addresses", dual,
			publish.Options{},
			"0.0.0.0::80 127.0.0.1::80",
			"tcp 80 at 0.0.0.0\ntcp 80 at 127.0.0.1",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bindings, left := publish.Decide(tt.addrs, mappings(t, tt.ports), tt.o)
			var have []string
			for _, b := range bindings {
				have = append(have, describe(b))
			}
			for _, m := range left {
				have = append(have, "left "+m.String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(have, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func describe(b publish.Binding) string {
	text := fmt.Sprintf("%s %d", map[uint8]string{hostport.TCP: "tcp", hostport.UDP: "udp", hostport.SCTP: "sctp"}[b.Proto], b.Port)
	if b.First != 0 {
		text += fmt.Sprintf(" from %d", b.First)
	}
	if b.Last != b.First {
		text += fmt.Sprintf(" to %d", b.Last)
	}
	for i, a := range b.HostAddrs {
		if i == 0 {
			text += " at"
		}
		text += " " + a.String()
	}
	if b.Direct {
		text += " direct"
	}
	return text
}

// mappings returns what Parse makes of -p, which Docker splits for us.
func mappings(tb testing.TB, specs string) []publish.Mapping {
	tb.Helper()
	var list []any
	for spec := range strings.FieldsSeq(specs) {
		entry := map[string]any{"Proto": 6.0}
		spec, proto, _ := strings.Cut(spec, "/")
		if n := map[string]float64{"udp": 17, "sctp": 132}[proto]; n != 0 {
			entry["Proto"] = n
		}
		i := strings.LastIndex(spec, ":")
		entry["Port"] = float(tb, spec[i+1:])
		if i >= 0 {
			host, port := "", spec[:i]
			if j := strings.LastIndex(port, ":"); j >= 0 {
				host, port = port[:j], port[j+1:]
			}
			entry["HostIP"] = strings.Trim(host, "[]")
			first, last, isRange := strings.Cut(port, "-")
			if port != "" {
				entry["HostPort"] = float(tb, first)
			}
			if isRange {
				entry["HostPortEnd"] = float(tb, last)
			}
		}
		list = append(list, entry)
	}
	all, err := publish.Parse(map[string]any{publish.PortMap: list})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func float(tb testing.TB, text string) (f float64) {
	tb.Helper()
	if _, err := fmt.Sscan(text, &f); err != nil {
		tb.Fatalf("%q: %v", text, err)
	}
	return f
}
