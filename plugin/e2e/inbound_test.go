package e2e_test

import (
	"bufio"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// portSweep knocks at all ports of containers from outside. Each serves seven.
func portSweep(b *bed) {
	b.network("n", "--subnet", pool)
	b.network("m", "--subnet", "2001:db8:1:0:b::/80", "-o", "ndp6.inbound=open")
	p := b.newPlaces()
	ports := []string{"1/tcp", "22/tcp", "80/tcp", "443/tcp", "8080/tcp", "32768/tcp", "65535/tcp"}
	all := []uint16{1, 22, 80, 443, 8080, 32768, 65535}
	p.start("c1", "n", ports, "-p", "8080:80", "-p", "8081:65535")
	p.start("closed", "n", ports)
	p.start("open", "m", ports)
	p.start("in-open", "m", ports, "-p", "8082:80")
	b.network("fast", strings.Fields("--subnet 2001:db8:1:0:c::/80 "+fastPathOptions)...)
	p.start("fast", "fast", ports, "-p", "8083:443")
	for _, tt := range []struct {
		name string
		addr netip.Addr
		want []uint16
		open bool
	}{
		{"two published", p.addrs["c1"], []uint16{80, 65535}, false},
		{"none published", p.addrs["closed"], nil, false},
		{"one published, in front of the kernel", p.addrs["fast"], []uint16{443}, false},
		{"open network", p.addrs["open"], all, true},
	} {
		got, err := b.Outside.Scan(b.ctx(), tt.addr, 2)
		b.ok(err)
		if diff := cmp.Diff(tt.want, got.Open); diff != "" {
			b.Errorf("%s: ports that answer (-want +got):\n%s", tt.name, diff)
		}
		if refused := 65535 - len(all); tt.open && len(got.Refused) != refused {
			b.Errorf("%s: %d ports are refused, want the %d that nobody serves", tt.name, len(got.Refused), refused)
		}
		if !tt.open && len(got.Refused)+got.Rejected > 0 {
			b.Errorf("%s: %d ports are refused, the first of them %v, and %d ICMP errors came; want silence",
				tt.name, len(got.Refused), got.Refused[:min(3, len(got.Refused))], got.Rejected)
		}
	}
	p.want("published on an open network", "outside in-open:81 refused\noutside in-open:443 open\noutside host:8082 open\noutside host.4:8082 open")
	p.want("udp", "outside c1:53/udp silent\noutside open:53/udp refused")

	// IPv4 is behind NAT: a neighbor that routes the private pool to the host gets nothing.
	route := " " + p.addrs["c1.4"].String() + "/32 via " + p.addrs["host.4"].String() + " dev eth0"
	b.ok(b.neighbor.IP(b.ctx(), "route add"+route))
	defer func() { b.ok(b.neighbor.IP(b.ctx(), "route del"+route)) }()
	got, err := b.neighbor.Scan(b.ctx(), p.addrs["c1.4"], 1)
	b.ok(err)
	if len(got.Open)+len(got.Refused) > 0 {
		b.Errorf("IPv4, around the NAT: ports %v answer, %d are refused; want silence", got.Open, len(got.Refused))
	}
}

// inboundOption opens networks and single containers.
func inboundOption(b *bed) {
	b.network("n", "--subnet", pool)
	b.network("m", "--subnet", "2001:db8:1:0:b::/80", "-o", "ndp6.inbound=open")
	b.refused([]string{"ndp6.inbound", "shut", "published", "open"},
		"network", "create", "-d", "ndp6", "--ipam-driver", "ndp6", "--ipv6", "-o", "ndp6.inbound=shut", "bad")
	p := b.newPlaces()
	p.start("c1", "n", served)
	p.start("open", "m", served)
	sleeper := func(name, network string) {
		b.Helper()
		b.docker("run", "-d", "--stop-signal", "KILL", "--name", name, "--network", network, lab.Image, "sleep", "1h")
	}
	sleeper("opened", "name=n,driver-opt=ndp6.inbound=open")
	p.settle("opened", "n", served...)
	sleeper("shut", "name=m,driver-opt=ndp6.inbound=published")
	p.settle("shut", "m", served...)
	p.want("by network and by container", `
		outside c1:81 silent
		outside open:81 open
		outside opened:81 open
		outside opened:82 refused
		outside opened:54/udp open
		outside shut:81 silent
		open c1:81 silent
		c1 open:81 open
	`)
	b.docker("network", "connect", "--driver-opt", "ndp6.inbound=open", "n", "shut")
	p.settle("shut", "n")
	p.want("connected with the option", "neighbor shut:81 open\noutside shut:81 open")
	b.docker("network", "disconnect", "n", "shut")
	b.docker("network", "connect", "n", "shut")
	p.settle("shut", "n")
	p.want("connected without", "outside shut:81 silent")
	b.docker("network", "disconnect", "n", "shut")
	for _, option := range []string{"ndp6.inbound=ajar", "ndp6.inbund=open"} {
		b.refused([]string{strings.TrimSuffix(option, "=open")[:11], "ndp6.inbound"}, "network", "connect", "--driver-opt", option, "n", "shut")
	}
}

// staleFlow removes a container under open connections. Who has its address
// next must see nothing of them.
func staleFlow(b *bed) {
	b.network("n", "--subnet", pool, "--subnet", "10.77.0.0/24", "-o", "ndp6.dad=off")
	same := []string{"--mac-address", "02:42:aa:bb:cc:21", "--ip", "10.77.0.21"}
	p := b.newPlaces()
	c := p.start("c1", "n", nil, append(same, "-p", "8080:80")...)
	b.docker("exec", "-d", "c1", "nc", "-ll", "-p", "80", "-e", "cat") // It goes with the container.
	seen, err := p.nodes["c1"].Tap("eth0", lab.IsTCPTo(80))
	b.ok(err)
	var flows []net.Conn
	for _, to := range []string{c.addr.String() + "]:80", b.host.Addr() + "]:8080"} {
		flows = append(flows, b.echoed(b.Outside, netip.MustParseAddrPort("["+to)))
	}
	flows = append(flows, b.echoed(b.Outside, netip.AddrPortFrom(p.addrs["host.4"], 8080)))
	if seen.Seen() == 0 {
		b.Error("the container saw nothing of its connections")
	}
	b.ok(seen.Close())
	b.docker("rm", "-f", "c1")

	again := p.start("c1", "n", served, same...)
	if again.addr != c.addr || again.addr4 != c.addr4 {
		b.Fatalf("the second container has %s and %s, want %s and %s again", again.addr, again.addr4, c.addr, c.addr4)
	}
	seen, err = p.nodes["c1"].Tap("eth0", lab.IsTCPTo(80))
	b.ok(err)
	for range 10 {
		for _, f := range flows {
			_, _ = f.Write([]byte("still there?\n")) // The host may reset it.
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n := seen.Seen(); n > 0 {
		b.Errorf("the next container with the address saw %d segments of old connections", n)
	}
	b.ok(seen.Close())
	p.want("next container with the address", "outside c1:80 silent\noutside host:8080 refused\noutside host.4:8080 refused")
}

// echoed opens a connection to an echo server and sends a line to and fro. It
// closes at the end of the scenario.
func (b *bed) echoed(from *lab.Node, to netip.AddrPort) net.Conn {
	b.Helper()
	var conn net.Conn
	b.eventually(func() (err error) {
		conn, err = from.Dial(b.ctx(), "tcp", to, 2*time.Second)
		return err
	})
	b.closers = append(b.closers, conn)
	b.ok(conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err := conn.Write([]byte("hello\n"))
	b.ok(err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || line != "hello\n" {
		b.Fatalf("echo from %s: %q, %v", to, line, err)
	}
	return conn
}

// loopbackFromWire sends a neighbor's packets to the host's loopback addresses,
// where ports are published.
func loopbackFromWire(b *bed) {
	b.network("n", "--subnet", pool)
	p := b.newPlaces()
	p.start("c1", "n", served, "-p", "[::1]:8080:80", "-p", "127.0.0.1:8080:80")
	p.want("from the host", "host loopback:8080 served\nhost loopback.4:8080 served")
	// The connections of before may still be closing.
	inside, err := p.nodes["c1"].Tap("eth0", lab.IsSYNTo(80))
	b.ok(err)
	answers, err := b.neighbor.Tap("eth0", lab.IsTCPTo(1234))
	b.ok(err)
	host, err := inet.ParseMAC(lab.MAC(hostNumber))
	b.ok(err)
	neighbor, err := inet.ParseMAC(lab.MAC(neighborNumber))
	b.ok(err)
	for _, name := range []string{"loopback", "loopback.4"} {
		src := p.addrs[strings.Replace(name, "loopback", "neighbor", 1)]
		b.ok(answers.Send(lab.SYNFrame(neighbor, host, netip.AddrPortFrom(src, 1234), netip.AddrPortFrom(p.addrs[name], 8080))))
	}
	// The same way, and allowed.
	p.want("meanwhile", "neighbor host:8080 refused\nneighbor host.4:8080 refused")
	if inside.Seen()+answers.Seen() > 0 {
		b.Errorf("%d packets reached the container, %d came back", inside.Seen(), answers.Seen())
	}
	b.ok(inside.Close())
	b.ok(answers.Close())
}
