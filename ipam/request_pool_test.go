package ipam_test

import (
	"net/netip"
	"testing"

	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/inet"
)

// anUplink is a host with an on-link prefix and one that is routed to it.
func anUplink(_ *ipam.Config, f *source.Facts) {
	f.MachineID, f.Uplink = "0123456789abcdef0123456789abcdef", "eth0"
	f.OnLink, f.Routed = []netip.Prefix{netip.MustParsePrefix("2001:db8::/64")}, []netip.Prefix{netip.MustParsePrefix("2001:db8:5::/64")}
}

// TestPools asks for pools, given and not.
func TestPools(t *testing.T) {
	playAll(t, []scripted{
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
> pool6 2001:db8:1::/80 ndp6.basis=1
error: --ipam-opt ndp6.basis=1: option is unknown: use one of ndp6.base, ndp6.iid, ndp6.ipv4, ndp6.prefix_len, ndp6.source
> pool4 ndp6.ipv4=maybe
error: --ipam-opt ndp6.ipv4=maybe: value "maybe" is unknown: use none, or leave the option out
> pool4 10.1.0.0/24 ndp6.ipv4=none
error: --ipam-opt ndp6.ipv4=none contradicts --subnet 10.1.0.0/24: leave one of them out
> pool4 10.1.0.0/24 ndp6.iid=name
ndp6,pool=10.1.0.0/24
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
ndp6,pool=fd00:1:2:0:8f1a::/80 fe80::1/64
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
ndp6,pool=fd00:1:2:0:8f1a::/80 fe80::1/64
> pool4
ndp6,pool=10.166.1.0/24
> pool4
ndp6,pool=10.166.2.0/24
> free 2001:db8:a::/80
ok
> pool6
ndp6,pool=2001:db8:a::/80 fe80::1/64
`},
		{name: "blocks of several lengths, through restarts", edit: func(c *ipam.Config, _ *source.Facts) {
			c.Blocks = []netip.Prefix{netip.MustParsePrefix("2001:db8:a::/79"), netip.MustParsePrefix("2002:c000:201::/96"), netip.MustParsePrefix("fd00:9::/48")}
		}, script: `
> pool6
ndp6,pool=2001:db8:a::/80 fe80::1/64
> plugin
ok
> pool6
ndp6,pool=2001:db8:a:0:1::/80 fe80::1/64
> host
ok
> pool6
ndp6,pool=2002:c000:201::/96 fe80::1/64
> plugin
ok
> pool6
ndp6,pool=fd00:9::/80 fe80::1/64
> free 2001:db8:a::/80
ok
> plugin
ok
> pool6
ndp6,pool=2001:db8:a::/80 fe80::1/64
> pool6
ndp6,pool=fd00:9:0:0:1::/80 fe80::1/64
`},
		{name: "source and length, by option", edit: anUplink, script: `
> pool6 ndp6.prefix_len=96
ndp6,pool=2001:db8::abc7:3e9:0:0/96 fe80::1/64
> pool6 ndp6.source=ula ndp6.prefix_len=72
ndp6,pool=fd00:1:2:0:4800::/72 fe80::1/64
> pool6 ndp6.source=routed
ndp6,pool=2001:db8:5:0:1::/80 fe80::1/64
> pool6 ndp6.source=block
error: choose an IPv6 pool from block: no block is configured: use another --ipam-opt ndp6.source or --pool-source, there is on-link prefix 2001:db8::/64 of uplink "eth0", prefix 2001:db8:5::/64 that is routed to the host, unique local prefix fd00:1:2::/48; or give --subnet: conflict
> pool6 ndp6.source=given
error: --ipam-opt ndp6.source=given: want one of auto, block, uplink, routed, ula
> pool6 ndp6.prefix_len=63
error: --ipam-opt ndp6.prefix_len=63: want a number from 64 to 126
> pool6 2001:db8:0:0:1::/80 ndp6.prefix_len=96
error: --ipam-opt ndp6.prefix_len=96 contradicts --subnet 2001:db8:0:0:1::/80: leave one of them out
> pool6 2001:db8:0:0:1::/80 ndp6.source=ula
error: --ipam-opt ndp6.source=ula contradicts --subnet 2001:db8:0:0:1::/80, which is from elsewhere: leave one of them out
> pool6 2001:db8:0:0:1::/80 ndp6.source=uplink ndp6.prefix_len=80
ndp6,pool=2001:db8:0:0:1::/80 fe80::1/64
> pool4 10.1.0.0/24 ndp6.source=uplink ndp6.prefix_len=80
ndp6,pool=10.1.0.0/24
> dockerd
ok
> pool6 2001:db8:5:0:1::/80 ndp6.source=routed
ndp6,pool=2001:db8:5:0:1::/80 fe80::1/64
`},
		{name: "source and length, by setting", edit: func(c *ipam.Config, f *source.Facts) {
			anUplink(c, f)
			c.Wish = source.Wish{From: source.ULA, Bits: 64}
		}, script: `
> pool6
ndp6,pool=fd00:1:2:9089::/64 fe80::1/64
> pool6 ndp6.source=auto ndp6.prefix_len=80
ndp6,pool=2001:db8:0:0:afb0::/80 fe80::1/64
> pool6 2001:db8:0:0:1::/80
ndp6,pool=2001:db8:0:0:1::/80 fe80::1/64
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
	})
}
