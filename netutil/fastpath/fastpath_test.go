package fastpath_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/fastpath"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// TestForward sends what only the fast path lets through.
func TestForward(t *testing.T) {
	s := newStreet(t)
	s.serve(published)
	s.serve(unpublished)
	sent := make([]byte, 8<<20)
	_, _ = rand.Read(sent)
	c, err := s.dial("tcp", published)
	s.must(err)
	defer c.Close()
	s.must(c.SetDeadline(time.Now().Add(time.Minute)))
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(sent, got) {
		t.Fatalf("%d bytes of %d came back, %v", len(got), len(sent), err)
	}
	if !s.datagram(published, 64) || !s.datagram(published, 0) {
		t.Error("datagrams are not answered")
	}
	if entered, left := s.forwarded(); entered == 0 || left == 0 {
		t.Errorf("%d entered, %d left", entered, left)
	}
	if c, err := s.dial("tcp", unpublished); err == nil {
		c.Close()
		t.Error("a port that is not published can be reached")
	}
	if s.datagram(unpublished, 64) {
		t.Error("a datagram to a port that is not published is answered")
	}
}

// TestHopLimit wants one less at each end (RFC 8200 3), and the kernel's answer
// where none is left (RFC 4443 3.3).
func TestHopLimit(t *testing.T) {
	s := newStreet(t)
	read := make(chan int, 1)
	s.in(s.container, func() error {
		u, err := net.ListenUDP("udp", &net.UDPAddr{IP: container.AsSlice(), Port: published})
		if err != nil {
			return err
		}
		t.Cleanup(func() { u.Close() })
		raw, err := u.SyscallConn()
		if err != nil {
			return err
		}
		s.must(raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1)
		}))
		go func() {
			oob := make([]byte, 64)
			_, n, _, _, err := u.ReadMsgUDPAddrPort(make([]byte, 64), oob)
			messages, _ := unix.ParseSocketControlMessage(oob[:n])
			if err == nil && len(messages) == 1 {
				read <- int(messages[0].Data[0])
			}
			close(read)
		}()
		return err
	})
	c, err := s.dial("udp", published)
	s.must(err)
	defer c.Close()
	hops := func(n int) {
		raw, err := c.(*net.UDPConn).SyscallConn()
		s.must(err)
		s.must(raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, n) }))
		s.must(err)
	}
	send := func() {
		_, err := c.Write([]byte("x"))
		s.must(err)
	}
	hops(1)
	send()
	s.eventually("the kernel's answer", func() bool { return strings.Contains(snmp6(t), "Icmp6OutTimeExcds 1\n") })
	if entered, _ := s.forwarded(); entered != 0 {
		t.Errorf("%d entered", entered)
	}
	hops(64)
	send()
	if got := <-read; got != 63 {
		t.Errorf("hop limit %d arrived", got)
	}
}

// snmp6 are the counters of the host, with one space before each value.
func snmp6(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/net/snmp6")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		out.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	return out.String()
}

// TestTooBig wants the kernel to say so, on the way in and on the way out
// (RFC 4443 3.2).
func TestTooBig(t *testing.T) {
	s := newStreet(t)
	s.serve(published)
	nettest.Run(t, "ip link set ndh0 mtu 1400")
	if s.datagram(published, 1380) {
		t.Error("a packet longer than the container's link was forwarded")
	}
	// The router knows now, and sends fragments, which are the kernel's to forward.
	if !strings.Contains(nettest.RunIn(t, s.router, "ip -6 route get 2001:db8:0:a::2"), "mtu 1400") {
		t.Error("the router was not told")
	}
	nettest.RunIn(t, s.router, "ip -6 route flush cache")
	nettest.Run(t, "ip link set ndh0 mtu 1500", "ip -6 route change 2001:db8::/64 dev eth0 metric 256 mtu lock 1300")
	if s.datagram(published, 1400) {
		t.Error("a packet longer than the uplink was forwarded")
	}
	if !strings.Contains(nettest.RunIn(t, s.container, "ip -6 route get 2001:db8::1"), "mtu 1300") {
		t.Error("the container was not told")
	}
}

// TestSources leaves to the kernel what comes from where it cannot.
func TestSources(t *testing.T) {
	s := newStreet(t)
	send := func(path, from, to string) {
		t.Helper()
		s.in(path, func() error {
			c, err := net.ListenPacket("udp", from)
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
			return err
		})
	}
	nettest.RunIn(t, s.router, "ip addr add 2001:db8:0:a::9/128 dev lan0 nodad")
	nettest.RunIn(t, s.container, "ip addr add 2001:db8:0:a::3/128 dev ndc0 nodad")
	// What is not forwarded goes first: it would be counted with what is.
	expect := func(wantEntered, wantLeft uint64) {
		t.Helper()
		s.eventually("all packets", func() bool {
			entered, left := s.forwarded()
			return entered >= wantEntered && left >= wantLeft
		})
		if entered, left := s.forwarded(); entered != wantEntered || left != wantLeft {
			t.Errorf("%d entered and %d left, want %d and %d", entered, left, wantEntered, wantLeft)
		}
	}
	send(s.router, "[2001:db8:0:a::9]:0", "[2001:db8:0:a::2]:80")
	send(s.router, "[2001:db8::1]:0", "[2001:db8:0:a::2]:80")
	send(s.container, "[2001:db8:0:a::3]:80", "[2001:db8::1]:9")
	send(s.container, "[2001:db8:0:a::2]:80", "[2001:db8::1]:9")
	expect(1, 1)
	nettest.RunIn(t, s.container, "ip link set ndc0 address 02:42:00:00:00:03")
	send(s.container, "[2001:db8:0:a::2]:80", "[2001:db8::1]:9")
	nettest.RunIn(t, s.container, "ip link set ndc0 address 02:42:00:00:00:02")
	send(s.container, "[2001:db8:0:a::2]:80", "[2001:db8::1]:9")
	expect(1, 2)
}

// TestNeighbor has answers leave to a router that the host does not know yet.
func TestNeighbor(t *testing.T) {
	s := newStreet(t)
	s.serve(published)
	nettest.Run(t, "ip -6 neigh flush all nud all")
	if !s.datagram(published, 64) {
		t.Error("the answer to an unknown neighbor does not leave")
	}
	if _, left := s.forwarded(); left != 1 {
		t.Errorf("%d left", left)
	}
}

// TestRestart loses nothing when another process takes over.
func TestRestart(t *testing.T) {
	s := newStreet(t)
	s.serve(published)
	for range 10 {
		if !s.datagram(published, 64) {
			t.Fatal("a datagram is not answered")
		}
		old := s.path
		s.path = s.start()
		s.must(old.Close())
	}
	if links, err := fastpath.Links(); err != nil || len(links) != 2 {
		t.Errorf("links %v, %v", links, err)
	}
}

// TestRemove ends what Put and AttachUplink began.
func TestRemove(t *testing.T) {
	s := newStreet(t)
	s.serve(published)
	other := s.endpoint
	other.Ports = nil
	s.must(s.path.Put(other, container))
	if s.datagram(published, 64) {
		t.Error("a port that is published no more can be reached")
	}
	s.must(s.path.Put(s.endpoint, container))
	if !s.datagram(published, 64) {
		t.Error("a port that is published again cannot be reached")
	}
	s.must(s.path.Remove(container))
	if s.datagram(published, 64) {
		t.Error("an address that was removed can be reached")
	}
	s.must(s.path.DetachUplink(s.uplink))
	s.must(s.path.DetachPort(s.endpoint.Port))
	if got := nettest.Run(t, "tc qdisc show"); strings.Contains(got, "clsact") {
		t.Errorf("left behind: %s", got)
	}
	s.open()
	if !s.datagram(published, 64) {
		t.Error("the kernel does not forward")
	}
}
