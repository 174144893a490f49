package kernel_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// openSandbox opens a Sandbox in the test's namespace until the test ends.
func openSandbox(tb testing.TB) *kernel.Sandbox {
	tb.Helper()
	s, err := kernel.OpenSandbox()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// enterSandbox is in a namespace as Docker leaves one: eth0 has an address. A
// bridge inside has its MAC.
func enterSandbox(tb testing.TB) {
	tb.Helper()
	nettest.Enter(tb)
	nettest.Run(tb,
		"ip link add br0 type bridge", "ip link set br0 addrgenmode none", "ip link set br0 address "+peerMAC.String(),
		"ip link add eth0 type veth peer name lan0",
		"ip link set eth0 addrgenmode none", "ip link set lan0 addrgenmode none",
		"ip link set eth0 address "+peerMAC.String(), "ip link set lan0 up", "ip link set eth0 up",
		"ip addr add 2001:db8:0:0:a::2/80 dev eth0 nodad")
}

func TestSandboxAddresses(t *testing.T) {
	enterSandbox(t)
	c, s := open(t), openSandbox(t)
	given, second := netip.MustParsePrefix("2001:db8:0:0:a::2/80"), netip.MustParsePrefix("2001:db8:1:0:a::2/80")
	address := func(p netip.Prefix, deprecated bool) kernel.Address {
		return kernel.Address{Link: "eth0", Prefix: p, Deprecated: deprecated}
	}
	steps := []struct {
		name string
		do   func() error
		want []kernel.Address
	}{
		{
			name: "second",
			do:   func() error { return s.SetAddress(peerMAC, second, false) },
			want: []kernel.Address{address(given, false), address(second, false)},
		},
		{
			name: "first deprecated",
			do:   func() error { return s.SetAddress(peerMAC, given, true) },
			want: []kernel.Address{address(given, true), address(second, false)},
		},
		{
			name: "the other way round",
			do: func() error {
				return errors.Join(s.SetAddress(peerMAC, given, false), s.SetAddress(peerMAC, second, true))
			},
			want: []kernel.Address{address(given, false), address(second, true)},
		},
		{
			name: "second gone",
			do:   func() error { return s.DeleteAddress(peerMAC, second) },
			want: []kernel.Address{address(given, false)},
		},
	}
	for _, step := range steps {
		for range 2 { // Each can be repeated.
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
		}
		if diff := cmp.Diff(step.want, addresses(t, c), byValue); diff != "" {
			t.Errorf("%s: addresses (-want +got):\n%s", step.name, diff)
		}
	}
}

// Shows RFC 6724 5 (source).
func TestSandboxSource(t *testing.T) {
	enterSandbox(t)
	s := openSandbox(t)
	nettest.Run(t, "ip -6 route add default via fe80::1 dev eth0")
	if err := s.SetAddress(peerMAC, netip.MustParsePrefix("2001:db8:1:0:a::2/80"), false); err != nil {
		t.Fatal(err)
	}
	// Of two that are as good the kernel takes the newer one.
	contains(t, nettest.Run(t, "ip -6 route get 2001:db8:ffff::1"), "src 2001:db8:1:0:a::2")
	if err := s.SetAddress(peerMAC, netip.MustParsePrefix("2001:db8:0:0:a::2/80"), true); err != nil {
		t.Fatal(err)
	}
	contains(t, nettest.Run(t, "ip -6 route get 2001:db8:0:ffff::1"), "src 2001:db8:1:0:a::2")
	// Others of its network have addresses of both pools, on the same link.
	contains(t, nettest.Run(t, "ip -6 route"), "2001:db8:0:0:a::/80 dev eth0", "2001:db8:1:0:a::/80 dev eth0")
}

func TestSandboxLink(t *testing.T) {
	enterSandbox(t)
	s := openSandbox(t)
	for _, want := range []bool{true, false} {
		if up, err := s.Up(peerMAC); err != nil || up != want {
			t.Errorf("Up: got %t, %v, want %t", up, err, want)
		}
		nettest.Run(t, "ip link set eth0 down")
	}
	other, p := inet.MAC{2, 0, 0, 0, 0, 9}, netip.MustParsePrefix("2001:db8:1:0:a::2/80")
	if _, err := s.Up(other); !errors.Is(err, kernel.ErrNotFound) {
		t.Errorf("Up of no link: got %v", err)
	}
	if err := s.SetAddress(other, p, false); !errors.Is(err, kernel.ErrNotFound) {
		t.Errorf("SetAddress of no link: got %v", err)
	}
	if err := s.DeleteAddress(other, p); err != nil {
		t.Errorf("DeleteAddress of no link: got %v", err)
	}
	if err := s.SetAddress(peerMAC, netip.Prefix{}, false); err == nil {
		t.Error("SetAddress of no address: got no error")
	}
}
