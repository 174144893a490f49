package load_test

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/plugin/e2e/bench/load"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == load.Command {
		if err := load.Main(os.Stdin, os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func start(t *testing.T, name, path string) *load.Process {
	t.Helper()
	p, err := load.Start(t.Context(), name, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestMeasure(t *testing.T) {
	a, b := nettest.Another(t), nettest.Another(t)
	nettest.RunIn(t, a, "ip link add eth0 type veth peer name eth0 netns "+b)
	nettest.RunIn(t, a, "ip addr add 2001:db8::1/64 dev eth0 nodad", "ip link set eth0 up")
	nettest.RunIn(t, b, "ip addr add 2001:db8::2/64 dev eth0 nodad", "ip link set eth0 up")
	client, server := start(t, "client", a), start(t, "server", b)
	target := netip.AddrPortFrom(netip.MustParseAddr("2001:db8::2"), load.Port)
	for _, kind := range []load.Kind{load.TCPIn, load.TCPOut, load.CubicIn, load.CubicOut, load.Packets, load.Requests, load.Connections, load.Packets, load.TCPIn} {
		r, err := load.Measure(kind, client, server, target, 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.0f, %.0f a second", kind, r.Count, r.PerSecond())
		if r.Count < 100 || r.CPU <= 0 || r.Elapsed < 50*time.Millisecond {
			t.Errorf("%s: got %+v", kind, r)
		}
	}
	closed := netip.AddrPortFrom(target.Addr(), 1)
	if r, err := load.Measure(load.Requests, client, server, closed, 100*time.Millisecond); err == nil {
		t.Errorf("port without a server: got %+v", r)
	}
}
