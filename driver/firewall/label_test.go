package firewall_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// forget ends the flows of a container, as its leave does.
func (l *lab) forget(host string) {
	l.tb.Helper()
	conn, err := kernel.Open()
	if err != nil {
		l.tb.Fatal(err)
	}
	defer conn.Close()
	if err := conn.ForgetFlows(addr(host), addr(host+"/4")); err != nil {
		l.tb.Fatal(err)
	}
}

// labels returns the label of each flow that has one, by "FROM TO PORT".
func (l *lab) labels() map[string]int {
	l.tb.Helper()
	got := make(map[string]int)
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, family)
		if err != nil {
			l.tb.Fatal(err)
		}
		for _, f := range flows {
			if len(f.Labels) != 16 {
				continue
			}
			from, _ := netip.AddrFromSlice(f.Forward.SrcIP)
			to, _ := netip.AddrFromSlice(f.Forward.DstIP)
			var set []int
			for i := range 128 {
				if f.Labels[i/8]>>(i%8)&1 != 0 {
					set = append(set, i)
				}
			}
			if len(set) != 1 {
				l.tb.Fatalf("labels %v, want one", set)
			}
			got[fmt.Sprintf("%s %s %d", nameOf(from.Unmap()), nameOf(to.Unmap()), f.Forward.DstPort)] = set[0]
		}
	}
	return got
}

// TestLabels: a flow has a label when its packets need no second look, and only then.
func TestLabels(t *testing.T) {
	l := newLab(t, true)
	l.serveAll()
	l.apply(policy(), containers()...)
	l.expect("flows", map[probe]string{
		"lan1 nd1 80/tcp": "nd1 sees lan1", "lan1 host.lan/4 8080/tcp": "nd1 sees lan1/4",
		"nd1 lan1 80/tcp": "lan1 sees nd1", "nd1 lan1/4 80/tcp": "lan1 sees host.lan/4",
		"nb1 nd1 80/tcp": "nd1 sees nb1", "nd2 nd1 82/udp": "nd1 sees nd2", "int1 int2 80/tcp": "int2 sees int1",
		"doc1 wan1 80/tcp": "wan1 sees doc1", "doc1 lan1/4 80/tcp": "lan1 sees doc1/4",
	})
	const outside, others = 110, 111
	want := map[string]int{
		"lan1 nd1 80": outside, "lan1/4 host.lan/4 8080": outside, "nd1 lan1 80": outside, "nd1/4 lan1/4 80": outside,
		"doc1 wan1 80": others, "doc1/4 lan1/4 80": others,
	}
	if diff := cmp.Diff(want, l.labels()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLabeledFlows sends what does not belong there into flows that are established.
func TestLabeledFlows(t *testing.T) {
	l := newLab(t, false)
	l.serve("nd1", 80)
	l.apply(policy(), publish(endpoint("nd1")), endpoint("nb1"))
	for range 2 { // The first packet that is not of a new flow is labeled.
		l.expect("flows", map[probe]string{"lan1 nd1 80/udp from 7000": "nd1 sees lan1", "nb1 nd1 80/udp from 7000": "nd1 sees nb1"})
	}
	if got := l.labels()["lan1 nd1 80"]; got == 0 {
		t.Fatal("the flow from outside has no label")
	}
	nettest.Run(t, "sysctl -qw net.netfilter.nf_conntrack_checksum=0") // Ours are wrong.
	lan, nd := l.openLink("lan1"), l.openLink("nd1")

	// A routing header, in an answer.
	answer := binary.BigEndian.AppendUint16(nil, 80)
	answer = append(binary.BigEndian.AppendUint16(answer, 7000), 0, 8, 0, 0)
	nd.send(routed("nd1", "lan1", 43, append([]byte{udp, 0, 4, 0, 0, 0, 0, 0}, answer...)))
	// Another container's address, from the wire.
	spoof := routed("lan1", "nd1", udp, packet(udp, 80, 7000, 0))
	copy(spoof[14+8:], addr("nb1").AsSlice())
	lan.send(spoof)
	deadline(t, "both are dropped", func() bool {
		counts := l.counters()
		return counts["routing"] == 1 && counts["spoof"] == 1
	})
}

// TestLabeledFlowsOfOthers: who forwards them decides about each of their packets.
func TestLabeledFlowsOfOthers(t *testing.T) {
	l := newLab(t, false)
	l.serve("wan1", 80)
	l.likeDocker()
	l.apply(policy(), containers()...)
	answered := l.asks("doc1", "wan1")
	deadline(t, "wan1 answers", answered)
	deadline(t, "the flow has a label", func() bool { return answered() && l.labels()["doc1 wan1 80"] != 0 })
	nettest.Run(t, "ip6tables-nft -D FORWARD -i doc ! -o doc -j ACCEPT")
	l.cut("what its owner let through no more", answered)
}

// TestAdministrator denies what is published: in Docker's chain for that to
// all, further down to new flows.
func TestAdministrator(t *testing.T) {
	l := newLab(t, false)
	l.serve("nd1", 80)
	l.likeDocker()
	nettest.Run(t, "ip6tables-nft -N DOCKER-USER", "ip6tables-nft -I FORWARD -j DOCKER-USER")
	l.apply(policy(), publish(endpoint("nd1")))
	answered := l.asks("lan1", "nd1")
	deadline(t, "nd1 answers", answered)
	deadline(t, "the flow has a label", func() bool { return answered() && l.labels()["lan1 nd1 80"] != 0 })

	const behindOurs = "3"
	nettest.Run(t, "ip6tables-nft -I FORWARD "+behindOurs+" -d "+addr("nd1").String()+" -j DROP")
	l.expect("new flows", map[probe]string{"lan1 nd1 80/udp": "", "lan1 nd1 80/tcp": ""})
	deadline(t, "the established flow goes on", answered)

	nettest.Run(t, "ip6tables-nft -A DOCKER-USER -d "+addr("nd1").String()+" -j DROP")
	l.cut("what DOCKER-USER drops", answered)
}

// asks returns what asks a host's port 80 by UDP, always in the same flow, and
// whether that was answered.
func (l *lab) asks(from, to string) func() bool {
	l.tb.Helper()
	var conn *net.UDPConn
	l.enter(from, func() (err error) {
		conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr(to), 80)))
		return err
	})
	l.tb.Cleanup(func() { conn.Close() })
	return func() bool {
		_, _ = conn.Write([]byte("?"))
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err := conn.Read(make([]byte, 64))
		return err == nil
	}
}

// cut waits until nothing of a flow is answered.
func (l *lab) cut(what string, answered func() bool) {
	l.tb.Helper()
	deadline(l.tb, what+" is cut", func() bool {
		for range 5 { // One answer may be late.
			if answered() {
				return false
			}
		}
		return true
	})
}
