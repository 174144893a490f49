package ipam_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/inet"
)

// TestScripts plays what Docker asks, and compares what it is told.
func TestScripts(t *testing.T) {
	tests := []struct {
		name   string
		edit   func(*ipam.Config, *source.Facts)
		script string
	}{
		{name: "dual stack", script: `
> pool4 10.50.0.0/24
ndp6,pool=10.50.0.0/24
> gateway 10.50.0.0/24
10.50.0.1/24
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 10.50.0.0/24 mac=02
10.50.0.2/24
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:2/80
> release 10.50.0.0/24 10.50.0.2
ok
> release 2001:db8::/80 2001:db8::242:ac11:2
ok
> endpoint 10.50.0.0/24 mac=03
10.50.0.3/24
> release 10.50.0.0/24 10.50.0.3
ok
> release 10.50.0.0/24 10.50.0.1
ok
> free 10.50.0.0/24
ok
> free 2001:db8::/80
ok
`},
		{name: "a /64 pool has zeros above the MAC", script: `
> pool6 2001:db8::/64
ndp6,pool=2001:db8::/64 fe80::1/64
> endpoint 2001:db8::/64 mac=02
2001:db8::242:ac11:2/64
`},
		{name: "a pool longer than /80 is sequential", script: `
> pool6 2001:db8::/112
ndp6,pool=2001:db8::/112 fe80::1/64
> endpoint 2001:db8::/112 mac=02
2001:db8::1/112
> endpoint 2001:db8::/112 mac=03
2001:db8::2/112
`},
		{name: "two containers with one MAC", script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:2/80
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:3/80
> pool4 10.50.0.0/24
ndp6,pool=10.50.0.0/24
> endpoint 10.50.0.0/24 mac=02
10.50.0.1/24
> endpoint 10.50.0.0/24 mac=02
10.50.0.2/24
`},
		{name: "--ip6 whatever the MAC", script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 2001:db8::/80 mac=02 2001:db8::77
2001:db8::77/80
> endpoint 2001:db8::/80 mac=03 name=c2 2001:db8::78
2001:db8::78/80
> endpoint 2001:db8::/80 mac=04 2001:db8::77
error: --ip6 2001:db8::77 of pool 2001:db8::/80 is held by the container with MAC 02:42:ac:11:00:02: use another address, or remove what holds it: address in use
> endpoint 2001:db8::/80 mac=04 2001:db8::78
error: --ip6 2001:db8::78 of pool 2001:db8::/80 is held by container "c2" (MAC 02:42:ac:11:00:03): use another address, or remove what holds it: address in use
> endpoint 2001:db8::/80 mac=04 2001:db8:9::1
error: --ip6 2001:db8:9::1 is outside pool 2001:db8::/80: use an address of the pool
> endpoint 2001:db8::/80 mac=04 2001:db8::
error: --ip6 2001:db8:: is the subnet-router anycast address (RFC 4291 2.6.1) of pool 2001:db8::/80: use another address
> endpoint 2001:db8::/80 mac=04 2001:db8::ffff:ffff:fff0
error: --ip6 2001:db8::ffff:ffff:fff0 is a reserved anycast address (RFC 2526) of pool 2001:db8::/80: use another address
> endpoint 2001:db8::/80 mac=04 nonsense
error: address "nonsense" is not an IP address: use a form like 2001:db8::2 or 10.0.0.2
`},
		{name: "MACs that no host has", script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 2001:db8::/80 mac=03:42:ac:11:00:02
error: --mac-address: MAC 03:42:ac:11:00:02 is a multicast address: clear the lowest bit of its first octet, as in 02:42:ac:11:00:02
> endpoint 2001:db8::/80 mac=00:00:00:00:00:00
error: --mac-address: MAC 00:00:00:00:00:00 is all zero: use a unicast address such as 02:42:ac:11:00:02
> endpoint 2001:db8::/80 mac=zz
error: --mac-address: MAC "02:42:ac:11:00:zz" is not six hexadecimal octets: use a form like 02:42:ac:11:00:02
`},
		{name: "gateways", script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> gateway 2001:db8::/80
fe80::1/64
> gateway 2001:db8::/80 fe80::1
fe80::1/64
> gateway 2001:db8::/80 2001:db8::1
2001:db8::1/80
> gateway 2001:db8::/80 2001:db8::1
2001:db8::1/80
> endpoint 2001:db8::/80 mac=02 2001:db8::1
error: --ip6 2001:db8::1 of pool 2001:db8::/80 is held by the network's gateway: use another address, or remove what holds it: address in use
> gateway 2001:db8::/80 2001:db8:9::1
error: --gateway 2001:db8:9::1 is outside pool 2001:db8::/80: use an address of the pool, or leave --gateway out
> gateway 2001:db8::/80 2001:db8::
error: --gateway 2001:db8:: is the subnet-router anycast address (RFC 4291 2.6.1) of pool 2001:db8::/80: use another address
> endpoint 2001:db8::/80 mac=02 2001:db8::5
2001:db8::5/80
> gateway 2001:db8::/80 2001:db8::5
error: --gateway 2001:db8::5 of pool 2001:db8::/80 is held by the container with MAC 02:42:ac:11:00:02: use another address: address in use
> release 2001:db8::/80 fe80::1
ok
> release 2001:db8::/80 2001:db8::1
ok
> endpoint 2001:db8::/80 mac=03 2001:db8::1
2001:db8::1/80
> pool4 10.50.0.0/24
ndp6,pool=10.50.0.0/24
> gateway 10.50.0.0/24 10.50.0.254
10.50.0.254/24
> endpoint 10.50.0.0/24 mac=02
10.50.0.1/24
> gateway 10.50.0.0/24 10.50.0.255
error: --gateway 10.50.0.255 is the broadcast address of pool 10.50.0.0/24: use another address
`},
		{name: "auxiliary addresses and --ip-range", script: `
> pool4 10.60.0.0/24 range=10.60.0.128/25
ndp6,pool=10.60.0.0/24,range=10.60.0.128/25
> gateway 10.60.0.0/24 10.60.0.254
10.60.0.254/24
> aux 10.60.0.0/24 10.60.0.129
10.60.0.129/24
> aux 10.60.0.0/24 10.60.0.254
error: --aux-address 10.60.0.254 of pool 10.60.0.0/24 is held by the network's gateway: use another address: address in use
> aux 10.60.0.0/24 10.61.0.1
error: --aux-address 10.61.0.1 is outside pool 10.60.0.0/24: use an address of the pool
> endpoint 10.60.0.0/24 mac=02
10.60.0.128/24
> endpoint 10.60.0.0/24 mac=03
10.60.0.130/24
> endpoint 10.60.0.0/24 mac=04 10.60.0.7
10.60.0.7/24
> endpoint 10.60.0.0/24 mac=05 10.60.0.129
error: --ip 10.60.0.129 of pool 10.60.0.0/24 is held by --aux-address: use another address, or remove what holds it: address in use
> release 10.60.0.0/24 10.60.0.129
ok
> endpoint 10.60.0.0/24 mac=05 10.60.0.129
10.60.0.129/24
> pool6 2001:db8::/64 range=2001:db8:0:0:7::/80
ndp6,pool=2001:db8::/64,range=2001:db8:0:0:7::/80 fe80::1/64
> endpoint 2001:db8::/64 mac=02
2001:db8::7:242:ac11:2/64
`},
		{name: "exhausted", script: `
> pool4 10.50.0.0/30
ndp6,pool=10.50.0.0/30
> gateway 10.50.0.0/30
10.50.0.1/30
> endpoint 10.50.0.0/30 mac=02
10.50.0.2/30
> endpoint 10.50.0.0/30 mac=03
error: pool 10.50.0.0/30: no free address left, 1 leased: remove containers, or create the network with a shorter --subnet
> release 10.50.0.0/30 10.50.0.2
ok
> endpoint 10.50.0.0/30 mac=03
10.50.0.2/30
> pool6 2001:db8::/80 range=2001:db8::8/127
ndp6,pool=2001:db8::/80,range=2001:db8::8/127 fe80::1/64
> endpoint 2001:db8::/80 mac=02
2001:db8::8/80
> endpoint 2001:db8::/80 mac=03
2001:db8::9/80
> endpoint 2001:db8::/80 mac=04
error: --ip-range 2001:db8::8/127 of pool 2001:db8::/80: no free address left, 2 leased: remove containers, or create the network with a shorter --ip-range
`},
		{name: "releases of what is not known", script: `
> release ndp6,pool=2001:db8::/80 2001:db8::1
ok
> release p6-of-another 2001:db8::1
ok
> free ndp6,pool=2001:db8::/80
ok
> free p6-of-another
ok
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> release 2001:db8::/80 2001:db8::1
ok
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:2/80
> release 2001:db8::/80 2001:db8::242:ac11:2
ok
> release 2001:db8::/80 2001:db8::242:ac11:2
ok
> release 2001:db8::/80 nonsense
error: address "nonsense" is not an IP address: use a form like 2001:db8::2 or 10.0.0.2
`},
		{name: "host bits are masked", script: `
> pool6 2001:db8::5/80 range=2001:db8::1005/116
ndp6,pool=2001:db8::/80,range=2001:db8::1000/116 fe80::1/64
`},
		{name: "prefixes that are refused", edit: func(_ *ipam.Config, f *source.Facts) {
			f.Foreign.Addrs = []inet.HostAddr{{Addr: netip.MustParseAddr("2001:db8:0:1::2"), Link: "eth0"}}
			f.Foreign.Routes = []inet.HostRoute{{Dst: netip.MustParsePrefix("2001:db8:0:1::/64"), Link: "eth0"}}
		}, script: `
> pool6 2001:db8::/127
error: pool 2001:db8::/127 is longer than /126: use a --subnet of /126 or shorter, the longest that has room for containers in IPv6
> pool4 10.0.0.0/31
error: pool 10.0.0.0/31 is longer than /30: use a --subnet of /30 or shorter, the longest that has room for containers in IPv4
> pool6 10.0.0.0/24
error: --subnet 10.0.0.0/24 is not IPv6, which the request is for: use a subnet of that family
> pool4 2001:db8::/80
error: --subnet 2001:db8::/80 is not IPv4, which the request is for: use a subnet of that family
> pool6 nonsense
error: --subnet "nonsense" is not a prefix: use a form like 2001:db8::/80 or 10.0.0.0/24
> pool6 range=2001:db8::/112
error: --ip-range 2001:db8::/112 without --subnet: give the subnet that it is a part of
> pool6 2001:db8::/80 range=2001:db8:9::/112
error: --ip-range 2001:db8:9::/112 is not inside --subnet 2001:db8::/80: use a part of the subnet
> pool6 2001:db8::/80 range=2001:db8::/64
error: --ip-range 2001:db8::/64 is not inside --subnet 2001:db8::/80: use a part of the subnet
> pool6 ff0e::/64
error: pool ff0e::/64 overlaps ff00::/8, which is for multicast: use a --subnet of unicast addresses
> pool6 2001:db8:0:1::/80
error: pool 2001:db8:0:1::/80 contains the host's address 2001:db8:0:1::2 on eth0: use a --subnet without it: conflict
> pool6 2001:db8:0:1:2::/80
ndp6,pool=2001:db8:0:1:2::/80 fe80::1/64
> pool6 2001:db8:0:1:2::/112
error: pool 2001:db8:0:1:2::/112 overlaps pool 2001:db8:0:1:2::/80 of another network: use another --subnet: conflict
> pool6 2001:db8:0:1:2::/80
error: pool 2001:db8:0:1:2::/80 overlaps pool 2001:db8:0:1:2::/80 of another network: use another --subnet: conflict
`},
		{name: "options", script: `
> pool6 2001:db8::/80 ndp6.iid=sequential other.key=1
ndp6,pool=2001:db8::/80,iid=sequential fe80::1/64
> endpoint 2001:db8::/80 mac=02
2001:db8::1/80
> pool6 2001:db8:1::/80 ndp6.iid=eui64
error: --ipam-opt ndp6.iid=eui64: mode "eui64" is unknown: use one of mac, name, sequential, opaque, packed
> pool6 2001:db8:1::/80 ndp6.base=1
error: --ipam-opt ndp6.base=1: option is unknown: use ndp6.iid or ndp6.ipv4
> pool4 ndp6.ipv4=maybe
error: --ipam-opt ndp6.ipv4=maybe: value "maybe" is unknown: use none, or leave the option out
> pool4 10.1.0.0/24 ndp6.ipv4=none
error: --ipam-opt ndp6.ipv4=none contradicts --subnet 10.1.0.0/24: leave one of them out
> pool4 10.1.0.0/24 ndp6.iid=name
ndp6,pool=10.1.0.0/24
`},
		{name: "names", edit: func(c *ipam.Config, _ *source.Facts) { c.IID = alloc.Name }, script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:2/80
`},
		{name: "no IPv4, by option", script: `
> pool4 ndp6.ipv4=none
ndp6,ipv4=none 0.0.0.0/0
> pool4 ndp6.ipv4=none
ndp6,ipv4=none 0.0.0.0/0
> endpoint 0.0.0.0/0 mac=02
0.0.0.0/0
> endpoint 0.0.0.0/0 mac=03
0.0.0.0/0
> release 0.0.0.0/0 0.0.0.0
ok
> free 0.0.0.0/0
ok
> dockerd
ok
> pool4 0.0.0.0/0 ndp6.ipv4=none
ndp6,ipv4=none 0.0.0.0/0
> gateway 0.0.0.0/0 0.0.0.0
0.0.0.0/0
> aux 0.0.0.0/0 0.0.0.0
0.0.0.0/0
`},
		{name: "no IPv4, by setting", edit: func(c *ipam.Config, _ *source.Facts) { c.NoIPv4 = true }, script: `
> pool4
ndp6,ipv4=none 0.0.0.0/0
> pool4 10.1.0.0/24
ndp6,pool=10.1.0.0/24
> pool6
ndp6,pool=fd00:1:2::/80 fe80::1/64
`},
		{name: "prefixes that are chosen", edit: func(c *ipam.Config, f *source.Facts) {
			c.Blocks = []netip.Prefix{netip.MustParsePrefix("2001:db8:a::/79")}
			f.Foreign.Routes = []inet.HostRoute{{Dst: netip.MustParsePrefix("10.166.0.0/24"), Link: "eth0"}}
		}, script: `
> pool6
ndp6,pool=2001:db8:a::/80 fe80::1/64
> pool6
ndp6,pool=2001:db8:a:0:1::/80 fe80::1/64
> pool6
ndp6,pool=fd00:1:2::/80 fe80::1/64
> pool4
ndp6,pool=10.166.1.0/24
> pool4
ndp6,pool=10.166.2.0/24
> free 2001:db8:a::/80
ok
> pool6
ndp6,pool=2001:db8:a::/80 fe80::1/64
`},
		{name: "IPv4 of a refused endpoint is given back", script: `
> pool4 10.50.0.0/30
ndp6,pool=10.50.0.0/30
> gateway 10.50.0.0/30
10.50.0.1/30
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 10.50.0.0/30 mac=02
10.50.0.2/30
> endpoint 2001:db8::/80 mac=02 2001:db8::
error: --ip6 2001:db8:: is the subnet-router anycast address (RFC 4291 2.6.1) of pool 2001:db8::/80: use another address
> endpoint 10.50.0.0/30 mac=03
10.50.0.2/30
> endpoint 2001:db8::/80 mac=03
2001:db8::242:ac11:3/80
> endpoint 2001:db8::/80 mac=03 2001:db8::
error: --ip6 2001:db8:: is the subnet-router anycast address (RFC 4291 2.6.1) of pool 2001:db8::/80: use another address
> endpoint 10.50.0.0/30 mac=04
error: pool 10.50.0.0/30: no free address left, 1 leased: remove containers, or create the network with a shorter --subnet
`},
		{name: "lost store", script: `
> gateway ndp6,pool=2001:db8::/80,iid=sequential fe80::1
fe80::1/64
> endpoint ndp6,pool=2001:db8::/80,iid=sequential mac=02
2001:db8::1/80
> endpoint ndp6,pool=10.50.0.0/24 mac=02
10.50.0.2/24
> pool6 2001:db8::/80
error: pool 2001:db8::/80 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict
> endpoint ndp6,pool=2001:db8::/64 mac=02
error: rebuild pool from its id: pool 2001:db8::/64 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict
> endpoint ndp6,pool=2001:db8:1::/128 mac=02
error: pool 2001:db8:1::/128 is longer than /126: use a --subnet of /126 or shorter, the longest that has room for containers in IPv6
> endpoint p6-fd50::/80 mac=02
error: pool id "p6-fd50::/80" is not one of ndp6: remove the network and create it again with --ipam-driver ndp6
> endpoint ndp6,pool=2001:db8:0::/80 mac=02
error: pool id "ndp6,pool=2001:db8:0::/80" is not one of ndp6: remove the network and create it again with --ipam-driver ndp6
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, tt.edit)
			if diff := cmp.Diff(strings.TrimPrefix(tt.script, "\n"), l.play(tt.script)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
