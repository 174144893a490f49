package kernel_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

func BenchmarkAddVeth(b *testing.B) {
	nettest.Enter(b)
	c := open(b)
	if err := c.AddBridge(kernel.Bridge{Name: "nd0", Alias: "ndp6", MTU: 1500}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		v := kernel.Veth{Name: "nv0", Alias: "ndp6 endpoint", Peer: "np0", Master: "nd0", MTU: 1500, PeerMAC: inet.MAC{0x02, 0x42, 0, 0, 0, 1}}
		if err := c.AddVeth(v); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := c.DeleteLink("nv0"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkSetNeighbor(b *testing.B) {
	for _, proxy := range []bool{false, true} {
		b.Run(fmt.Sprintf("proxy=%v", proxy), func(b *testing.B) {
			nettest.Enter(b)
			c := open(b)
			nettest.Run(b, "ip link add eth0 type bridge", "ip link set eth0 up")
			n := kernel.Neighbor{Addr: netip.MustParseAddr("2001:db8::2"), Link: "eth0", Protocol: 166, Proxy: proxy}
			if !proxy {
				n.MAC = inet.MAC{0x02, 0x42, 0, 0, 0, 1}
			}
			for b.Loop() {
				if err := c.SetNeighbor(n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNeighbors(b *testing.B) {
	var last []kernel.Neighbor
	for _, bench := range []struct {
		name string
		read func(*kernel.Conn) ([]kernel.Neighbor, error)
	}{
		{"neighbors", (*kernel.Conn).Neighbors},
		{"proxies", func(c *kernel.Conn) (_ []kernel.Neighbor, err error) {
			last, err = c.Proxies(last)
			return last, err
		}},
	} {
		for _, entries := range []int{10, 10_000} {
			b.Run(fmt.Sprintf("%s=%d", bench.name, entries), func(b *testing.B) {
				nettest.Enter(b)
				c := open(b)
				nettest.Run(b, "ip link add eth0 type bridge", "ip link set eth0 up")
				prefix := netip.MustParseAddr("2001:db8::").As16()
				for i := range entries {
					a := prefix
					a[11], a[12] = byte(i>>8), byte(i)
					if err := c.SetNeighbor(kernel.Neighbor{Addr: netip.AddrFrom16(a), Link: "eth0", Protocol: 166, Proxy: true}); err != nil {
						b.Fatal(err)
					}
				}
				for b.Loop() {
					if got, err := bench.read(c); err != nil || len(got) != entries {
						b.Fatalf("%d entries, %v", len(got), err)
					}
				}
			})
		}
	}
}
