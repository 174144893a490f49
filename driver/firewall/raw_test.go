package firewall_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/nettest"
)

// toContainer is a frame from lan1 to the host with a packet to nd1.
func toContainer(next byte, payload []byte) []byte {
	return routed("lan1", "nd1", next, payload)
}

// routed is a frame from the first host of a segment to the lab's host, with a
// packet to somebody else.
func routed(from, to string, next byte, payload []byte) []byte {
	segment := slices.IndexFunc(segments, func(s segment) bool { return s.name+"1" == from })
	router, own := macOf(segment, 1), macOf(segment, 2)
	b := append(append(router[:], own[:]...), 0x86, 0xdd, 6<<4, 0, 0, 0, byte(len(payload)>>8), byte(len(payload)), next, 64)
	b = append(append(b, addr(from).AsSlice()...), addr(to).AsSlice()...)
	return append(b, payload...)
}

// packet is a UDP datagram or TCP segment to a port, without its checksum,
// and with a number to know it by.
func packet(proto byte, port, id uint16, flags byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, port)
	if proto == udp {
		return append(b, 0, 8, 0, 0)
	}
	return append(b, 0, 0, 0, 1, 0, 0, 0, 1, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
}

// TestHeaders hides ports behind extension headers, in fragments and in
// segments that start no flow. What is published may get through.
//
// Shows RFC 6092 REC-33 (inbound).
func TestHeaders(t *testing.T) {
	l := newLab(t, false)
	l.apply(policy(), publish(endpoint("nd1")))
	l.pass("lan1", "nd1", []int{2})                                    // Everybody knows their neighbors.
	nettest.Run(t, "sysctl -qw net.netfilter.nf_conntrack_checksum=0") // Ours are wrong.
	to, from := l.openLink("nd1"), l.openLink("lan1")

	headers := map[string]func(proto byte, payload []byte) (byte, [][]byte){
		"none": func(p byte, b []byte) (byte, [][]byte) { return p, [][]byte{b} },
		"hop by hop": func(p byte, b []byte) (byte, [][]byte) {
			return 0, [][]byte{append([]byte{p, 0, 1, 4, 0, 0, 0, 0}, b...)}
		},
		"destination": func(p byte, b []byte) (byte, [][]byte) {
			return 60, [][]byte{append([]byte{p, 0, 1, 4, 0, 0, 0, 0}, b...)}
		},
		"routing, type 0": func(p byte, b []byte) (byte, [][]byte) {
			return 43, [][]byte{append([]byte{p, 0, 0, 0, 0, 0, 0, 0}, b...)}
		},
		"routing, type 4": func(p byte, b []byte) (byte, [][]byte) {
			return 43, [][]byte{append([]byte{p, 0, 4, 0, 0, 0, 0, 0}, b...)}
		},
		"own fragment": func(p byte, b []byte) (byte, [][]byte) {
			return 44, [][]byte{append([]byte{p, 0, 0, 0, 0, 0, 0, 9}, b...)}
		},
		"two fragments of 8": func(p byte, b []byte) (byte, [][]byte) {
			return 44, [][]byte{
				append([]byte{p, 0, 0, 1, 0, 0, 1, b[1]}, b[:8]...), append([]byte{p, 0, 0, 8, 0, 0, 1, b[1]}, b[8:]...),
			}
		},
	}
	id := uint16(5000)
	want := make(map[uint16]string) // published, by id
	bad := make(map[uint16]string)
	for name, wrap := range headers {
		for _, proto := range []byte{tcp, udp} {
			for _, flags := range []byte{flagSYN, flagACK, flagFIN, flagRST, flagSYN | flagACK} {
				for _, port := range []uint16{80, 81} {
					if proto == udp && (flags != flagSYN || name == "two fragments of 8") {
						continue
					}
					id++
					what := fmt.Sprintf("%s, protocol %d, flags %#x, port %d", name, proto, flags, port)
					if port == 80 && flags == flagSYN && (name == "none" || name == "hop by hop" || name == "destination") {
						want[id] = what
					}
					if port == 81 {
						bad[id] = what
					}
					next, packets := wrap(proto, packet(proto, port, id, flags))
					for _, p := range packets {
						from.send(toContainer(next, p))
					}
				}
			}
		}
	}
	last := toContainer(udp, packet(udp, 80, 4999, 0))
	from.send(last)
	buf := make([]byte, 2048)
	arrived := make(map[uint16]bool)
	for !arrived[4999] {
		n, _, err := unix.Recvfrom(to.fd, buf, 0)
		if err != nil {
			continue
		}
		for i := 54; i+2 <= n && i <= 70; i += 8 { // Behind one header or two.
			arrived[binary.BigEndian.Uint16(buf[i:])] = true
		}
	}
	for id, what := range bad {
		if arrived[id] {
			t.Errorf("arrived: %s", what)
		}
	}
	for id, what := range want {
		if !arrived[id] {
			t.Errorf("did not arrive: %s", what)
		}
	}
}

// The flags of TCP.
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

// TestRoutingHeaders: no packet with a routing header leaves a container.
//
// Shows RFC 5095 4.2 (firewall).
// Shows RFC 6092 REC-4 (outbound).
func TestRoutingHeaders(t *testing.T) {
	l := newLab(t, false)
	l.apply(policy(), publish(endpoint("nd1")))
	l.pass("lan1", "nd1", []int{2})                                    // Everybody knows their neighbors.
	nettest.Run(t, "sysctl -qw net.netfilter.nf_conntrack_checksum=0") // Ours are wrong.
	to, from := l.openLink("lan1"), l.openLink("nd1")
	for _, typ := range []byte{0, 2, 3, 4} {
		for _, left := range []byte{0, 1} {
			header := []byte{udp, 0, typ, left, 0, 0, 0, 0}
			from.send(routed("nd1", "lan1", 43, append(header, packet(udp, 80, 6000, 0)...)))
		}
	}
	from.send(routed("nd1", "lan1", udp, packet(udp, 80, 6001, 0)))
	buf := make([]byte, 2048)
	for last := false; !last; {
		n, _, err := unix.Recvfrom(to.fd, buf, 0)
		if err != nil || n < 62 || binary.BigEndian.Uint16(buf[12:]) != unix.ETH_P_IPV6 {
			continue
		}
		if buf[20] == 43 {
			t.Errorf("a routing header of type %d, with %d segments left", buf[56], buf[57])
		}
		last = buf[20] == udp && binary.BigEndian.Uint16(buf[54:]) == 6001
	}
	if got := l.counters()["routing"]; got != 8 {
		t.Errorf("counter routing is %d, want all 8", got)
	}
}
