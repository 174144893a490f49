package reconcile_test

import (
	"net"
	"testing"
	"time"

	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/driver/reconcile"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// A responder is what answers solicitations on uplinks.
type responder struct {
	name   string
	choose func(*reconcile.HostConfig)
}

// responders are all there are. What is tried on links is tried with each.
func responders() []responder {
	return []responder{{"kernel", func(*reconcile.HostConfig) {}}, {"bpf", withProgram}}
}

// withProgram has a program answer in front of the kernel, from addresses that
// fit who asks as the kernel's answers do.
func withProgram(c *reconcile.HostConfig) { c.Answering = plan.AnswerBPF }

// A segment is a kind of link between the host and the router: commands that
// run where eth0, a veth whose other end leads to the router, is down.
type segment struct {
	name   string
	uplink string // of the host
	host   []string
	// switched puts a switch between them that sends multicast only to those
	// who asked for it.
	switched bool
}

func segments() []segment {
	return []segment{
		{name: "cable", uplink: "eth0"},
		{name: "snooping switch", uplink: "eth0", switched: true},
		{name: "bridge as uplink", uplink: "br0", host: []string{
			"ip link add br0 type bridge", "ip link set br0 addrgenmode none up", "ip link set eth0 master br0 addrgenmode none up",
		}},
		{name: "macvlan as uplink", uplink: "mv0", host: []string{
			"ip link set eth0 addrgenmode none up", "ip link add mv0 link eth0 type macvlan mode bridge", "ip link set mv0 addrgenmode none up",
		}},
		{name: "macvlan as uplink, behind a snooping switch", uplink: "mv0", switched: true, host: []string{
			"ip link set eth0 addrgenmode none up", "ip link add mv0 link eth0 type macvlan mode bridge", "ip link set mv0 addrgenmode none up",
		}},
	}
}

// A linked host is one that serves a container on a segment.
type linked struct {
	*node
	*wire
	segment
	t *testing.T // of the link
	// router and lan are the paths of namespaces: the router's, whose link is
	// lan0, and the switch's, empty where there is none.
	router, lan string
}

// link makes a host with a container on a segment, with a kind of responder.
func link(t *testing.T, s segment, r responder) *linked {
	t.Helper()
	nettest.Enter(t)
	alive.test = nil // the tables of another namespace are others
	l := &linked{t: t, segment: s, router: nettest.Another(t)}
	if s.switched {
		l.lan = nettest.Another(t)
		nettest.RunIn(t, l.lan,
			// For as long as the answers to its first query may take, a switch that
			// is the querier sends everything everywhere: it begins when it is made that.
			"ip link add lan type bridge mcast_snooping 1 mcast_query_response_interval 10 mcast_startup_query_interval 10",
			"ip link set lan type bridge mcast_querier 1",
			"sysctl -qw net.ipv6.conf.lan.accept_dad=0", "ip link set lan up")
		nettest.Run(t, "ip link add eth0 type veth peer name host netns "+l.lan)
		nettest.RunIn(t, l.router, "ip link add lan0 address "+routerMAC.String()+" type veth peer name router netns "+l.lan)
		nettest.RunIn(t, l.lan, "ip link set host master lan addrgenmode none up", "ip link set router master lan addrgenmode none up")
	} else {
		nettest.Run(t, "ip link add eth0 type veth peer name lan0 address "+routerMAC.String()+" netns "+l.router)
	}
	nettest.RunIn(t, l.router, "sysctl -qw net.ipv6.conf.all.forwarding=1", "ip link set lan0 addrgenmode none up",
		"ip addr add fe80::9/64 dev lan0 nodad", "ip addr add 2001:db8::9/64 dev lan0 nodad")
	if s.host == nil {
		nettest.Run(t, "ip link set eth0 addrgenmode none up")
	}
	nettest.Run(t, s.host...)
	nettest.Run(t, "ip addr add fe80::5/64 dev "+s.uplink+" nodad", "ip addr add 2001:db8::5/64 dev "+s.uplink+" nodad",
		"ip -6 route add default via fe80::9 dev "+s.uplink+" proto ra")
	awaitAll(t, map[string]string{"ip link show dev " + s.uplink: ",LOWER_UP", "nsenter --net=" + l.router + " ip link show dev lan0": ",LOWER_UP"})
	l.wire = openWire(t, l.router, "lan0")
	l.node = newNode(t, memory{}, r.choose)
	l.networks = []plan.Network{web}
	l.pass(t)
	l.sync(t, box(0))
	return l
}

// uplinkMAC is the uplink's address now.
func (l *linked) uplinkMAC(t *testing.T) inet.MAC {
	t.Helper()
	ifi, err := net.InterfaceByName(l.uplink)
	if err != nil {
		t.Fatal(err)
	}
	return inet.MAC(ifi.HardwareAddr)
}

// settled waits until the host is heard, and until a switch has begun to send
// multicast only where it was asked for.
func (l *linked) settled(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		l.ask(multicast(routerLLA, box(0).Addrs[0], sourceOption()))
		if _, ok := l.hear(100 * time.Millisecond); ok {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nobody answers")
		}
	}
	for end := time.Now().Add(patience); l.switched && l.floods(t, box(0).Addrs[0]); {
		if time.Now().After(end) {
			t.Fatal("the switch sends everything everywhere")
		}
	}
	// An answer that was late is none to the next question.
	for ok := true; ok; {
		_, ok = l.hear(50 * time.Millisecond)
	}
}

// everyLink tries something on each segment with each responder.
func everyLink(t *testing.T, try func(*linked)) {
	t.Helper()
	for _, s := range segments() {
		for _, r := range responders() {
			t.Run(s.name+"/"+r.name, func(t *testing.T) {
				l := link(t, s, r)
				l.settled(t)
				try(l)
			})
		}
	}
}
