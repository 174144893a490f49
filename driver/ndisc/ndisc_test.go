package ndisc_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"

	"github.com/ndp6/ndp6/driver/ndisc"
	"github.com/ndp6/ndp6/driver/uplink"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/ndp"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// enter makes an uplink eth0 whose other end is lan0, where a host has 2001:db8::77.
func enter(t *testing.T) {
	t.Helper()
	nettest.Enter(t)
	nettest.Run(t,
		"ip link add eth0 type veth peer name lan0 address 02:42:00:00:00:77",
		"ip link set eth0 addrgenmode none", "ip link set lan0 addrgenmode none",
		"ip link set lan0 up", "ip link set eth0 up",
		"ip addr add fe80::5/64 dev eth0 nodad",
		"ip addr add 2001:db8::77/64 dev lan0 nodad",
	)
}

// choose returns eth0 as it is now.
func choose(t *testing.T) []uplink.Uplink {
	t.Helper()
	conn, err := kernel.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s, err := uplink.Observe(conn)
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.Choose("eth0")
	if err != nil {
		t.Fatal(err)
	}
	return []uplink.Uplink{u}
}

func newSpeaker(t *testing.T) *ndisc.Speaker {
	t.Helper()
	s := ndisc.New(slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// listen returns a socket that hears IPv6 on lan0.
func listen(t *testing.T) *packet.Conn {
	t.Helper()
	link, err := net.InterfaceByName("lan0")
	if err != nil {
		t.Fatal(err)
	}
	const ethernetIPv6 = 0x86dd
	conn, err := packet.Listen(link, packet.Raw, ethernetIPv6, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// next returns the target of the next advertisement.
func next(t *testing.T, conn *packet.Conn) netip.Addr {
	t.Helper()
	const header, advertisement = 14 + 40, 136
	b := make([]byte, 1500)
	for {
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		if n >= header+24 && b[header] == advertisement {
			return netip.AddrFrom16([16]byte(b[header+8 : header+24]))
		}
	}
}

// Shows RFC 4861 7.2.6 (count).
func TestAnnounce(t *testing.T) {
	enter(t)
	s := newSpeaker(t)
	s.SetUplinks(choose(t))
	conn := listen(t)

	gone, stays := netip.MustParseAddr("2001:db8::a:0:0:1"), netip.MustParseAddr("2001:db8::a:0:0:2")
	begin := time.Now()
	for _, a := range []netip.Addr{gone, stays} {
		if err := s.Announce("eth0", a); err != nil {
			t.Fatal(err)
		}
	}
	s.Silence(gone)
	var got []netip.Addr
	for range 4 {
		got = append(got, next(t, conn))
	}
	if diff := cmp.Diff([]netip.Addr{gone, stays, stays, stays}, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("announced (-want +got):\n%s", diff)
	}
	if took := time.Since(begin); took < 2*time.Second {
		t.Errorf("three announcements within %v, want RETRANS_TIMER between them", took)
	}
	if err := s.Announce("eth9", stays); err == nil {
		t.Error("on no uplink: no error")
	}
	if diff := cmp.Diff(ndisc.Counts{Announced: 4, AnnounceErrors: 1}, s.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// Shows RFC 4861 7.2.6 (pause).
func TestAnnounceAll(t *testing.T) {
	enter(t)
	s := newSpeaker(t)
	conn := listen(t)
	var addrs []netip.Addr
	for i := range 100 {
		addrs = append(addrs, netip.MustParseAddr(fmt.Sprintf("2001:db8::a:0:0:%x", i)))
	}
	if err := s.AnnounceAll("eth0", addrs); !errors.Is(err, uplink.ErrNotFound) {
		t.Errorf("before the uplink is known: %v", err)
	}
	s.SetUplinks(choose(t))
	if err := s.AnnounceAll("eth0", addrs); err != nil {
		t.Fatal(err)
	}
	told := make(map[netip.Addr]int)
	for range 100 {
		told[next(t, conn)]++
	}
	gone, stays := addrs[7], addrs[8]
	s.Silence(gone)
	for range 2 * 99 {
		told[next(t, conn)]++
	}
	if len(told) != 100 || told[gone] != 1 || told[stays] != 3 {
		t.Errorf("%d of 100 addresses announced, the one that left %d times, one that stays %d times", len(told), told[gone], told[stays])
	}
}

func TestCloseEndsAnnouncements(t *testing.T) {
	enter(t)
	s := newSpeaker(t)
	s.SetUplinks(choose(t))
	if err := s.Announce("eth0", netip.MustParseAddr("2001:db8::a:0:0:1")); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 500*time.Millisecond {
		t.Errorf("Close took %v", took)
	}
}

func TestProbe(t *testing.T) {
	enter(t)
	s := newSpeaker(t)
	s.SetUplinks(choose(t))
	probe := func(addr string) error {
		return s.Probe(t.Context(), "eth0", netip.MustParseAddr(addr), 100*time.Millisecond)
	}
	if err := probe("2001:db8::78"); err != nil {
		t.Errorf("an address that is free: %v", err)
	}
	want := &ndp.DuplicateError{Addr: netip.MustParseAddr("2001:db8::77"), Owner: inet.MAC{2, 0x42, 0, 0, 0, 0x77}}
	if dup, ok := errors.AsType[*ndp.DuplicateError](probe("2001:db8::77")); !ok || *dup != *want {
		t.Errorf("an address in use: %v, want %v", dup, want)
	}
	s.SetUplinks(nil)
	if err := probe("2001:db8::78"); err == nil {
		t.Error("without an uplink: no error")
	}
	if diff := cmp.Diff(ndisc.Counts{Free: 1, Taken: 1, ProbeErrors: 1}, s.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestUplinkChanges(t *testing.T) {
	enter(t)
	s := newSpeaker(t)
	addr := netip.MustParseAddr("2001:db8::a:0:0:1")
	if err := s.Announce("eth0", addr); !errors.Is(err, uplink.ErrNotFound) {
		t.Errorf("before the uplink is known: %v", err)
	}
	s.SetUplinks(choose(t))
	if err := s.Announce("eth0", addr); err != nil {
		t.Fatal(err)
	}

	t.Log("made anew, the link has another index")
	nettest.Run(t, "ip link del eth0", "ip link add eth0 type veth peer name lan0", "ip link set lan0 up", "ip link set eth0 up", "ip addr add fe80::5/64 dev eth0 nodad")
	s.SetUplinks(choose(t))
	if err := s.Announce("eth0", addr); err != nil {
		t.Errorf("on the new link: %v", err)
	}
	s.SetUplinks(nil)
	if err := s.Announce("eth0", addr); !errors.Is(err, uplink.ErrNotFound) {
		t.Errorf("after the uplink is gone: %v", err)
	}
}
