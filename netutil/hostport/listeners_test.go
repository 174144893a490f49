package hostport_test

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ndp6/ndp6/netutil/hostport"
	"github.com/ndp6/ndp6/netutil/nettest"
)

func TestListeners(t *testing.T) {
	nettest.Enter(t)
	nettest.Run(t, "ip addr add 2001:db8::1/64 dev lo nodad")
	for _, addr := range []string{"[2001:db8::1]:8080", "127.0.0.1:8081", "[::]:8082"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	u, err := net.ListenPacket("udp", "[::1]:53")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	c, err := net.Dial("tcp", "127.0.0.1:8081") // is no listener
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := hostport.Listeners()
	if err != nil {
		t.Fatal(err)
	}
	want := []hostport.Listener{
		{Proto: hostport.TCP, Addr: netip.MustParseAddrPort("127.0.0.1:8081")},
		{Proto: hostport.TCP, Addr: netip.MustParseAddrPort("[2001:db8::1]:8080")},
		{Proto: hostport.TCP, Addr: netip.MustParseAddrPort("[::]:8082")},
		{Proto: hostport.UDP, Addr: netip.MustParseAddrPort("[::1]:53")},
	}
	less := cmpopts.SortSlices(func(a, b hostport.Listener) bool { return a.Addr.Compare(b.Addr) < 0 })
	if diff := cmp.Diff(want, got, less, cmpopts.IgnoreUnexported(hostport.Listener{}), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("listeners (-want +got):\n%s", diff)
	}
	for _, l := range got {
		if pid, command, ok := l.Holder(); pid != os.Getpid() || command != "hostport.test" || !ok {
			t.Errorf("%s is held by %d %q, %v", l.Addr, pid, command, ok)
		}
	}
}
