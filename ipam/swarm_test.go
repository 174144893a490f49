package ipam_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/source"
	"github.com/ndp6/ndp6/netutil/inet"
)

func global(c *ipam.Config, _ *source.Facts) { c.Global = true }

// TestSwarmManager is what a manager that leads asks for.
func TestSwarmManager(t *testing.T) {
	playAll(t, []scripted{
		{name: "addresses that are asked for", edit: global, script: `
> swarm 2001:db8::/80
ndp6-swarm,pool=2001:db8::/80 fe80::1/64
> gateway swarm:2001:db8::/80
fe80::1/64
> gateway swarm:2001:db8::/80 fe80::1
fe80::1/64
> endpoint swarm:2001:db8::/80 2001:db8::2
2001:db8::2/80
> endpoint swarm:2001:db8::/80 2001:db8::2
error: address 2001:db8::2 of pool 2001:db8::/80 is held by another task of the swarm: use another address: address in use
> endpoint swarm:2001:db8::/80 2001:db8:0:0:1::2
error: address 2001:db8::1:0:0:2 is outside pool 2001:db8::/80: use an address of the pool
> endpoint swarm:2001:db8::/80 2001:db8::
error: address 2001:db8:: is the subnet-router anycast address (RFC 4291 2.6.1) of pool 2001:db8::/80: use another address
> release swarm:2001:db8::/80 2001:db8::2
ok
> endpoint swarm:2001:db8::/80 2001:db8::2
2001:db8::2/80
`},
		{name: "a gateway of the pool is nobody else's", edit: global, script: `
> swarm 2001:db8::/80
ndp6-swarm,pool=2001:db8::/80 fe80::1/64
> gateway swarm:2001:db8::/80 2001:db8::1
2001:db8::1/80
> endpoint swarm:2001:db8::/80 2001:db8::1
error: address 2001:db8::1 of pool 2001:db8::/80 is held by another task of the swarm: use another address: address in use
`},
		{name: "the same pool twice, unless another manager leads", edit: global, script: `
> swarm 2001:db8::/80
ndp6-swarm,pool=2001:db8::/80 fe80::1/64
> endpoint swarm:2001:db8::/80 2001:db8::2
2001:db8::2/80
> swarm 2001:db8::/80
error: pool 2001:db8::/80 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict
> swarm 2001:db8::/72
error: pool 2001:db8::/72 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict
> dockerd
ok
> swarm 2001:db8::/80
ndp6-swarm,pool=2001:db8::/80 fe80::1/64
> endpoint swarm:2001:db8::/80 2001:db8::2
2001:db8::2/80
> swarm 2001:db8::/80
error: pool 2001:db8::/80 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict
> free swarm:2001:db8::/80
ok
> swarm 2001:db8::/80
ndp6-swarm,pool=2001:db8::/80 fe80::1/64
`},
		{name: "a pool that another leader gave back makes room", edit: global, script: `
> swarm 2001:db8::/80
ndp6-swarm,pool=2001:db8::/80 fe80::1/64
> dockerd
ok
> swarm 2001:db8::/72
ndp6-swarm,pool=2001:db8::/72 fe80::1/64
`},
		{name: "a process that knows nothing", edit: global, script: `
> endpoint ndp6-swarm,pool=2001:db8::/80 2001:db8::2
2001:db8::2/80
> endpoint ndp6-swarm,pool=2001:db8::/80 2001:db8::2
error: address 2001:db8::2 of pool 2001:db8::/80 is held by another task of the swarm: use another address: address in use
> release ndp6-swarm,pool=2001:db8:1::/80 2001:db8:1::2
ok
> free ndp6-swarm,pool=2001:db8:1::/80
ok
> endpoint ndp6-swarm,pool=2001:db8::1/80
error: pool 2001:db8::1/80 has host bits set: use 2001:db8::/80
`},
		{name: "pools that cannot be a swarm's", edit: global, script: `
> swarm
error: a network of a swarm needs a pool that is right on all nodes: give it one --subnet, of IPv6, such as 2001:db8:1:0:a::/80
> swarm 10.1.0.0/24
error: --subnet 10.1.0.0/24 is not IPv6, which the request is for: use a subnet of that family
> swarm 2001:db8::/96
error: pool 2001:db8::/96 has no room for a MAC: a swarm's nodes make addresses of them: use a --subnet and --ip-range of /80 or shorter
> swarm 2001:db8::/72 range=2001:db8::/96
error: pool 2001:db8::/96 has no room for a MAC: a swarm's nodes make addresses of them: use a --subnet and --ip-range of /80 or shorter
> swarm 2001:db8::/80 ndp6.iid=packed
error: --ipam-opt: a network of a swarm has the pool of its --subnet and addresses of random MACs: leave out what begins with ndp6.
> swarm 2001:db8::/80 ndp6.iid=mac
ndp6-swarm,pool=2001:db8::/80 fe80::1/64
`},
		{name: "a host that is in no swarm", edit: global, script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
`},
		// Another driver's network, such as an overlay.
		{name: "local scope", script: `
> swarm 10.1.0.0/24
ndp6,pool=10.1.0.0/24
> swarm 2001:db8::/80
error: --subnet 2001:db8::/80 is not IPv4, which the request is for: use a subnet of that family
`},
	})
}

// TestSwarmNode is what the node of a task asks for: its own part, beside that
// of a manager on the same host.
func TestSwarmNode(t *testing.T) {
	playAll(t, []scripted{
		{name: "an address of the manager's", edit: global, script: `
> swarm 2001:db8::/80
ndp6-swarm,pool=2001:db8::/80 fe80::1/64
> pool4
ndp6,pool=10.166.0.0/24
> gateway 10.166.0.0/24
10.166.0.1/24
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> gateway 2001:db8::/80 fe80::1
fe80::1/64
> endpoint 10.166.0.0/24
10.166.0.2/24
> endpoint 2001:db8::/80 2001:db8::242:ac11:2
2001:db8::242:ac11:2/128
> release 2001:db8::/80 2001:db8::242:ac11:2
ok
> free 2001:db8::/80
ok
> swarm 2001:db8::/80
error: pool 2001:db8::/80 overlaps pool 2001:db8::/80 of another network: use another --subnet: conflict
`},
		{name: "Docker 29 says the container's name", edit: global, script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
> endpoint 2001:db8::/80 name=www.1 2001:db8::242:ac11:2
2001:db8::242:ac11:2/128
`},
		{name: "routes to containers of other nodes", edit: func(c *ipam.Config, f *source.Facts) {
			c.Global = true
			f.Foreign.Routes = []inet.HostRoute{{Dst: netip.MustParsePrefix("2001:db8::242:ac11:2/128"), Link: "eth0"}}
		}, script: `
> pool6 2001:db8::/80
ndp6,pool=2001:db8::/80 fe80::1/64
`},
	})
}

// TestSwarmRandom: a manager picks what no other picks, also when it knows
// nothing of the others, and the node can tell.
func TestSwarmRandom(t *testing.T) {
	l := newLab(t, global)
	seen := map[string]bool{}
	for range 1000 {
		if err := l.restart(); err != nil {
			t.Fatal(err)
		}
		answer := l.call("endpoint ndp6-swarm,pool=2001:db8::/80")
		p, err := netip.ParsePrefix(answer)
		if err != nil {
			t.Fatal(answer)
		}
		mac := inet.LowMAC(p.Addr())
		if p.Masked().String() != "2001:db8::/80" || mac.CheckHost() != nil || mac[0]&0x02 == 0 || seen[answer] {
			t.Fatalf("address %s, want another one, of a MAC that is nobody's", answer)
		}
		seen[answer] = true
	}
	const chosen = "2001:db8::2"
	for answer := range seen {
		picked := netip.MustParsePrefix(answer).Addr()
		l.call("pool6 2001:db8::/80")
		l.call("endpoint 2001:db8::/80 " + picked.String())
		l.call("endpoint 2001:db8::/80 " + chosen)
		if !l.Random(picked) || l.Random(netip.MustParseAddr(chosen)) {
			t.Errorf("Random says %t of %s and %t of %s", l.Random(picked), picked, l.Random(netip.MustParseAddr(chosen)), chosen)
		}
		break
	}
}

// TestSwarmCapabilities: where MACs are made of addresses, none is asked for.
func TestSwarmCapabilities(t *testing.T) {
	for _, global := range []bool{false, true} {
		l := newLab(t, func(c *ipam.Config, _ *source.Facts) { c.Global = global })
		c, err := l.GetCapabilities(t.Context())
		if err != nil || c.RequiresMACAddress == global {
			t.Errorf("global %t: %+v, %v", global, c, err)
		}
	}
}

// TestSwarmTrace answers what two nodes of a swarm sent: a manager that leads,
// and one that leads after it.
func TestSwarmTrace(t *testing.T) {
	for _, node := range []string{"leader", "next-leader"} {
		t.Run(node, func(t *testing.T) {
			data, err := os.ReadFile("testdata/swarm-" + node + ".jsonl")
			if err != nil {
				t.Fatal(err)
			}
			l := newLab(t, global)
			picked := ""
			for line := range strings.Lines(string(data)) {
				var call struct {
					traced
					Answer string `json:"answer"`
				}
				// A node is given what its manager picked.
				if err := json.Unmarshal([]byte(strings.ReplaceAll(line, "PICKED", picked)), &call); err != nil {
					t.Fatal(err)
				}
				got, err := l.replay(call.traced)
				if call.Answer == "any" && err == nil {
					picked = netip.MustParsePrefix(got).Addr().String()
					got = "any"
				}
				if want := strings.ReplaceAll(call.Answer, "PICKED", picked); err != nil || want != got {
					t.Errorf("%s %s: answer %q, %v, want %q", call.Method, call.Request, got, err, want)
				}
			}
			if got := l.pools.snapshot(); len(got) > 0 {
				t.Errorf("pools are left: %s", cmp.Diff(map[string]string{}, got))
			}
		})
	}
}
