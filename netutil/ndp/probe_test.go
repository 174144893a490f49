package ndp_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// TestProbeIsHeard wants on the wire what a host sends before it takes an address.
//
// Shows RFC 4862 5.4.2 (form).
// Shows RFC 6980 5 (sending).
// Shows RFC 7527 4.1 (nonce).
func TestProbeIsHeard(t *testing.T) {
	link, peer := lan(t)
	var socket *packet.Conn
	err := netns.Do(peer, func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		const ethernetIPv6 = 0x86dd
		socket, err = packet.Listen(ifi, packet.Raw, ethernetIPv6, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := open(t, link).Probe(t.Context(), target, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := socket.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	const header, solicitation, nonce = 14 + 40, 135, 14
	b := make([]byte, 1500)
	for n := 0; n < header+24 || b[header] != solicitation; {
		if n, _, err = socket.ReadFrom(b); err != nil {
			t.Fatal(err)
		}
	}
	type probe struct {
		To                          inet.MAC
		HopLimit                    byte
		Source, Destination, Target netip.Addr
		Length, Option              byte
	}
	at := func(offset int) netip.Addr { return netip.AddrFrom16([16]byte(b[offset:])) }
	group := inet.SolicitedNode(target)
	want := probe{
		To: inet.MulticastMAC(group), HopLimit: 255, Source: netip.IPv6Unspecified(), Destination: group, Target: target,
		Length: 24 + 8, Option: nonce, // One option, and so none with our MAC.
	}
	got := probe{inet.MAC(b[:6]), b[14+7], at(14 + 8), at(14 + 24), at(header + 8), b[14+5], b[header+24]}
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Errorf("probe (-want +got):\n%s", diff)
	}
}

// TestLoopedBack: what a link sends back is no other host.
//
// Shows RFC 7527 4.2 (looped back).
func TestLoopedBack(t *testing.T) {
	link, peer := lan(t)
	nettest.RunIn(t, peer, "ip addr flush dev eth0", "ip link add br0 type bridge mcast_snooping 0", "ip link set br0 up",
		"ip link set eth0 master br0", "ip link set eth0 type bridge_slave hairpin on")
	c := open(t, link)
	ifi := &net.Interface{Index: link.Index, Name: link.Name, HardwareAddr: link.MAC.HardwareAddr()}
	const ethernetIPv6 = 0x86dd
	socket, err := packet.Listen(ifi, packet.Raw, ethernetIPv6, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := c.Probe(t.Context(), target, 200*time.Millisecond); err != nil {
		t.Errorf("Probe: %v", err)
	}
	if err := socket.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	for {
		n, _, err := socket.ReadFrom(b)
		if err != nil {
			t.Fatalf("the probe did not come back: %v", err)
		}
		if n > 54 && b[54] == 135 && inet.MAC(b[6:12]) == hostMAC {
			return
		}
	}
}
