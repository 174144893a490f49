package firewall_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/nft"
)

// lab is a host, the test's own namespace, with four bridges and two hosts
// behind each:
//
//	lan   uplink             2001:db8:0:1::/64, 192.0.2.0/24
//	nd    ours               2001:db8:0:a::/64, 10.7.0.0/24
//	int   ours, internal     2001:db8:0:b::/64, 10.8.0.0/24
//	doc   of somebody else   2001:db8:0:d::/64, 10.9.0.0/24
//
// Behind the uplink nobody has a route to 10.0.0.0/8.
type lab struct {
	tb    testing.TB
	id    string
	heard sync.Map // paths on which something came
}

func newLab(tb testing.TB) *lab {
	tb.Helper()
	nettest.Enter(tb)
	l := &lab{tb: tb, id: fmt.Sprintf("ndp6fw%d", os.Getpid())}
	for bridge, nets := range map[string][2]string{
		"lan": {"2001:db8:0:1::", "192.0.2."},
		"nd":  {"2001:db8:0:a::", "10.7.0."},
		"int": {"2001:db8:0:b::", "10.8.0."},
		"doc": {"2001:db8:0:d::", "10.9.0."},
	} {
		nettest.Run(tb,
			"ip link add "+bridge+" type bridge mcast_snooping 0",
			"ip link set "+bridge+" up",
			"ip address add "+nets[0]+"1/64 dev "+bridge+" nodad",
			"ip address add "+nets[1]+"1/24 dev "+bridge)
		for i, host := range []string{bridge + "1", bridge + "2"} {
			l.addHost(host, bridge, fmt.Sprintf("%s%d/64", nets[0], i+2), fmt.Sprintf("%s%d/24", nets[1], i+2))
			nettest.Run(tb, l.in(host, "ip -6 route add default via "+nets[0]+"1"))
			if bridge != "lan" {
				nettest.Run(tb, l.in(host, "ip route add default via "+nets[1]+"1"))
			}
		}
	}
	nettest.Run(tb,
		"sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv6.conf.all.forwarding=1",
		"sysctl -qw net.bridge.bridge-nf-call-iptables=1", "sysctl -qw net.bridge.bridge-nf-call-ip6tables=1")
	return l
}

func (l *lab) addHost(host, bridge, addr6, addr4 string) {
	l.tb.Helper()
	name := l.id + host
	nettest.Run(l.tb, "ip netns add "+name)
	l.tb.Cleanup(func() { nettest.Run(l.tb, "ip netns delete "+name) })
	nettest.Run(l.tb,
		"ip link add v"+host+" type veth peer name eth0 netns "+name,
		"ip link set v"+host+" master "+bridge+" up",
		l.in(host, "ip link set lo up"), l.in(host, "ip link set eth0 up"),
		l.in(host, "ip address add "+addr6+" dev eth0 nodad"),
		l.in(host, "ip address add "+addr4+" dev eth0"))
}

// in returns the command that runs a command on a host.
func (l *lab) in(host, command string) string { return "ip netns exec " + l.id + host + " " + command }

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

// port is where hosts answer.
const port = 7777

// addresses are where hosts answer, which paths name.
var addresses = map[string]netip.Addr{
	"lan1": netip.MustParseAddr("2001:db8:0:1::2"), "nd1": netip.MustParseAddr("2001:db8:0:a::2"), "nd2": netip.MustParseAddr("2001:db8:0:a::3"),
	"int1": netip.MustParseAddr("2001:db8:0:b::2"), "int2": netip.MustParseAddr("2001:db8:0:b::3"), "doc1": netip.MustParseAddr("2001:db8:0:d::2"),
	"lan1/4": netip.MustParseAddr("192.0.2.2"), "nd1/4": netip.MustParseAddr("10.7.0.2"), "nd2/4": netip.MustParseAddr("10.7.0.3"),
	"int1/4": netip.MustParseAddr("10.8.0.2"), "int2/4": netip.MustParseAddr("10.8.0.3"), "doc1/4": netip.MustParseAddr("10.9.0.2"),
}

// paths are from where to where a test sends packets: all that matter.
var paths = []string{
	"lan1 nd1", "nd1 lan1", "nd1 lan1/4", "nd1 nd2", "nd1 nd2/4",
	"nd1 doc1", "nd1 doc1/4", "doc1 nd1", "doc1 nd1/4",
	"int1 int2", "int1 int2/4", "int1 lan1", "int1 lan1/4", "lan1 int1",
	"int1 nd1", "nd1 int1", "nd1 int1/4", "doc1 int1", "int1 doc1",
}

// listen has the hosts of addresses answer.
func (l *lab) listen() {
	l.tb.Helper()
	for to, addr := range addresses {
		host, _, _ := strings.Cut(to, "/")
		var conn *net.UDPConn
		l.enter(host, func() (err error) {
			conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
			return err
		})
		var answers sync.WaitGroup
		answers.Go(func() {
			buf := make([]byte, 32)
			for {
				n, from, err := conn.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				l.heard.Store(string(buf[:n]), true)
				if _, err := conn.WriteToUDPAddrPort(buf[:n], from); err != nil {
					return
				}
			}
		})
		l.tb.Cleanup(func() {
			conn.Close()
			answers.Wait()
		})
	}
}

// enter calls fn, which opens sockets, on a host.
func (l *lab) enter(host string, fn func() error) {
	l.tb.Helper()
	if err := netns.Do("/run/netns/"+l.id+host, fn); err != nil {
		l.tb.Fatal(err)
	}
}

// reachable returns the paths on which an answer comes, and those on which
// only the question arrives as "one way". It asks repeatedly:
// neighbors that were unreachable a moment ago take a second to be tried anew.
func (l *lab) reachable() string {
	l.tb.Helper()
	l.heard.Clear()
	answered := make([]bool, len(paths))
	var probes sync.WaitGroup
	for i, path := range paths {
		from, to, _ := strings.Cut(path, " ")
		var conn *net.UDPConn
		l.enter(from, func() (err error) {
			conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addresses[to], port)))
			return err
		})
		probes.Go(func() {
			defer conn.Close()
			answered[i] = answers(conn, path)
		})
	}
	probes.Wait()
	var open []string
	for i, path := range paths {
		if _, heard := l.heard.Load(path); answered[i] {
			open = append(open, path)
		} else if heard {
			open = append(open, path+" one way")
		}
	}
	return strings.Join(open, "\n")
}

func answers(conn *net.UDPConn, question string) bool {
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		if _, err := conn.Write([]byte(question)); err != nil {
			return false
		}
		if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			return false
		}
		if _, err := conn.Read(make([]byte, 32)); err == nil {
			return true
		}
	}
	return false
}

func lines(s ...string) string { return strings.Join(s, "\n") }

func TestPackets(t *testing.T) {
	l := newLab(t)
	l.listen()
	c, err := nft.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	policy := firewall.Policy{
		Networks: []firewall.Network{
			{Bridge: "nd", Masquerade4: netip.MustParsePrefix("10.7.0.0/24")},
			{Bridge: "int", Masquerade4: netip.MustParsePrefix("10.8.0.0/24"), Internal: true},
		},
		Uplinks: []string{"lan"},
	}
	ensure := func() {
		t.Helper()
		if _, err := c.Ensure(firewall.Build(policy)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(when, want string) {
		t.Helper()
		if diff := cmp.Diff(want, l.reachable()); diff != "" {
			t.Errorf("%s:\n%s", when, diff)
		}
	}
	all := lines("lan1 nd1", "nd1 lan1", "nd1 lan1/4", "nd1 nd2", "nd1 nd2/4",
		"doc1 nd1", "doc1 nd1/4", "int1 int2", "int1 int2/4")

	// Whoever forwards after us must find the marks that were there before.
	nettest.Run(t, "nft add table inet probe",
		"nft add chain inet probe pre { type filter hook prerouting priority raw ; }",
		"nft add rule inet probe pre meta mark set 0x00000123",
		"nft add chain inet probe post { type filter hook forward priority filter + 10 ; }",
		"nft add rule inet probe post meta mark != 0x00000123 drop")
	l.likeDocker()
	// Docker lets its own containers go anywhere.
	expect("before", lines("doc1 nd1", "doc1 nd1/4", "doc1 int1"))
	ensure()
	expect("with rules", all)

	l.likeDocker()
	expect("Docker restarted", lines("doc1 nd1", "doc1 nd1/4"))
	ensure()
	expect("repaired", all)

	policy.Uplinks = nil
	ensure()
	expect("uplink is a bridge like any other", lines("lan1 nd1", "nd1 nd2", "nd1 nd2/4",
		"doc1 nd1", "doc1 nd1/4", "int1 int2", "int1 int2/4"))

	if err := c.Remove(); err != nil {
		t.Fatal(err)
	}
	expect("removed", lines("doc1 nd1", "doc1 nd1/4", "doc1 int1"))
}
