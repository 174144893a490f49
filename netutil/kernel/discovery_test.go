package kernel_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/ndp"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// TestDiscovery: what is answered for a proxy entry counts, on its link alone.
func TestDiscovery(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	router := nettest.Another(t)
	nettest.Run(t,
		"ip link add eth0 type veth peer name lan0 netns "+router, "ip link add eth1 type bridge", "ip link set eth1 up",
		"ip link set eth0 addrgenmode none", "ip link set eth0 up", "ip addr add fe80::5/64 dev eth0 nodad",
		"sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.eth0.proxy_ndp=1 net.ipv6.neigh.eth0.proxy_delay=0",
		"ip route add 2001:db8::77 dev eth1",
	)
	nettest.RunIn(t, router, "ip link set lan0 address 02:42:00:00:00:77 up")
	before, err := c.Discovery("eth0")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetNeighbor(kernel.Neighbor{Addr: netip.MustParseAddr("2001:db8::77"), Link: "eth0", Proxy: true}); err != nil {
		t.Fatal(err)
	}
	solicit(t, router, netip.MustParseAddr("2001:db8::77"))
	after, err := c.Discovery("eth0")
	if err != nil {
		t.Fatal(err)
	}
	if after.Solicitations == before.Solicitations || after.Advertisements == before.Advertisements {
		t.Errorf("before %+v, after %+v, want more", before, after)
	}
	if other, err := c.Discovery("eth1"); err != nil || other.Solicitations != 0 {
		t.Errorf("link of nobody: %+v, %v", other, err)
	}
	if _, err := c.Discovery("eth9"); !errors.Is(err, kernel.ErrNotFound) {
		t.Errorf("no link: %v", err)
	}
}

// solicit asks for an address on lan0 of another namespace, until the answer.
func solicit(t *testing.T, namespace string, target netip.Addr) {
	t.Helper()
	err := netns.Do(namespace, func() error {
		lan, err := net.InterfaceByName("lan0")
		if err != nil {
			return err
		}
		conn, err := ndp.Open(ndp.Link{
			Index: lan.Index, Name: lan.Name, MAC: inet.MAC(lan.HardwareAddr), Source: netip.MustParseAddr("fe80::77"),
		})
		if err != nil {
			return err
		}
		defer conn.Close()
		return conn.Probe(t.Context(), target, 10*time.Second)
	})
	if duplicate := (*ndp.DuplicateError)(nil); !errors.As(err, &duplicate) {
		t.Fatalf("solicit %s: %v, want an answer", target, err)
	}
}
