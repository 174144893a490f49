package kernel_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

func TestNeighbors(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	nettest.Run(t,
		"ip link add eth0 type bridge", "ip link set eth0 up",
		// Neighbors that are none of Neighbors' business, and two of others that are.
		"ip -6 neigh add 2001:db8::8 dev eth0 lladdr 02:42:00:00:00:08 nud reachable",
		"ip -6 neigh add 2001:db8::9 dev eth0 lladdr 02:42:00:00:00:09 nud permanent",
		"ip -6 neigh add proxy 2001:db8::9 dev eth0 protocol 77")
	six, four := netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("192.0.2.2")
	ours := []kernel.Neighbor{
		{Addr: six, Link: "eth0", MAC: peerMAC, Protocol: protocol},
		{Addr: six, Link: "eth0", Protocol: protocol, Proxy: true},
		{Addr: four, Link: "eth0", MAC: peerMAC, Protocol: protocol},
		{Addr: four, Link: "eth0", Protocol: protocol, Proxy: true},
	}
	nine := netip.MustParseAddr("2001:db8::9")
	others := []kernel.Neighbor{
		{Addr: nine, Link: "eth0", MAC: [6]byte{0x02, 0x42, 0, 0, 0, 0x09}},
		{Addr: nine, Link: "eth0", Protocol: 77, Proxy: true},
	}
	for range 2 {
		for _, n := range ours {
			if err := c.SetNeighbor(n); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(inOrder(slices.Concat(ours, others)), neighbors(t, c), byValue); diff != "" {
		t.Errorf("Neighbors (-want +got):\n%s", diff)
	}
	contains(t, nettest.Run(t, "ip -d -6 neigh show", "ip -d neigh show"),
		"2001:db8::2 dev eth0 lladdr 02:42:00:00:00:02 PERMANENT proto 166",
		"192.0.2.2 dev eth0 lladdr 02:42:00:00:00:02 PERMANENT proto 166")
	contains(t, nettest.Run(t, "ip -d -6 neigh show proxy", "ip -d neigh show proxy"),
		"2001:db8::2 dev eth0 proxy proto 166",
		"192.0.2.2 dev eth0 proxy proto 166")

	// What was learned, or set by another, is replaced.
	moved := ours[0]
	moved.MAC = bridgeMAC
	learned := kernel.Neighbor{Addr: netip.MustParseAddr("2001:db8::8"), Link: "eth0", MAC: peerMAC, Protocol: protocol}
	if err := errors.Join(c.SetNeighbor(moved), c.SetNeighbor(learned)); err != nil {
		t.Fatal(err)
	}
	ours[0] = moved
	ours = append(ours, learned)
	if diff := cmp.Diff(inOrder(slices.Concat(ours, others)), neighbors(t, c), byValue); diff != "" {
		t.Errorf("Neighbors after replace (-want +got):\n%s", diff)
	}

	for range 2 {
		for _, n := range ours {
			if err := c.DeleteNeighbor(n); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(inOrder(others), neighbors(t, c), byValue); diff != "" {
		t.Errorf("Neighbors after delete (-want +got):\n%s", diff)
	}
	nettest.Run(t, "ip link delete eth0")
	if err := c.DeleteNeighbor(ours[0]); err != nil {
		t.Errorf("the link is gone: %v", err)
	}
}

func neighbors(t *testing.T, c *kernel.Conn) []kernel.Neighbor {
	t.Helper()
	got, err := c.Neighbors()
	if err != nil {
		t.Fatal(err)
	}
	return inOrder(got)
}

// inOrder orders neighbors by their text.
func inOrder(neighbors []kernel.Neighbor) []kernel.Neighbor {
	slices.SortFunc(neighbors, func(a, b kernel.Neighbor) int { return strings.Compare(a.String(), b.String()) })
	return neighbors
}

func TestNeighborErrors(t *testing.T) {
	nettest.Enter(t)
	c := open(t)
	addr := netip.MustParseAddr("2001:db8::2")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no link", c.SetNeighbor(kernel.Neighbor{Addr: addr, Link: "eth9", Proxy: true}), `add neigh proxy 2001:db8::2 dev eth9: link "eth9": not found`},
		{"no MAC", c.SetNeighbor(kernel.Neighbor{Addr: addr, Link: "lo"}), "add neigh 2001:db8::2 dev lo lladdr 00:00:00:00:00:00: a permanent neighbor needs a MAC"},
		{"no address", c.SetNeighbor(kernel.Neighbor{Link: "lo", Proxy: true}), "add neigh proxy invalid IP dev lo: not an IPv4 or IPv6 address"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := message(test.err); got != test.want {
				t.Errorf("got error  %s\nwant error %s", got, test.want)
			}
		})
	}
}
