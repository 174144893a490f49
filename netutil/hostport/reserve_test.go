package hostport_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/hostport"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// TestReserve asks for ports on a host where daemons have some.
func TestReserve(t *testing.T) {
	both := []netip.Addr{any6, any4}
	tests := []struct {
		name        string
		busy        []string // what daemons listen at
		proto       uint8
		addrs       []netip.Addr
		first, last uint16
		want        uint16
		err         string
	}{
		{name: "free", proto: hostport.TCP, addrs: both, first: 8080, last: 8080, want: 8080},
		{name: "free udp", proto: hostport.UDP, addrs: both, first: 53, last: 53, want: 53},
		{name: "other protocol", busy: []string{"udp 0.0.0.0:8080"}, proto: hostport.TCP, addrs: both, first: 8080, last: 8080, want: 8080},
		{name: "other address", busy: []string{"tcp 192.0.2.1:8080"}, proto: hostport.TCP, addrs: []netip.Addr{second4}, first: 8080, last: 8080, want: 8080},
		{name: "other family", busy: []string{"tcp4 0.0.0.0:8080"}, proto: hostport.TCP, addrs: []netip.Addr{any6}, first: 8080, last: 8080, want: 8080},
		{
			name: "taken", busy: []string{"tcp4 0.0.0.0:8080"}, proto: hostport.TCP, addrs: both, first: 8080, last: 8080,
			err: "Bind for 0.0.0.0:8080 failed: port is already allocated: stop what has it (ss -ltnp sport = :8080, docker ps), " +
				"or publish another host port with -p",
		},
		{
			name: "taken at one address", busy: []string{"tcp [2001:db8::1]:8080"}, proto: hostport.TCP, addrs: both, first: 8080, last: 8080,
			err: "Bind for [::]:8080 failed: port is already allocated: stop what has it (ss -ltnp sport = :8080, docker ps), " +
				"or publish another host port with -p",
		},
		{
			name: "taken udp", busy: []string{"udp 0.0.0.0:53"}, proto: hostport.UDP, addrs: []netip.Addr{loop4}, first: 53, last: 53,
			err: "Bind for 127.0.0.1:53 failed: port is already allocated: stop what has it (ss -lunp sport = :53, docker ps), " +
				"or publish another host port with -p",
		},
		{
			name: "taken by both families at once", busy: []string{"tcp [::]:8080"}, proto: hostport.TCP, addrs: []netip.Addr{any4}, first: 8080, last: 8080,
			err: "Bind for 0.0.0.0:8080 failed: port is already allocated: stop what has it (ss -ltnp sport = :8080, docker ps), " +
				"or publish another host port with -p",
		},
		{
			name: "first free at all addresses", busy: []string{"tcp4 0.0.0.0:8000", "tcp6 [2001:db8::1]:8001"},
			proto: hostport.TCP, addrs: both, first: 8000, last: 8010, want: 8002,
		},
		{
			name: "no free one", busy: []string{"tcp4 0.0.0.0:8000", "tcp6 [::1]:8001"},
			proto: hostport.TCP, addrs: both, first: 8000, last: 8001,
			err: "Bind for [::]:8000-8001 failed: all ports are allocated: publish another range of host ports with -p",
		},
		{name: "last port", proto: hostport.UDP, addrs: both, first: 65535, last: 65535, want: 65535},
		{
			name: "foreign address", proto: hostport.TCP, addrs: []netip.Addr{netip.MustParseAddr("2001:db8::99")}, first: 8000, last: 8010,
			err: "Bind for [2001:db8::99]:8000 failed: the host has no such address, or not yet: " +
				"publish at one that ip addr shows, or at none with -p HOST-PORT:PORT",
		},
		{name: "ephemeral", proto: hostport.TCP, addrs: both, want: 40000},
		{name: "ephemeral taken", busy: []string{"tcp4 0.0.0.0:40000"}, proto: hostport.TCP, addrs: both, want: 40002},
		{
			name: "ephemeral all taken", busy: []string{"udp4 0.0.0.0:40000", "udp4 0.0.0.0:40002"}, proto: hostport.UDP, addrs: both,
			err: "Bind for 0.0.0.0:40000-40002 failed: all ports are allocated: publish another range of host ports with -p",
		},
		{name: "no address", proto: hostport.TCP, first: 80, last: 80, err: "reserve a port at []: not addresses of a host"},
		{name: "no range", proto: hostport.TCP, addrs: both, first: 81, last: 80, err: "reserve a port from 81 to 80: not a range"},
		{
			name: "no protocol", proto: 1, addrs: both, first: 80, last: 80,
			err: "Bind for [::]:80 failed: not a protocol that has ports: use tcp, udp or sctp",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newLab(t, hostport.Limits{})
			write(t, "/proc/sys/net/ipv4/ip_local_port_range", "40000 40002")
			write(t, "/proc/sys/net/ipv4/ip_local_reserved_ports", "30000,40001-40001")
			for _, at := range tt.busy {
				daemon(t, at)
			}
			before := using(t)
			ports, err := b.host.Reserve(tt.proto, tt.addrs, tt.first, tt.last)
			if err != nil || tt.err != "" {
				if diff := cmp.Diff(tt.err, fmt.Sprint(err)); diff != "" {
					t.Error(diff)
				}
				await(t, before)
				return
			}
			for i, p := range ports {
				if want := netip.AddrPortFrom(tt.addrs[i], tt.want); p.AddrPort() != want || p.Proto() != tt.proto {
					t.Errorf("have %s/%d, want %s/%d", p.AddrPort(), p.Proto(), want, tt.proto)
				}
			}
			if _, err := b.host.Reserve(tt.proto, tt.addrs, tt.want, tt.want); !errors.Is(err, hostport.ErrInUse) {
				t.Errorf("second: %v, want %v", err, hostport.ErrInUse)
			}
			closeAll(t, ports)
			await(t, before)
			closeAll(t, reserve(t, b.host, tt.proto, tt.want, tt.addrs...))
		})
	}
}

// TestEphemeralMovesOn: a port that was given back is not the next one.
func TestEphemeralMovesOn(t *testing.T) {
	nettest.Enter(t)
	h := openHost(t, hostport.Limits{})
	write(t, "/proc/sys/net/ipv4/ip_local_port_range", "40000 40002")
	var have []uint16
	for range 4 {
		ports, err := h.Reserve(hostport.TCP, []netip.Addr{any4}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		have = append(have, ports[0].AddrPort().Port())
		closeAll(t, ports)
	}
	if diff := cmp.Diff([]uint16{40000, 40001, 40002, 40000}, have); diff != "" {
		t.Error(diff)
	}
}

// TestHeld: what is reserved is taken for everybody else.
func TestHeld(t *testing.T) {
	nettest.Enter(t)
	h := openHost(t, hostport.Limits{})
	reserve(t, h, hostport.TCP, 8080, any6, any4)
	for _, at := range []string{"0.0.0.0:8080", "[::]:8080", "127.0.0.1:8080", "[::1]:8080"} {
		l, err := net.Listen("tcp", at)
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listen at %s: %v, want %v", at, err, syscall.EADDRINUSE)
		}
		if err == nil {
			l.Close()
		}
	}
}

// TestSCTP: where the kernel has no SCTP, that is what the caller learns.
func TestSCTP(t *testing.T) {
	nettest.Enter(t)
	h := openHost(t, hostport.Limits{})
	ports, err := h.Reserve(hostport.SCTP, []netip.Addr{any6, any4}, 8080, 8080)
	if errors.Is(err, hostport.ErrNoSCTP) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	serve(t, netip.MustParseAddrPort("[2001:db8::a]:80"), ports...)
	if _, err := h.Reserve(hostport.SCTP, []netip.Addr{any4}, 8080, 8080); !errors.Is(err, hostport.ErrInUse) {
		t.Errorf("second: %v, want %v", err, hostport.ErrInUse)
	}
	closeAll(t, ports)
}

// daemon has somebody else take a port, such as "tcp4 0.0.0.0:8080".
func daemon(t *testing.T, at string) {
	t.Helper()
	var network, addr string
	if _, err := fmt.Sscan(at, &network, &addr); err != nil {
		t.Fatal(err)
	}
	if network[:3] == "udp" {
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

func write(t *testing.T, path, value string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
}
