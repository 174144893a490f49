package firewall_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/driver/firewall/frames"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// scene is nd1, who sends, nd2, who receives, and the lab's host.
func scene() frames.Scene {
	host := func(name string, number int) frames.Host {
		return frames.Host{MAC: macOf(2, number), Addr6: addr(name), Addr4: addr(name + "/4")}
	}
	return frames.Scene{Sender: host("nd1", 2), Neighbor: host("nd2", 3), Gateway: host("host.nd", 1)}
}

// exchange sends every frame from nd1 and returns the names of those that nd2 received.
func (l *lab) exchange(s frames.Scene, last uint16) map[string]bool {
	l.tb.Helper()
	to, from := l.openLink("nd2"), l.openLink("nd1")
	for _, f := range s.All() {
		from.send(f.Bytes)
	}
	end := s.Echo(last).Bytes
	from.send(end)
	got := to.receive(end)
	delivered := make(map[string]bool)
	for _, f := range s.All() {
		if got[string(f.Captured())] > 0 || f.Name == "udp-fragment" && got[reassembled(f.Bytes)] > 0 {
			delivered[f.Name] = true
		}
	}
	return delivered
}

// reassembled returns a frame without its fragment header, as conntrack passes
// it on where bridged frames go through the host's firewall.
func reassembled(frame []byte) string {
	b := append(bytes.Clone(frame[:54]), frame[62:]...)
	b[20] = frame[54] // What the fragment header said comes next.
	binary.BigEndian.PutUint16(b[18:], uint16(len(b)-54))
	return string(b)
}

func names(all []frames.Frame, which func(frames.Frame) bool) map[string]bool {
	m := make(map[string]bool)
	for _, f := range all {
		if which(f) {
			m[f.Name] = true
		}
	}
	return m
}

// Shows RFC 2827 3 (port).
// Shows RFC 4890 4.3.3 (bridged).
// Shows RFC 6105 3 (routers).
// Shows RFC 6105 3 (neighbors).
// Shows RFC 6980 5 (guard).
// Shows RFC 7113 3 (headers).
// Shows RFC 7113 3 (fragments).
func TestGuard(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(bridgeNF(on), func(t *testing.T) {
			l := newLab(t, on)
			s := scene()
			bridged := names(s.All(), func(f frames.Frame) bool { return !f.Eaten })
			if diff := cmp.Diff(bridged, l.exchange(s, 1001)); diff != "" {
				t.Errorf("without rules:\n%s", diff)
			}

			guarded, unguarded := endpoint("nd1"), endpoint("nd1")
			unguarded.Unguarded = true
			legit := names(s.All(), func(f frames.Frame) bool { return f.Legit })
			l.apply(policy(), guarded, endpoint("nd2"))
			if diff := cmp.Diff(legit, l.exchange(s, 1002)); diff != "" {
				t.Errorf("guarded:\n%s", diff)
			}
			counts := l.counters()
			for _, name := range []string{"d_mac", "d_src", "d_ra", "d_dhcp", "d_na", "d_dad", "d_frag", "d_proto", "d_arp"} {
				if counts[name] == 0 {
					t.Errorf("counter %s counted nothing", name)
				}
			}

			if on { // Conntrack keeps them until the rest of the datagram comes.
				delete(bridged, "ra-frag1")
				delete(bridged, "ra-dstopt-frag1")
			}
			l.apply(policy(), unguarded, endpoint("nd2"))
			if diff := cmp.Diff(bridged, l.exchange(s, 1003)); diff != "" {
				t.Errorf("guard=off:\n%s", diff)
			}
		})
	}
}

// TestUnknownPort is about a port that has no elements yet.
func TestUnknownPort(t *testing.T) {
	l := newLab(t, false)
	l.apply(policy(), endpoint("nd2"))
	from := l.openLink("nd1")
	for _, f := range scene().All() {
		from.send(f.Bytes)
	}
	deadline(t, "d_port counts them all", func() bool { return l.counters()["d_port"] >= uint64(len(scene().All())-1) })
	if got := l.counters(); got["d_mac"] != 0 {
		t.Errorf("counters %v: something reached the guard", got)
	}
}

// TestFramesDiffer is what the other tests rely on to know which arrived.
func TestFramesDiffer(t *testing.T) {
	seen := make(map[string]string)
	named := make(map[string]bool)
	for _, f := range scene().All() {
		key := string(f.Captured())
		if other, ok := seen[key]; ok || named[f.Name] {
			t.Errorf("%s is captured like %s, or there are two", f.Name, other)
		}
		seen[key], named[f.Name] = f.Name, true
	}
}

func isolated(e firewall.Endpoint) firewall.Endpoint {
	e.Isolated = true
	return e
}

func TestIsolated(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(bridgeNF(on), func(t *testing.T) {
			l := newLab(t, on)
			l.serve("nd1", 80, 81)
			l.serve("nd2", 80, 81)
			l.serve("lan1", 80)
			p := policy()
			p.Networks[0].Isolated = true
			l.apply(p, isolated(publish(endpoint("nd1"))), isolated(open(endpoint("nd2"))), endpoint("nb1"))
			// The way round by the gateway is closed as well.
			l.run("nd1", "ip -6 route add "+addr("nd2").String()+" via "+addr("host.nd").String())
			nettest.Run(t, "sysctl -qw net.ipv4.conf.all.send_redirects=0")
			l.expect("isolated", map[probe]string{
				"nd1 nd2 81/tcp": "", "nd2 nd1 80/tcp": "", "nd2 nd1/4 80/udp": "", "nd1 nd2/4 81/tcp": "",
				"lan1 nd1 80/tcp": "nd1 sees lan1", "nd1 lan1 80/tcp": "lan1 sees nd1", "nb1 nd1 80/udp": "nd1 sees nb1",
			})
			if l.counters()["isolated"] == 0 {
				t.Error("counter isolated counted nothing")
			}
		})
	}
}
