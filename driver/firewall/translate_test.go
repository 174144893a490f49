package firewall_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// behindHost is the lab's policy with nd behind the host's address and nb
// behind one that is not that of the link.
func behindHost() firewall.Policy {
	p := policy()
	p.Networks[0].NAT6 = true
	p.Networks[1].NAT6, p.Networks[1].Source6 = true, addr("host.doc")
	return p
}

// behindPrefixes is the lab's policy with nd and nb known outside under their
// k-th prefixes, of which the first is that of new flows.
func behindPrefixes(ks ...int) firewall.Policy {
	p := policy()
	for i := range p.Networks[:2] {
		n := &p.Networks[i]
		n.NAT6 = true
		for _, k := range ks {
			n.Translations = append(n.Translations, firewall.Translation{
				Inside:  n.Pools[0],
				Outside: netip.MustParsePrefix(outside(n.Pools[0].String(), k)),
			})
		}
	}
	return p
}

// hosts publishes port 80 of a container as port of the host in both
// families, and its port 82 as one of one address.
func hosts(e firewall.Endpoint, port uint16) firewall.Endpoint {
	for _, proto := range []uint8{tcp, udp} {
		e.Published = append(e.Published,
			firewall.Published{Proto: proto, Port: 80, HostAddr: any6, HostPort: port},
			firewall.Published{Proto: proto, Port: 80, HostAddr: any4, HostPort: port},
			firewall.Published{Proto: proto, Port: 82, HostAddr: addr("host.lan"), HostPort: port + 1000},
		)
	}
	return e
}

// translating is a lab of which the host is a plain one, or has Docker, and
// bridged frames pass its firewall.
func translating(t *testing.T, docker bool) *lab {
	t.Helper()
	l := newLab(t, docker)
	l.serveAll()
	if docker {
		l.likeDocker()
	}
	return l
}

func TestNAT6(t *testing.T) {
	for _, docker := range []bool{false, true} {
		t.Run(fmt.Sprintf("docker=%t", docker), func(t *testing.T) {
			l := translating(t, docker)
			l.apply(behindHost(), hosts(endpoint("nd1"), 8080), open(endpoint("nd2")), hosts(endpoint("nb1"), 8081))
			want := map[probe]string{
				// The host's ports, with the client's address.
				"lan1 host.lan 8080/tcp": "nd1 sees lan1", "lan1 host.lan 8080/udp": "nd1 sees lan1",
				"lan1 host.lan/4 8080/tcp": "nd1 sees lan1/4",
				"wan1 host.wan 8080/tcp":   "nd1 sees wan1", "doc1 host.doc 8080/udp": "nd1 sees doc1",
				"lan1 host.lan 8081/tcp": "nb1 sees lan1", "lan1 host.lan 9080/tcp": "nd1 sees lan1",
				"host host.lan 8080/tcp": "nd1 sees host.lan", "host nd1 81/tcp": "nd1 sees host.nd",
				"lan1 host.wan 9080/tcp": "", "lan1 host.lan 8082/tcp": "",
				// Nobody outside knows the containers, whatever is published or open.
				"lan1 nd1 80/tcp": "", "lan1 nd1 80/udp": "", "doc1 nd1 80/tcp": "", "wan1 nd2 81/udp": "", "lan1 nb1 80/tcp": "",
				// Outward, with an address of the host.
				"nd1 lan1 80/tcp": "lan1 sees host.lan", "nd1 lan1 80/udp": "lan1 sees host.lan", "nd1 lan1/4 80/tcp": "lan1 sees host.lan/4",
				"nb1 lan1 80/tcp": "lan1 sees host.doc", "nb1 lan1 80/udp": "lan1 sees host.doc",
				// Inside and between networks, with their own.
				"nd1 nd2 81/tcp": "nd2 sees nd1", "nb1 nd2 81/tcp": "nd2 sees nb1", "nb1 nd1 80/tcp": "", "nb1 nd1 81/udp": "",
				"int1 lan1 80/tcp": "", "lan1 int1 80/tcp": "",
			}
			if !docker {
				want["nd1 wan1 80/tcp"] = "wan1 sees host.wan"
				want["nb1 wan1 80/tcp"] = "wan1 sees host.doc"
			}
			l.expect("behind the host's address", want)
		})
	}
}

// Shows RFC 6296 2.1 (one to one).
// Shows RFC 6296 4.3 (hairpin).
func TestTranslations(t *testing.T) {
	for _, docker := range []bool{false, true} {
		t.Run(fmt.Sprintf("docker=%t", docker), func(t *testing.T) {
			l := translating(t, docker)
			nettest.Run(t, "ip -6 route add 2001:db8::/36 dev lan") // The uplink's, as far as the host knows.
			if docker {
				// With bridge-nf-call, what a container sends to itself is bridged.
				nettest.Run(t, "bridge link set dev "+portOf("nd1")+" hairpin on")
			}
			p := behindPrefixes(1, 2)
			p.Networks[1].Isolated = true
			l.apply(p, publish(endpoint("nd1")), open(endpoint("nd2")), publishDirect(endpoint("nb1")), endpoint("nb2"))
			want := map[probe]string{
				// What is published is at every prefix outside.
				"lan1 nd1@1 80/tcp": "nd1 sees lan1", "lan1 nd1@1 80/udp": "nd1 sees lan1", "lan1 nd1@2 80/tcp": "nd1 sees lan1",
				"doc1 nd1@1 80/tcp": "nd1 sees doc1", "lan1 nd2@2 81/udp": "nd2 sees lan1", "lan1 nb1@1 80/tcp": "nb1 sees lan1",
				"lan1 host.lan 8080/tcp": "nd1 sees lan1", "lan1 host.lan 9090/tcp": "nd1 sees lan1",
				"host nd1@1 81/tcp": "nd1 sees host.lan", "host nb1@2 81/udp": "nb1 sees host.lan",
				// What is not published, or at one address of the host only, is not.
				"lan1 nd1@1 81/tcp": "", "lan1 nd1@2 81/udp": "", "lan1 nd1@1 82/tcp": "", "lan1 nd1@1 82/udp": "",
				"lan1 nd1@3 80/tcp": "", "doc1 nb1@1 81/tcp": "", "lan1 nb2@1 80/tcp": "",
				// Nobody outside knows the containers' own addresses.
				"lan1 nd1 80/tcp": "", "doc1 nd2 81/udp": "",
				// Outward.
				"nd1 lan1 80/tcp": "lan1 sees nd1@1", "nd1 lan1 80/udp": "lan1 sees nd1@1", "nb2 lan1 80/tcp": "lan1 sees nb2@1",
				// Between containers, by their own addresses and by way of the others.
				"nd2 nd1 81/tcp": "nd1 sees nd2", "nb1 nd1 80/tcp": "nd1 sees nb1", "nb1 nd1 81/tcp": "",
				"nd2 nd1@1 81/tcp": "nd1 sees nd2@1", "nd2 nd1@2 81/udp": "nd1 sees nd2@1", "nd1 nd1@1 81/tcp": "nd1 sees nd1@1",
				"nb1 nd1@1 80/tcp": "nd1 sees nb1@1", "nb1 nd1@2 81/tcp": "", "nd1 nb1@1 80/tcp": "nb1 sees nd1@1",
				"nb2 nb1@1 80/tcp": "", "int1 nd1@1 80/tcp": "",
			}
			if !docker {
				want["nd1 wan1 80/tcp"] = "wan1 sees nd1@1"
			}
			l.expect("behind prefixes", want)

			p.Networks[0].Translations = nil
			l.apply(p, publish(endpoint("nd1")), endpoint("nb1"))
			want = map[probe]string{"lan1 nd1@1 80/tcp": "", "nd1 lan1 80/tcp": "lan1 sees host.lan", "lan1 nd1 80/tcp": ""}
			maps.Copy(want, map[probe]string{"nb1 lan1 80/tcp": "lan1 sees nb1@1", "lan1 host.lan 8080/tcp": "nd1 sees lan1"})
			l.expect("while the uplink has no prefix", want)
		})
	}
}

// TestTranslatedErrors: an error about a translated packet names in its inside
// the address that the sender has, or the sender's kernel would not know it.
//
// Shows RFC 6092 REC-18 (errors of flows).
func TestTranslatedErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		policy   firewall.Policy
		from, to string
	}{
		"nat, about what a container sent":   {behindHost(), "nd1", "lan1"},
		"nptv6, about what a container sent": {behindPrefixes(1), "nd1", "lan1"},
		"nptv6, about what it was sent":      {behindPrefixes(1), "lan1", "nd1@1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, false)
			l.apply(tt.policy, publish(endpoint("nd1")))
			deadline(t, "the sender hears that nobody listens", func() bool {
				return errors.Is(l.knock(tt.from, netip.AddrPortFrom(addr(tt.to), 80)), unix.ECONNREFUSED)
			})
		})
	}
}
