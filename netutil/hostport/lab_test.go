package hostport_test

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/hostport"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// wait is the deadline of what takes milliseconds on an idle machine.
const wait = 20 * time.Second

// A lab is a host with two addresses of each family on a link to a container.
type lab struct {
	host      *hostport.Host
	container string // path of its namespace
	port4     netip.AddrPort
	port6     netip.AddrPort
}

var (
	host4   = netip.MustParseAddr("192.0.2.1")
	second4 = netip.MustParseAddr("192.0.2.2")
	host6   = netip.MustParseAddr("2001:db8::1")
	second6 = netip.MustParseAddr("2001:db8::2")
	loop4   = netip.MustParseAddr("127.0.0.1")
	loop6   = netip.IPv6Loopback()
	any4    = netip.IPv4Unspecified()
	any6    = netip.IPv6Unspecified()
)

func newLab(tb testing.TB, l hostport.Limits) *lab {
	tb.Helper()
	nettest.Enter(tb)
	b := &lab{
		container: nettest.Another(tb),
		port4:     netip.MustParseAddrPort("192.0.2.10:80"),
		port6:     netip.MustParseAddrPort("[2001:db8::a]:80"),
	}
	nettest.Run(tb,
		"ip link add veth0 type veth peer name eth0 netns "+b.container,
		"ip link set veth0 up",
		"ip addr add 192.0.2.1/24 dev veth0",
		"ip addr add 192.0.2.2/24 dev veth0",
		"ip addr add 2001:db8::1/64 dev veth0 nodad",
		"ip addr add 2001:db8::2/64 dev veth0 nodad")
	nettest.RunIn(tb, b.container,
		"ip link set eth0 up",
		"ip addr add 192.0.2.10/24 dev eth0",
		"ip addr add 2001:db8::a/64 dev eth0 nodad")
	b.host = openHost(tb, l)
	return b
}

func openHost(tb testing.TB, l hostport.Limits) *hostport.Host {
	tb.Helper()
	h, err := hostport.Open(l)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := h.Close(); err != nil {
			tb.Error(err)
		}
	})
	return h
}

// reserve holds one port until the test ends.
func reserve(tb testing.TB, h *hostport.Host, proto uint8, port uint16, addrs ...netip.Addr) []*hostport.Port {
	tb.Helper()
	ports, err := h.Reserve(proto, addrs, port, port)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closeAll(tb, ports) })
	return ports
}

func closeAll(tb testing.TB, ports []*hostport.Port) {
	tb.Helper()
	for _, p := range ports {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	}
}

func serve(tb testing.TB, target netip.AddrPort, ports ...*hostport.Port) {
	tb.Helper()
	for _, p := range ports {
		if err := p.Serve(target); err != nil {
			tb.Fatal(err)
		}
	}
}

// listen serves connections in the container, each in its own goroutine.
func (b *lab) listen(tb testing.TB, at netip.AddrPort, handle func(c *net.TCPConn)) {
	tb.Helper()
	var l *net.TCPListener
	err := netns.Do(b.container, func() (err error) {
		l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
}

// echo answers datagrams in the container with what they say.
func (b *lab) echo(tb testing.TB, at netip.AddrPort) {
	tb.Helper()
	var c *net.UDPConn
	err := netns.Do(b.container, func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if _, err := c.WriteToUDPAddrPort(buf[:n], from); err != nil {
				return
			}
		}
	}()
}

// dial connects from the host to its port 8080.
func dial(tb testing.TB, addr netip.Addr) *net.TCPConn {
	tb.Helper()
	c, err := net.DialTimeout("tcp", netip.AddrPortFrom(addr, 8080).String(), wait)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		tb.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// use is what the process uses.
type use struct{ goroutines, files int }

func using(tb testing.TB) use {
	tb.Helper()
	runtime.GC() // The pipes of connections that were spliced are kept until then.
	runtime.GC()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	return use{runtime.NumGoroutine(), len(files)}
}

// await waits until the process uses no more than it did.
func await(tb testing.TB, want use) {
	tb.Helper()
	var have use
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if have = using(tb); have.goroutines <= want.goroutines && have.files <= want.files {
			return
		}
	}
	stacks := make([]byte, 1<<16)
	tb.Errorf("in use: %+v, want at most %+v\n%s", have, want, stacks[:runtime.Stack(stacks, true)])
}
