package ask_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/plugin/e2e/bench/ask"
)

// TestAsk asks the kernel, which answers for one address as host and for one as
// proxy, and for a third not at all.
func TestAsk(t *testing.T) {
	router, host := nettest.Another(t), nettest.Another(t)
	nettest.RunIn(t, host, "ip link add eth0 address 02:42:00:00:00:02 type veth peer name p0 netns "+router)
	nettest.RunIn(t, router, "ip link set p0 up", "ip addr add 2001:db8::1/64 dev p0 nodad")
	nettest.RunIn(t, host,
		"sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.proxy_ndp=1 net.ipv6.conf.eth0.proxy_ndp=1 net.ipv6.neigh.eth0.proxy_delay=0",
		"ip link set eth0 up", "ip addr add 2001:db8::2/64 dev eth0 nodad",
		"ip neigh add proxy 2001:db8::a dev eth0")
	l, err := ask.Open(router, "p0", netip.MustParseAddr("2001:db8::1"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := netip.MustParseAddr
	host2, proxied, nobody := addr("2001:db8::2"), addr("2001:db8::a"), addr("2001:db8::b")
	// The links come up, and the address is used, in the kernel's own time.
	for end := time.Now().Add(20 * time.Second); ; {
		took, err := l.Each([]netip.Addr{host2, proxied}, inet.MAC{}, time.Millisecond, 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if len(took) == 2 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of 2 answer", len(took))
		}
	}
	took, err := l.Each([]netip.Addr{proxied, nobody, host2}, inet.MAC{}, time.Millisecond, 100*time.Millisecond)
	if err != nil || len(took) != 2 {
		t.Errorf("answers to the group: got %v, %v, want 2", took, err)
	}
	for _, d := range took {
		if d <= 0 || d > 100*time.Millisecond {
			t.Errorf("an answer took %s", d)
		}
	}
	to, err := inet.ParseMAC("02:42:00:00:00:02")
	if err != nil {
		t.Fatal(err)
	}
	if took, err := l.Each([]netip.Addr{proxied, nobody, host2}, to, time.Millisecond, 100*time.Millisecond); err != nil || len(took) != 2 {
		t.Errorf("answers to the host alone: got %v, %v, want 2", took, err)
	}
	f, err := l.Flood([]netip.Addr{proxied, nobody}, 1000, 200*time.Millisecond, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", f)
	if f.Asked < 150 || f.Asked > 201 || f.Share() < 0.45 || f.Share() > 0.55 || f.CPU <= 0 || f.CPU > f.Elapsed {
		t.Errorf("flood: got %+v, want 200 questions with half of them answered", f)
	}
}
