package ipam_test

import (
	"net/netip"
	"testing"

	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/inet"
)

// TestAddresses asks for addresses in every way that Docker has.
//
// Shows RFC 5952 4 (canonical).
func TestAddresses(t *testing.T) {
	playAll(t, []scripted{
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
		{name: "in any form, and canonical from then on", script: `
> pool6 2001:0DB8:0000::0/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 2001:db8::/80 2001:DB8:0:0::0:00AA mac=02
2001:db8::aa/80
`},
		{name: "a pool longer than /80 is sequential", script: `
> pool6 2001:db8::/112
ndp6,pool=2001:db8::/112 fe80::1/64
> endpoint 2001:db8::/112 mac=02
2001:db8::1/112
> endpoint 2001:db8::/112 mac=03
2001:db8::2/112
`},
		{name: "an allotment of 16 addresses", edit: func(_ *ipam.Config, f *source.Facts) {
			f.Uplink, f.OnLink = "eth0", []netip.Prefix{netip.MustParsePrefix("2001:db8::/124")}
			f.Foreign.Addrs = []inet.HostAddr{{Addr: netip.MustParseAddr("2001:db8::2"), Link: "eth0"}}
			f.Foreign.Routers = []inet.HostAddr{{Addr: netip.MustParseAddr("2001:db8::1"), Link: "eth0"}}
			f.Foreign.Routes = []inet.HostRoute{{Dst: netip.MustParsePrefix("2001:db8::/124"), Link: "eth0"}}
		}, script: `
> pool6
ndp6,pool=2001:db8::8/125 fe80::1/64
> endpoint 2001:db8::8/125 mac=02
2001:db8::9/125
> endpoint 2001:db8::8/125 mac=03
2001:db8::a/125
> endpoint 2001:db8::8/125 mac=04
2001:db8::b/125
> endpoint 2001:db8::8/125 mac=05
2001:db8::c/125
> release 2001:db8::8/125 2001:db8::a
ok
> endpoint 2001:db8::8/125 mac=06
2001:db8::d/125
> endpoint 2001:db8::8/125 mac=07
2001:db8::e/125
> endpoint 2001:db8::8/125 mac=08
2001:db8::f/125
> endpoint 2001:db8::8/125 mac=09
2001:db8::a/125
> endpoint 2001:db8::8/125 mac=0a
error: pool 2001:db8::8/125: no free address left, 7 leased: remove containers, or create the network with a shorter --subnet
> pool6
ndp6,pool=2001:db8::4/126 fe80::1/64
> endpoint 2001:db8::4/126 mac=02
2001:db8::5/126
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
		{name: "names", edit: func(c *ipam.Config, _ *source.Facts) { c.IID = alloc.Name }, script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:2/80
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
	})
}
