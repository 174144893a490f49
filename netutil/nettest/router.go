package nettest

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
)

// Router has a link of the namespace at path answer every router solicitation
// with m from a link-local address, until the test ends.
func Router(tb testing.TB, path, link string, source netip.Addr, m RA) {
	tb.Helper()
	var ifi *net.Interface
	var socket *packet.Conn
	err := netns.Do(path, func() (err error) {
		if ifi, err = net.InterfaceByName(link); err == nil {
			socket, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_IPV6, nil)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	all := inet.AllNodes
	body, err := ndp.MarshalMessageChecksum(m.message(), source, all)
	if err != nil {
		tb.Fatal(err)
	}
	to := inet.MulticastMAC(all)
	const hopLimit = 255
	frame := slices.Concat(to[:], ifi.HardwareAddr, []byte{0x86, 0xdd, 6 << 4, 0, 0, 0, 0, byte(len(body)), unix.IPPROTO_ICMPV6, hopLimit},
		source.AsSlice(), all.AsSlice(), body)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, _, err := socket.ReadFrom(buf)
			if err != nil {
				return
			}
			const message = 14 + 40
			if n > message && buf[message] == byte(ipv6.ICMPTypeRouterSolicitation) {
				_, _ = socket.WriteTo(frame, &packet.Addr{HardwareAddr: to.HardwareAddr()})
			}
		}
	}()
	tb.Cleanup(func() {
		socket.Close()
		<-done
	})
}
