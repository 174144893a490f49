package ipam_test

import "testing"

// TestReplay restarts dockerd, the plugin and the host in the middle of things.
func TestReplay(t *testing.T) {
	playAll(t, []scripted{
		{name: "dockerd asks again for everything", script: `
> dockerd
ok
> pool4
ndp6,pool=10.166.0.0/24
> gateway 10.166.0.0/24
10.166.0.1/24
> aux 10.166.0.0/24 10.166.0.9
10.166.0.9/24
> pool6 2001:db8::/80 ndp6.iid=sequential
ndp6,pool=2001:db8::/80,iid=sequential fe80::1/64
> endpoint 10.166.0.0/24 mac=02
10.166.0.2/24
> endpoint 2001:db8::/80 mac=02
2001:db8::1/80
> dockerd
ok
> pool4 10.166.0.0/24
ndp6,pool=10.166.0.0/24
> gateway 10.166.0.0/24 10.166.0.1
10.166.0.1/24
> aux 10.166.0.0/24 10.166.0.9
10.166.0.9/24
> pool6 2001:db8::/80 ndp6.iid=sequential
ndp6,pool=2001:db8::/80,iid=sequential fe80::1/64
> gateway 2001:db8::/80 fe80::1
fe80::1/64
> aux 10.166.0.0/24 10.166.0.2
10.166.0.2/24
> aux 2001:db8::/80 2001:db8::1
2001:db8::1/80
> endpoint 2001:db8::/80 mac=03 2001:db8::1
error: --ip6 2001:db8::1 of pool 2001:db8::/80 is held by the container with MAC 02:42:ac:11:00:02: use another address, or remove what holds it: address in use
> pool6 2001:db8::/80 ndp6.iid=sequential
error: pool 2001:db8::/80 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict
`},
		{name: "a chosen pool is not chosen again while it waits for replay", script: `
> pool6
ndp6,pool=fd00:1:2:0:8f1a::/80 fe80::1/64
> dockerd
ok
> pool6
ndp6,pool=fd00:1:2:0:8f1b::/80 fe80::1/64
> pool6 fd00:1:2:0:8f1a::/80
ndp6,pool=fd00:1:2:0:8f1a::/80 fe80::1/64
`},
		{name: "the range must be the same", script: `
> pool6 2001:db8::/80 range=2001:db8::1000/116
ndp6,pool=2001:db8::/80,range=2001:db8::1000/116 fe80::1/64
> dockerd
ok
> pool6 2001:db8::/80
error: pool 2001:db8::/80 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict
> pool6 2001:db8::/80 range=2001:db8::1000/116
ndp6,pool=2001:db8::/80,range=2001:db8::1000/116 fe80::1/64
`},
		{name: "a new endpoint shows that dockerd has the pool", script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> dockerd
ok
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:2/80
> pool6 2001:db8::/80
error: pool 2001:db8::/80 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict
`},
		{name: "the plugin restarts alone", script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> pool4 10.50.0.0/24
ndp6,pool=10.50.0.0/24
> gateway 10.50.0.0/24
10.50.0.1/24
> aux 10.50.0.0/24 10.50.0.2
10.50.0.2/24
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:2/80
> plugin
ok
> pool6 2001:db8::/80
error: pool 2001:db8::/80 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict
> endpoint 2001:db8::/80 mac=03 2001:db8::242:ac11:2
error: --ip6 2001:db8::242:ac11:2 of pool 2001:db8::/80 is held by the container with MAC 02:42:ac:11:00:02: use another address, or remove what holds it: address in use
> endpoint 10.50.0.0/24 mac=02
10.50.0.3/24
> release 2001:db8::/80 2001:db8::242:ac11:2
ok
> plugin
ok
> endpoint 2001:db8::/80 mac=03 2001:db8::242:ac11:2
2001:db8::242:ac11:2/80
`},
		{name: "the host restarts: stored endpoints are asked for and released", script: `
> pool4 10.50.0.0/24
ndp6,pool=10.50.0.0/24
> gateway 10.50.0.0/24
10.50.0.1/24
> aux 10.50.0.0/24 10.50.0.5
10.50.0.5/24
> endpoint 10.50.0.0/24 mac=02
10.50.0.2/24
> host
ok
> dockerd
ok
> pool4 10.50.0.0/24
ndp6,pool=10.50.0.0/24
> gateway 10.50.0.0/24 10.50.0.1
10.50.0.1/24
> aux 10.50.0.0/24 10.50.0.5
10.50.0.5/24
> aux 10.50.0.0/24 10.50.0.2
10.50.0.2/24
> endpoint 10.50.0.0/24 mac=03 10.50.0.2
error: --ip 10.50.0.2 of pool 10.50.0.0/24 is held by another container: use another address, or remove what holds it: address in use
> release 10.50.0.0/24 10.50.0.2
ok
> host
ok
> endpoint 10.50.0.0/24 mac=02
10.50.0.2/24
> endpoint 10.50.0.0/24 mac=03 10.50.0.5
error: --ip 10.50.0.5 of pool 10.50.0.0/24 is held by --aux-address: use another address, or remove what holds it: address in use
`},
		{name: "a failed replay gives a live pool back", script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:2/80
> free 2001:db8::/80
ok
> plugin
ok
> pool6 2001:db8::/64
error: pool 2001:db8::/64 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:3/80
> release 2001:db8::/80 2001:db8::242:ac11:3
ok
> free 2001:db8::/80
ok
> release 2001:db8::/80 2001:db8::242:ac11:2
ok
> pool6 2001:db8::/64
ndp6,pool=2001:db8::/64 fe80::1/64
`},
		{name: "a reboot ends the wait for leases", script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 2001:db8::/80 mac=02
2001:db8::242:ac11:2/80
> free 2001:db8::/80
ok
> host
ok
> pool6 2001:db8::/64
ndp6,pool=2001:db8::/64 fe80::1/64
`},
	})
}
