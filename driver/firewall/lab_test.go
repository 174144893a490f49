package firewall_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/nft"
)

// A segment is a bridge of the lab.
type segment struct {
	name, net6, net4 string
	own              bool // it is a network of ours
}

// segments are the lab's bridges. Each has the host as ::1 and .1, and behind
// it the hosts NAME1 and NAME2 as ::2 and ::3, .2 and .3.
var segments = []segment{
	{name: "lan", net6: "2001:db8:0:1::", net4: "192.0.2."}, // uplink
	{name: "wan", net6: "2001:db8:0:2::", net4: "198.51.100."},
	{name: "nd", net6: "2001:db8:0:a::", net4: "10.7.0.", own: true},
	{name: "nb", net6: "2001:db8:0:b::", net4: "10.8.0.", own: true},
	{name: "int", net6: "2001:db8:0:c::", net4: "10.9.0.", own: true}, // internal
	{name: "doc", net6: "2001:db8:0:d::", net4: "10.10.0."},           // of somebody else
}

// lab is a host, the test's own namespace, and the hosts behind its bridges.
// The nets of the lab know the way to 10.7.0.0/16 by way of the host.
type lab struct {
	tb    testing.TB
	paths map[string]string // of namespaces, by host; "host" is the test's own
	rules *nft.Conn
}

func newLab(tb testing.TB, passing bool) *lab {
	tb.Helper()
	nettest.Enter(tb)
	l := &lab{tb: tb, paths: make(map[string]string)}
	for i, s := range segments {
		nettest.Run(tb,
			"ip link add "+s.name+" type bridge mcast_snooping 0",
			"ip link set "+s.name+" up address "+fmt.Sprintf("02:00:00:00:%02x:01", i+1),
			"ip address add "+s.net6+"1/64 dev "+s.name+" nodad",
			"ip address add "+s.net4+"1/24 dev "+s.name)
		for j := 2; j <= 3; j++ {
			l.addHost(i, j)
		}
	}
	nettest.Run(tb, "sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv6.conf.all.forwarding=1")
	l.setBridgeNF(passing)
	var err error
	if l.rules, err = nft.Open(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := l.rules.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l
}

// setBridgeNF has bridged frames pass the host's firewall too, or not.
func (l *lab) setBridgeNF(on bool) {
	l.tb.Helper()
	value := "0"
	if on {
		value = "1"
	}
	nettest.Run(l.tb, "sysctl -qw net.bridge.bridge-nf-call-iptables="+value, "sysctl -qw net.bridge.bridge-nf-call-ip6tables="+value)
}

func portOf(host string) string { return "ndh-" + host }

func macOf(segment, host int) inet.MAC { return inet.MAC{2, 0, 0, 0, byte(segment + 1), byte(host)} }

func (l *lab) addHost(segment, number int) {
	l.tb.Helper()
	s := segments[segment]
	name := s.name + strconv.Itoa(number-1)
	l.paths[name] = nettest.Another(l.tb)
	port := "v" + name
	if s.own {
		port = portOf(name)
	}
	nettest.Run(l.tb,
		"ip link add "+port+" type veth peer name eth0 address "+macOf(segment, number).String()+" netns "+l.paths[name],
		"ip link set "+port+" master "+s.name+" up")
	l.run(name,
		"sysctl -qw net.ipv6.conf.all.accept_dad=0", "sysctl -qw net.ipv6.conf.eth0.accept_dad=0", "ip link set eth0 up",
		fmt.Sprintf("ip address add %s%d/64 dev eth0 nodad", s.net6, number),
		fmt.Sprintf("ip address add %s%d/24 dev eth0", s.net4, number),
		"ip -6 route add default via "+s.net6+"1", "ip route add default via "+s.net4+"1")
}

// run runs commands on a host.
func (l *lab) run(host string, lines ...string) {
	l.tb.Helper()
	nettest.RunIn(l.tb, l.paths[host], lines...)
}

// enter calls fn, which opens sockets, on a host.
func (l *lab) enter(host string, fn func() error) {
	l.tb.Helper()
	var err error
	if strings.HasPrefix(host, "host") {
		err = fn()
	} else {
		err = netns.Do(l.paths[host], fn)
	}
	if err != nil {
		l.tb.Fatalf("on %s: %v", host, err)
	}
}

// outside is the k-th prefix that a segment has outside, if its policy says so.
func outside(net6 string, k int) string {
	return strings.Replace(net6, "db8:0:", fmt.Sprintf("db8:%d:", k), 1)
}

// addr returns an address by its name: HOST or HOST/4, where host itself has
// one on each bridge, as in host.lan. HOST@K is the one in the k-th prefix outside.
func addr(name string) netip.Addr {
	if host, k, ok := strings.Cut(name, "@"); ok {
		return netip.MustParseAddr(outside(addr(host).String(), int(k[0]-'0')))
	}
	for _, s := range segments {
		for number, host := range []string{"", "host." + s.name, s.name + "1", s.name + "2"} {
			switch name {
			case host:
				return netip.MustParseAddr(s.net6 + strconv.Itoa(number))
			case host + "/4":
				return netip.MustParseAddr(s.net4 + strconv.Itoa(number))
			}
		}
	}
	panic("no host is called " + name)
}

// nameOf is the reverse of addr; "?" for what is not in the lab.
func nameOf(a netip.Addr) string {
	for _, s := range segments {
		for _, host := range []string{"host." + s.name, s.name + "1", s.name + "2"} {
			switch a {
			case addr(host):
				return host
			case addr(host + "/4"):
				return host + "/4"
			}
			for _, k := range []string{"@1", "@2", "@3"} {
				if a == addr(host+k) {
					return host + k
				}
			}
		}
	}
	return "?"
}

// endpoint returns a container of the lab that publishes nothing.
func endpoint(host string) firewall.Endpoint {
	e := firewall.Endpoint{Port: portOf(host), Bridge: host[:len(host)-1], Addrs: []netip.Addr{addr(host), addr(host + "/4")}}
	for i, s := range segments {
		if s.name == e.Bridge {
			e.MAC = macOf(i, int(host[len(host)-1]-'0')+1)
		}
	}
	return e
}

// policy is the lab's: dual-stack networks nd and nb, and int without a way out.
func policy() firewall.Policy {
	network := func(i int) firewall.Network {
		s := segments[i]
		return firewall.Network{
			Bridge:      s.name,
			Pools:       []netip.Prefix{netip.MustParsePrefix(s.net6 + "/64"), netip.MustParsePrefix(s.net4 + "0/24")},
			Masquerade4: netip.MustParsePrefix(s.net4 + "0/24"),
		}
	}
	p := firewall.Policy{Networks: []firewall.Network{network(2), network(3), network(4)}, Uplinks: []string{"lan"}}
	p.Networks[2].Internal = true
	return p
}

// apply makes the host's rules those of p and endpoints.
func (l *lab) apply(p firewall.Policy, endpoints ...firewall.Endpoint) {
	l.tb.Helper()
	r := firewall.Build(p)
	r.Groups = make(map[string]nft.Group)
	for _, e := range endpoints {
		r.Groups[e.Port] = firewall.Elements(e)
	}
	if _, err := l.rules.Ensure(r); err != nil {
		l.tb.Fatal(err)
	}
}

// counters returns the named counters that are not zero.
func (l *lab) counters() map[string]uint64 {
	l.tb.Helper()
	all, err := l.rules.Counters()
	if err != nil {
		l.tb.Fatal(err)
	}
	counts := make(map[string]uint64)
	for name, c := range all {
		if c.Packets != 0 {
			counts[name] = c.Packets
		}
	}
	return counts
}

// bridgeNF names the test with bridged frames passing the host's firewall, or
// the one without.
func bridgeNF(on bool) string { return fmt.Sprintf("bridge-nf-call=%t", on) }
