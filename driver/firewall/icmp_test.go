package firewall_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// message is a raw ICMPv6 message without meaning but its type.
func message(typ int) []byte { return []byte{byte(typ), 0, 0, 0, 0, 9, 0, byte(typ)} }

// pass sends each type of ICMPv6 message from one host to another and returns
// those that arrive, of which there is at least one.
func (l *lab) pass(from, to string, types []int) []int {
	l.tb.Helper()
	var in, out *net.IPConn
	any6 := &net.IPAddr{IP: net.IPv6unspecified}
	l.enter(to, func() (err error) {
		in, err = net.ListenIP("ip6:ipv6-icmp", any6)
		return err
	})
	defer in.Close()
	l.enter(from, func() (err error) {
		out, err = net.ListenIP("ip6:ipv6-icmp", any6)
		return err
	})
	defer out.Close()
	source, target := addr(from), addr(to)
	if err := ipv6.NewPacketConn(out).SetChecksum(true, 2); err != nil && !errors.Is(err, unix.EINVAL) {
		l.tb.Fatal(err) // Linux always does for ICMPv6.
	}
	ctx, cancel := context.WithCancel(l.tb.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			for _, typ := range types {
				_, _ = out.WriteToIP(message(typ), &net.IPAddr{IP: target.AsSlice()})
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	arrived := make(map[int]bool)
	buf := make([]byte, 1500)
	// Until the first arrives the hosts may be looking for each other.
	for end := time.Now().Add(generous); time.Now().Before(end); {
		_ = in.SetReadDeadline(end)
		n, sender, err := in.ReadFromIP(buf)
		if err != nil || n < 8 {
			continue
		}
		if a, _ := netip.AddrFromSlice(sender.IP); a == source && buf[7] == buf[0] && buf[5] == 9 {
			if len(arrived) == 0 {
				end = time.Now().Add(silence)
			}
			arrived[int(buf[0])] = true
		}
	}
	cancel()
	running.Wait()
	var list []int
	for _, typ := range types {
		if arrived[typ] {
			list = append(list, typ)
		}
	}
	return list
}

// TestICMPv6 is RFC 4890 4.3, as far as it is about types.
//
// Shows RFC 4890 4.3.1 (errors).
// Shows RFC 4890 4.3.1 (echo).
// Shows RFC 4890 4.3.3 (stays).
// Shows RFC 4890 4.3.4 (policy).
// Shows RFC 4890 4.3.5 (dropped).
// Shows RFC 6092 REC-49 (transparent).
func TestICMPv6(t *testing.T) {
	types := []int{1, 2, 3, 4, 100, 127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144, 148, 149, 151, 153}
	l := newLab(t, false)
	if diff := cmp.Diff(types, l.pass("lan1", "nb1", types)); diff != "" {
		t.Errorf("without rules:\n%s", diff)
	}
	unguarded := open(endpoint("nd2"))
	unguarded.Unguarded = true
	l.apply(policy(), endpoint("nd1"), unguarded, endpoint("nb1"))
	for _, test := range []struct {
		from, to string
		want     []int
	}{
		{"lan1", "nd1", []int{1, 2, 3, 4, 128}},
		{"nb1", "nd1", []int{1, 2, 3, 4, 128}},
		{"lan1", "nd2", []int{1, 2, 3, 4, 100, 127, 128, 129, 144}}, // open
		{"nd2", "lan1", []int{1, 2, 3, 4, 100, 127, 128, 129, 144}},
		{"nd2", "nb1", []int{1, 2, 3, 4, 128}},
	} {
		got := l.pass(test.from, test.to, types)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s to %s:\n%s", test.from, test.to, diff)
		}
	}
	if l.counters()["transit"] == 0 {
		t.Error("counter transit counted nothing")
	}
}

// burst sends n messages of a type at once and returns how many arrive.
func (l *lab) burst(typ, n int) int {
	l.tb.Helper()
	to, from := l.openLink("nd1"), l.openLink("lan1")
	source, target := addr("lan1"), addr("nd1")
	body, err := (&icmp.Message{Type: ipv6.ICMPType(typ), Body: &icmp.RawBody{Data: []byte{0, 7, 0, 7}}}).Marshal(
		icmp.IPv6PseudoHeader(source.AsSlice(), target.AsSlice()))
	if err != nil {
		l.tb.Fatal(err)
	}
	frame := toContainer(58, body)
	for range n {
		from.send(frame)
	}
	got := 0
	buf := make([]byte, 2048)
	for quiet := 0; quiet < 5; {
		size, _, err := unix.Recvfrom(to.fd, buf, 0)
		if err != nil {
			quiet++
			continue
		}
		if size >= 62 && buf[20] == 58 && buf[54] == byte(typ) && buf[59] == 7 {
			got++
		}
	}
	return got
}

// TestICMPv6Limit floods a container: echoes are limited, "packet too big" is not.
//
// Shows RFC 4890 4.3.1 (limits).
func TestICMPv6Limit(t *testing.T) {
	l := newLab(t, false)
	l.apply(policy(), endpoint("nd1"))
	l.pass("lan1", "nd1", []int{2}) // Everybody knows their neighbors.
	const n = 3000
	if got := l.burst(128, n); got == 0 || got == n {
		t.Errorf("%d of %d echo requests arrived, want some", got, n)
	}
	if got := l.burst(2, n/10); got != n/10 {
		t.Errorf("%d of %d messages of packet too big arrived, want all", got, n/10)
	}
}

// TestSpoof sends under addresses that the sender cannot have.
//
// Shows RFC 2827 3 (forwarded).
// Shows RFC 6092 REC-5 (outbound source).
// Shows RFC 6092 REC-6 (inbound source).
func TestSpoof(t *testing.T) {
	for _, test := range []struct{ name, from, source, to string }{
		{"a container's address from outside", "lan1", "2001:db8:0:a::99", "nd1"},
		{"a translated address from outside", "lan1", "2001:db8:1:a::99", "host.lan"},
		{"an IPv4 pool's address from outside", "lan1", "10.7.0.99", "host.lan/4"},
		{"somebody's address from an unguarded container", "nd2", "2001:db8:bad::1", "lan1"},
		{"somebody's IPv4 address from an unguarded container", "nd2", "203.0.113.1", "lan1/4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, false)
			free := open(endpoint("nd2"))
			free.Unguarded = true
			l.apply(behindPrefixes(1), publish(endpoint("nd1")), free)
			source := netip.MustParseAddr(test.source)
			l.run(test.from, "ip address add "+netip.PrefixFrom(source, source.BitLen()).String()+" dev eth0 nodad")
			var conn *net.UDPConn
			l.enter(test.from, func() (err error) {
				conn, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0)),
					net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr(test.to), 80)))
				return err
			})
			defer conn.Close()
			deadline(t, "spoof counts it", func() bool {
				_, _ = conn.Write([]byte("?"))
				return l.counters()["spoof"] > 0
			})
		})
	}
}
