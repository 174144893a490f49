package firewall_test

import (
	"net/netip"
	"testing"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/nettest"
)

const (
	tcp = 6
	udp = 17
)

// any6 and any4 are all addresses of the host.
var any6, any4 = netip.IPv6Unspecified(), netip.IPv4Unspecified()

// publish publishes port 80 of a container as 8080 of the host, as Docker
// does, and its port 82 as 9090 of one address of the host.
func publish(e firewall.Endpoint) firewall.Endpoint {
	for _, proto := range []uint8{tcp, udp} {
		e.Published = append(e.Published,
			firewall.Published{Proto: proto, Port: 80, HostAddr: any6, HostPort: 8080, Direct: true},
			firewall.Published{Proto: proto, Port: 80, HostAddr: any4, HostPort: 8080, Direct: true},
			firewall.Published{Proto: proto, Port: 82, HostAddr: addr("host.lan"), HostPort: 9090},
			firewall.Published{Proto: proto, Port: 82, HostAddr: addr("host.lan/4"), HostPort: 9090},
			firewall.Published{Proto: proto, Port: 83, HostAddr: netip.IPv6Loopback(), HostPort: 9191},
		)
	}
	return e
}

// publishDirect publishes port 80 at the container's own addresses only.
func publishDirect(e firewall.Endpoint) firewall.Endpoint {
	e.Published = append(e.Published,
		firewall.Published{Proto: tcp, Port: 80, HostAddr: any6, Direct: true},
		firewall.Published{Proto: tcp, Port: 80, HostAddr: any4, Direct: true})
	return e
}

func open(e firewall.Endpoint) firewall.Endpoint {
	e.Open = true
	return e
}

// containers are the lab's: nd1 and nb1 publish, nd2 is open, others are closed.
func containers() []firewall.Endpoint {
	return []firewall.Endpoint{
		publish(endpoint("nd1")), open(endpoint("nd2")), endpoint("nb1"), endpoint("nb2"),
		publishDirect(endpoint("int1")), open(endpoint("int2")),
	}
}

// reachable is what the lab's policy lets through, and what not.
func reachable() map[probe]string {
	return map[probe]string{
		// What is published, from outside, another's bridge and another network.
		"lan1 nd1 80/tcp": "nd1 sees lan1", "lan1 nd1 80/udp": "nd1 sees lan1",
		"nb1 nd1 80/tcp": "nd1 sees nb1", "nb1 nd1/4 80/tcp": "nd1 sees nb1/4",
		"doc1 nd1 80/udp": "nd1 sees doc1",
		"host nd1 81/tcp": "nd1 sees host.nd", "host nd1/4 81/tcp": "nd1 sees host.nd/4",
		"lan1 nd2 81/tcp": "nd2 sees lan1", "nb1 nd2/4 81/udp": "nd2 sees nb1/4",
		// And what is not.
		"lan1 nd1 81/tcp": "", "lan1 nd1 81/udp": "", "lan1 nd1 81/udp from 53": "", "lan1 nd1 81/udp from 443": "",
		"lan1 nd1 82/tcp": "", "lan1 nd1 83/tcp": "",
		"doc1 nd1 81/tcp": "", "nb1 nd1 81/tcp": "", "nb1 nd1/4 81/udp": "", "nd1 nb1 80/tcp": "",
		// Behind NAT, whatever is published or open.
		"lan1 nd1/4 80/tcp": "", "lan1 nd2/4 81/udp": "", "doc1 nd1/4 80/tcp": "",
		// The host's ports, with the client's address.
		"lan1 host.lan 8080/tcp": "nd1 sees lan1", "lan1 host.lan 8080/udp": "nd1 sees lan1",
		"lan1 host.lan/4 8080/tcp": "nd1 sees lan1/4", "lan1 host.lan/4 8080/udp": "nd1 sees lan1/4",
		"wan1 host.wan 8080/tcp": "nd1 sees wan1", "lan1 host.nd 8080/tcp": "nd1 sees lan1",
		"lan1 host.lan 9090/tcp": "nd1 sees lan1", "lan1 host.lan/4 9090/udp": "nd1 sees lan1/4",
		"doc1 host.doc/4 8080/tcp": "nd1 sees doc1/4",
		"host host.lan 8080/tcp":   "nd1 sees host.lan", "host host.lan/4 8080/udp": "nd1 sees host.lan/4",
		"lan1 host.wan 9090/tcp": "", "lan1 host.wan/4 9090/udp": "", "lan1 host.lan 8081/tcp": "", "lan1 host.lan 9191/tcp": "",
		// Outward; IPv4 with the host's address.
		"nd1 lan1 80/tcp": "lan1 sees nd1", "nd1 lan1/4 80/tcp": "lan1 sees host.lan/4",
		"nd1 doc1 80/tcp": "doc1 sees nd1", "nb2 wan1/4 80/udp": "wan1 sees host.wan/4",
		// Inside networks.
		"nd1 nd2 81/tcp": "nd2 sees nd1", "nd2 nd1/4 81/udp": "nd1 sees nd2/4",
		"int1 int2 80/tcp": "int2 sees int1", "int1 int2/4 81/udp": "int2 sees int1/4",
		// Internal networks are closed, whatever is published or open.
		"int1 lan1 80/tcp": "", "int1 lan1/4 80/udp": "", "lan1 int1 80/tcp": "", "lan1 int2 80/udp": "",
		"int1 nd1 80/tcp": "", "nd1 int1 80/tcp": "", "nd1 int2/4 80/udp": "", "int1 doc1 80/udp": "", "doc1 int1 80/tcp": "",
		"lan1 int1/4 80/tcp": "",
	}
}

func (l *lab) serveAll() {
	l.tb.Helper()
	for _, host := range []string{"lan1", "wan1", "nd1", "nd2", "nb1", "int1", "int2", "doc1"} {
		l.serve(host, 80, 81, 82, 83)
	}
}

// Shows RFC 6092 REC-33 (inbound).
func TestPackets(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(bridgeNF(on), func(t *testing.T) {
			l := newLab(t, on)
			l.serveAll()
			l.apply(policy(), containers()...)
			l.expect("with rules", reachable())

			counts := l.counters()
			for _, name := range []string{"inbound", "hidden", "internal"} {
				if counts[name] == 0 {
					t.Errorf("counter %s counted nothing", name)
				}
			}

			l.apply(policy())
			l.expect("without endpoints", map[probe]string{
				"lan1 nd1 80/tcp": "", "lan1 nd2 81/tcp": "", "nd1 nd2 81/tcp": "", "nd1 lan1 80/tcp": "", "lan1 host.lan 8080/tcp": "",
			})
		})
	}
}

// likeDocker sets the host's firewall up as Docker has it, with a network on
// doc that publishes nothing.
func (l *lab) likeDocker() {
	l.tb.Helper()
	for _, tables := range []string{"iptables-nft", "ip6tables-nft"} {
		nettest.Run(l.tb, tables+" -F FORWARD", tables+" -P FORWARD DROP",
			tables+" -A FORWARD -o doc -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
			tables+" -A FORWARD -i doc ! -o doc -j ACCEPT")
	}
}

// mark has every packet come in with a mark, and drops those that are
// forwarded with another.
func (l *lab) mark(mark string) {
	l.tb.Helper()
	nettest.Run(l.tb, "nft add table inet probe",
		"nft add chain inet probe pre { type filter hook prerouting priority mangle ; }",
		"nft add rule inet probe pre meta mark set "+mark,
		"nft add chain inet probe post { type filter hook forward priority filter + 10 ; }",
		"nft add rule inet probe post meta mark != "+mark+" counter drop")
}

func TestBesideDocker(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(bridgeNF(on), func(t *testing.T) {
			l := newLab(t, on)
			l.serveAll()
			// Whoever forwards after us must find the marks that were there before.
			l.mark("0x00000123")
			l.likeDocker()
			l.expect("before", map[probe]string{"lan1 nd1 80/tcp": "", "nd1 lan1 80/tcp": "", "doc1 nd1 81/tcp": "nd1 sees doc1"})

			want := reachable()
			// Who owns another bridge decides, and Docker drops what it does not know.
			want["nd1 doc1 80/tcp"] = ""
			want["nb2 wan1/4 80/udp"] = ""
			want["lan1 doc1 80/tcp"] = ""
			want["wan1 lan1 80/tcp"] = "" // What is not ours is carried past nobody.
			want["doc1 lan1 80/tcp"] = "lan1 sees doc1"
			l.apply(policy(), containers()...)
			l.expect("with rules", want)

			p := policy()
			p.Uplinks = nil
			l.apply(p, containers()...)
			l.expect("uplink is a bridge like any other", map[probe]string{
				"nd1 lan1 80/tcp": "", "lan1 nd1 80/tcp": "nd1 sees lan1", "nd1 nd2 81/tcp": "nd2 sees nd1",
			})
		})
	}
}

// TestCarryBitOfOthers has a mark with our bit come in: it opens nothing of ours.
func TestCarryBitOfOthers(t *testing.T) {
	l := newLab(t, false)
	l.serveAll()
	l.likeDocker()
	nettest.Run(t, "nft add table inet probe",
		"nft add chain inet probe pre { type filter hook prerouting priority mangle ; }",
		"nft add rule inet probe pre meta mark set 0x10000000")
	l.apply(policy(), containers()...)
	l.expect("marked by others", map[probe]string{
		"lan1 nd1 80/tcp": "nd1 sees lan1", "lan1 nd1 81/tcp": "", "int1 lan1 80/tcp": "", "nb1 nd1 81/udp": "",
	})
}
