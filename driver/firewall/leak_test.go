package firewall_test

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// everyKind are frames from nd1 to lan1 with every kind of packet, most of no flow.
func everyKind() [][]byte {
	var all [][]byte
	for proto := range 256 {
		all = append(all, routed("nd1", "lan1", byte(proto), packet(udp, 80, 9, 0)))
	}
	for flags := range 256 {
		all = append(all, routed("nd1", "lan1", tcp, packet(tcp, 80, uint16(1000+flags), byte(flags))))
	}
	// What an error is about: a packet that lan1 never sent.
	about := toContainer(udp, packet(udp, 7, 7, 0))[14:]
	for typ := range 256 {
		all = append(all, routed("nd1", "lan1", 58, append([]byte{byte(typ), 0, 0, 0, 0, 0, 0, 9}, about...)))
	}
	fragments := []byte{udp, 0, 0, 1, 0, 0, 0, 1}
	return append(all, routed("nd1", "lan1", 44, append(fragments, packet(udp, 80, 9, 0)...)))
}

// TestNoLeak looks on the uplink for packets with a hidden source.
//
// Shows RFC 4193 4.3 (leak).
func TestNoLeak(t *testing.T) {
	for name, test := range map[string]struct {
		policy firewall.Policy
		source string // as lan1 sees nd1
		at     string // where port 80 of nd1 is for lan1
		port   uint16
	}{
		"nat":                {behindHost(), "host.lan", "host.lan", 8080},
		"nptv6":              {behindPrefixes(1), "nd1@1", "nd1@1", 80},
		"nptv6 without them": {behindPrefixes(), "host.lan", "host.lan", 8080},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, false)
			l.apply(test.policy, publish(endpoint("nd1")))
			// What nobody listens to is answered by an error of the container.
			deadline(t, "lan1 hears that nobody listens", func() bool {
				return errors.Is(l.knock("lan1", netip.AddrPortFrom(addr(test.at), test.port)), unix.ECONNREFUSED)
			})
			nettest.Run(t, "sysctl -qw net.netfilter.nf_conntrack_checksum=0") // Ours are wrong.
			from, to := l.openLink("nd1"), l.openLink("lan1")
			for _, f := range everyKind() {
				from.send(f)
			}
			// What others take off conntrack is off NAT, too.
			nettest.Run(t, "nft add table inet probe",
				"nft add chain inet probe pre { type filter hook prerouting priority raw - 1 ; }",
				"nft add rule inet probe pre iifname nd notrack")
			for _, f := range everyKind() {
				from.send(f)
			}
			nettest.Run(t, "nft delete table inet probe")
			from.send(routed("nd1", "lan1", udp, packet(udp, 4999, 4999, 0)))
			hidden := test.policy.Networks[0].Pools[0]
			arrived := 0
			buf := make([]byte, 2048)
			for {
				n, _, err := unix.Recvfrom(to.fd, buf, 0)
				if err != nil || n < 62 || binary.BigEndian.Uint16(buf[12:]) != unix.ETH_P_IPV6 {
					continue
				}
				source := netip.AddrFrom16([16]byte(buf[22:38]))
				if hidden.Contains(source) {
					t.Errorf("leaked: protocol %d from %s: %x", buf[20], source, buf[54:n])
				}
				if source == addr(test.source) {
					arrived++
				}
				if buf[20] == udp && binary.BigEndian.Uint16(buf[56:]) == 4999 {
					break
				}
			}
			if arrived < 256 {
				t.Errorf("%d packets arrived from %s, want those that start a flow", arrived, test.source)
			}
		})
	}
}

// knock sends a datagram from a host and returns how the answer was read.
func (l *lab) knock(host string, to netip.AddrPort) error {
	l.tb.Helper()
	var conn *net.UDPConn
	l.enter(host, func() (err error) {
		conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		return err
	})
	defer conn.Close()
	if _, err := conn.Write([]byte("?")); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, err := conn.Read(make([]byte, 1))
	return err
}
