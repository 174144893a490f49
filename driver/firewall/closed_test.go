package firewall_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/nettest"
)

// TestUnknownBridge is about a bridge of ours that no network has.
func TestUnknownBridge(t *testing.T) {
	l := newLab(t, false)
	l.serve("doc1", 80)
	l.serve("nd1", 80)
	nettest.Run(t, "ip link set doc down", "ip link set doc name nd-lost", "ip link set nd-lost up",
		"ip address replace "+addr("host.doc").String()+"/64 dev nd-lost nodad")
	l.apply(policy(), publish(endpoint("nd1")))
	l.expect("nd-lost is nobody's", map[probe]string{
		"lan1 doc1 80/tcp": "", "doc1 nd1 80/tcp": "", "nd1 doc1 80/udp": "", "lan1 nd1 80/tcp": "nd1 sees lan1",
	})
	if l.counters()["unknown"] == 0 {
		t.Error("counter unknown counted nothing")
	}
}

// TestForwardGuard is about what is none of ours.
func TestForwardGuard(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(bridgeNF(on), func(t *testing.T) {
			l := newLab(t, on)
			for _, host := range []string{"lan1", "lan2", "wan1", "doc1", "doc2", "nd1"} {
				l.serve(host, 80)
			}
			others := map[probe]string{
				"lan1 wan1 80/tcp": "wan1 sees lan1", "wan1 lan1 80/udp": "lan1 sees wan1", "lan1 wan1/4 80/tcp": "wan1 sees lan1/4",
				"lan1 doc1 80/tcp": "doc1 sees lan1", "doc1 lan1 80/tcp": "lan1 sees doc1",
				"lan1 lan2 80/tcp": "lan2 sees lan1", "doc1 doc2 80/udp": "doc2 sees doc1",
				"lan1 nd1 80/tcp": "nd1 sees lan1", "nd1 wan1 80/tcp": "wan1 sees nd1",
			}
			p := policy()
			p.Uplinks = []string{"lan", "wan"}
			l.apply(p, publish(endpoint("nd1")))
			l.expect("forwarding was on before us", others)

			p.Guard = true
			l.apply(p, publish(endpoint("nd1")))
			others["lan1 wan1 80/tcp"], others["wan1 lan1 80/udp"], others["lan1 doc1 80/tcp"] = "", "", ""
			l.expect("forwarding is on because of us", others)

			nettest.Run(t, "ip link set doc down", "ip link set doc name docker1", "ip link set docker1 up",
				"ip address replace "+addr("host.doc").String()+"/64 dev docker1 nodad")
			// A datagram is repeated until the route is back, a connection is given up.
			l.expect("Docker filters datagrams that enter its networks", map[probe]string{"lan1 doc1 80/udp": "doc1 sees lan1"})
			l.expect("Docker filters what enters its networks", map[probe]string{"lan1 doc1 80/tcp": "doc1 sees lan1"})
		})
	}
}

// TestHostICMPOnly keeps containers from the host's services.
//
// Shows RFC 4890 4.4.1 (host).
func TestHostICMPOnly(t *testing.T) {
	l := newLab(t, false)
	l.serve("lan1", 80)
	// 8080 is where our relay would listen, 9090 has it at one address only.
	l.serve("host", 22, 8080, 9090)
	p := policy()
	p.Networks[1].HostICMPOnly = true
	l.apply(p, publish(endpoint("nd1")), endpoint("nb1"))
	l.expect("icmp only", map[probe]string{
		"nb1 host.nb 22/tcp": "", "nb1 host.lan 22/udp": "", "nb1 host.nb/4 22/tcp": "", "nb1 host.nb 9090/tcp": "",
		"nb1 host.nb 8080/tcp": "host sees nb1", "nb1 host.lan/4 8080/tcp": "host sees nb1/4",
		"nb1 host.lan 9090/tcp": "host sees nb1", "nb1 host.lan/4 9090/tcp": "host sees nb1/4",
		"nb1 lan1 80/tcp": "lan1 sees nb1", "lan1 host.lan 22/tcp": "host sees lan1",
		"nd1 host.nd 22/tcp": "host sees nd1", "nd1 host.nd 8080/tcp": "host sees nd1",
	})
	translated := behindPrefixes(1)
	translated.Networks[1].HostICMPOnly = true
	l.apply(translated, endpoint("nb1"))
	l.expect("icmp only, by way of the prefix outside", map[probe]string{
		"nb1 host.nb@1 22/tcp": "", "lan1 host.nb@1 22/tcp": "host sees lan1", "nb1 lan1 80/tcp": "lan1 sees nb1@1",
	})
	if l.counters()["host"] == 0 {
		t.Error("counter host counted nothing")
	}
	if diff := cmp.Diff([]int{1, 2, 128}, l.pass("nb1", "host.nb", []int{1, 2, 100, 128, 129})); diff != "" {
		t.Errorf("ICMPv6 to the host:\n%s", diff)
	}
}

// TestHairpin is about DNAT that is not ours, from a container to one on the
// same bridge.
func TestHairpin(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(bridgeNF(on), func(t *testing.T) {
			l := newLab(t, on)
			l.serve("nd2", 80)
			l.serve("host", 8080)
			l.apply(policy(), publish(endpoint("nd1")), endpoint("nd2"))
			nettest.Run(t, "nft add table inet other",
				"nft add chain inet other pre { type nat hook prerouting priority -110 ; }",
				"nft add rule inet other pre tcp dport 7000 dnat ip6 to ["+addr("nd2").String()+"]:80",
				"nft add rule inet other pre tcp dport 7000 dnat ip to "+addr("nd2/4").String()+":80")
			l.expect("by somebody's DNAT", map[probe]string{
				"nd1 host.lan/4 7000/tcp": "nd2 sees host.nd/4",
				"nd1 host.nd 7000/tcp":    "nd2 sees host.nd",
				// Ours leaves containers to the relay.
				"nd2 host.nd 8080/tcp": "host sees nd2", "nd1 host.lan 8080/tcp": "host sees nd1",
			})
		})
	}
}

// talk writes a line on a connection and reports whether it comes back.
func talk(conn net.Conn, line string, patience time.Duration) bool {
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return false
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err := io.ReadFull(conn, make([]byte, len(line)+1))
	return err == nil
}

// TestEstablished is about flows that were there before the rules changed.
//
// Shows RFC 6092 REC-31 (established).
func TestEstablished(t *testing.T) {
	l := newLab(t, false)
	l.serve("nd1", 80)
	l.serve("lan1", 80)
	l.apply(policy(), publish(endpoint("nd1")))
	connect := func(from, to string) net.Conn {
		var conn net.Conn
		l.enter(from, func() (err error) {
			file, err := streamTo(netip.AddrPortFrom(addr(to), 80))
			if err != nil {
				return err
			}
			defer file.Close()
			conn, err = net.FileConn(file)
			return err
		})
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetReadDeadline(time.Now().Add(generous))
		if _, err := conn.Read(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	in, out := connect("lan1", "nd1"), connect("nd1", "lan1")

	l.apply(policy(), endpoint("nd1"))
	if !talk(in, "no longer published", generous) || !talk(out, "still allowed", generous) {
		t.Error("an established flow was cut")
	}
	l.expect("new flows", map[probe]string{"lan1 nd1 80/tcp": "", "nd1 lan1 80/tcp": "lan1 sees nd1"})

	// No network of Docker becomes internal. Another may have its addresses
	// later: flows end with the endpoint that they are of.
	p := policy()
	p.Networks[0].Internal = true
	l.apply(p, endpoint("nd1"))
	l.forget("nd1")
	if talk(in, "internal", silence) || talk(out, "internal", silence) {
		t.Error("an established flow of an internal network goes on")
	}
}
