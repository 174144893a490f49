package fastpath_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/fastpath"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/nettest"
)

var (
	container = netip.MustParseAddr("2001:db8:0:a::2")
	pool      = netip.MustParsePrefix("2001:db8:0:a::/80")
)

const (
	published   = 80
	unpublished = 81
)

// A street leads from a router through the test's own namespace, the host, to
// a container behind a bridge. The host's own forwarding is shut, so that only
// the fast path gets through, until it is opened.
type street struct {
	t                 *testing.T
	router, container string
	path              *fastpath.Path
	endpoint          fastpath.Endpoint
	uplink            int
}

func newStreet(t *testing.T) *street {
	t.Helper()
	nettest.Enter(t)
	s := &street{t: t, router: nettest.Another(t), container: nettest.Another(t)}
	nettest.Run(t,
		"sysctl -qw net.ipv6.conf.all.forwarding=1",
		"ip link add eth0 type veth peer name lan0",
		"ip link set lan0 netns "+s.router,
		"ip addr add 2001:db8::5/64 dev eth0 nodad", "ip link set eth0 up",
		"ip link add nd0 address 02:42:00:00:00:05 type bridge forward_delay 0",
		"ip link set nd0 up", "ip addr add fe80::1/64 dev nd0 nodad",
		"ip link add ndh0 master nd0 type veth peer name ndc0 address 02:42:00:00:00:02",
		"ip link set ndh0 up", "ip link set ndc0 netns "+s.container,
		"ip route add 2001:db8:0:a::/80 dev nd0",
		"nft add table inet shut", "nft add chain inet shut forward { type filter hook forward priority 0 ; policy drop ; }")
	nettest.RunIn(t, s.router,
		"ip addr add 2001:db8::1/64 dev lan0 nodad", "ip link set lan0 up", "ip route add 2001:db8:0:a::/80 via 2001:db8::5")
	nettest.RunIn(t, s.container,
		"ip addr add 2001:db8:0:a::2/80 dev ndc0 nodad", "ip link set ndc0 up", "ip route add default via fe80::1 dev ndc0")
	s.uplink = index(t, "eth0")
	s.endpoint = fastpath.Endpoint{
		Port: index(t, "ndh0"), Bridge: index(t, "nd0"),
		MAC: inet.MAC{2, 0x42, 0, 0, 0, 2}, Gateway: inet.MAC{2, 0x42, 0, 0, 0, 5},
		Ports: []fastpath.Port{{Proto: 6, Number: published}, {Proto: 17, Number: published}},
	}
	s.path = s.start()
	for _, path := range []string{s.router, s.container} {
		s.eventually("addresses to be usable", func() bool {
			return !strings.Contains(nettest.RunIn(t, path, "ip -6 addr show"), "tentative")
		})
	}
	return s
}

// open lets the host's kernel forward, too.
func (s *street) open() { nettest.Run(s.t, "nft delete table inet shut") }

func index(t *testing.T, name string) int {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return ifi.Index
}

// start attaches a fast path in place of the one that is there.
func (s *street) start() *fastpath.Path {
	s.t.Helper()
	p, err := fastpath.New()
	if err != nil {
		if fastpath.Available() != nil {
			nettest.Unavailable(s.t, err.Error())
		}
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.Close() })
	s.must(p.SetPools([]netip.Prefix{pool}))
	s.must(p.Put(s.endpoint, container))
	s.must(p.AttachUplink(s.uplink))
	return p
}

func (s *street) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// eventually waits until something holds.
func (s *street) eventually(what string, holds func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(end) {
			s.t.Fatalf("%s: not within 20 seconds", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// in calls fn in a namespace.
func (s *street) in(path string, fn func() error) {
	s.t.Helper()
	s.must(netns.Do(path, fn))
}

// serve answers to each connection, and each datagram, at a port of the
// container with what it gets.
func (s *street) serve(port uint16) {
	s.t.Helper()
	at := netip.AddrPortFrom(container, port)
	s.in(s.container, func() error {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		if err != nil {
			return err
		}
		s.t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					_, _ = io.Copy(c, c)
				}()
			}
		}()
		u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return err
		}
		s.t.Cleanup(func() { u.Close() })
		go func() {
			b := make([]byte, 65536)
			for {
				n, from, err := u.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				_, _ = u.WriteToUDPAddrPort(b[:n], from)
			}
		}()
		return nil
	})
}

// dial connects the router to a port of the container.
func (s *street) dial(network string, port uint16) (c net.Conn, err error) {
	s.t.Helper()
	dialErr := netns.Do(s.router, func() error {
		c, err = net.DialTimeout(network, netip.AddrPortFrom(container, port).String(), time.Second)
		return nil
	})
	return c, errors.Join(dialErr, err)
}

// datagram reports whether a datagram of the router is answered.
func (s *street) datagram(port uint16, size int) bool {
	s.t.Helper()
	c, err := s.dial("udp", port)
	s.must(err)
	defer c.Close()
	s.must(c.SetDeadline(time.Now().Add(time.Second)))
	_, err = c.Write(make([]byte, size))
	s.must(err)
	n, err := c.Read(make([]byte, 65536))
	return err == nil && n == size
}

// forwarded returns how many packets the path forwarded.
func (s *street) forwarded() (entered, left uint64) {
	s.t.Helper()
	counts, err := s.path.Counts()
	s.must(err)
	return counts.Entered, counts.Left
}
