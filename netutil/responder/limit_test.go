package responder_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/netutil/responder"
)

func TestForwardingOff(t *testing.T) {
	ifi := uplink(t)
	r := start(t, ifi)
	nettest.Run(t, "sysctl -qw net.ipv6.conf.eth0.forwarding=0")
	s := usual()
	ask(unassigned)(&s)
	expect(t, r, "unassigned", s.frame(), kernels)
	expect(t, r, "target", usual().frame(), answered, "multicast 1")
}

func TestRateLimit(t *testing.T) {
	ifi := uplink(t)
	r := start(t, ifi)
	strange, mine, other := usual(), usual(), usual()
	ask(foreign)(&strange)
	ask(own)(&mine)
	ask(foreign)(&other)
	other.src = netip.MustParseAddr("fe80::2")
	before := counts(t, r)
	// A thousand at once are let by, and a thousand more each second: no machine takes a second for each.
	frame, passed := strange.frame(), 0
	for range 100_000 {
		verdict, _, err := r.Run(frame, 0)
		if err != nil {
			t.Fatal(err)
		}
		if verdict == dropped {
			break
		}
		passed++
	}
	if passed < 1000 || passed == 100_000 {
		t.Fatalf("%d solicitations of one source passed", passed)
	}
	if diff := cmp.Diff([]string{"limited 1"}, since(before, counts(t, r))); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	expect(t, r, "another source", other.frame(), kernels)
	// The source may be borrowed: what it asks of the host or of a target is not limited.
	expect(t, r, "for a target", usual().frame(), answered, "multicast 1")
	for range 2000 {
		if verdict, _, err := r.Run(mine.frame(), 0); err != nil || verdict != kernels {
			t.Fatalf("for the host itself: verdict %d, %v", verdict, err)
		}
	}
}

func TestSet(t *testing.T) {
	ifi := uplink(t)
	r := start(t, ifi)
	for _, c := range []struct {
		config responder.Config
		want   string
	}{
		{
			responder.Config{MAC: otherMAC, Source: linkLocal},
			"02:42:00:00:00:77 > 02:42:00:00:00:01 fe80::5 > fe80::1 hop limit 255 target 2001:db8::a:2 flags 0x40 at 02:42:00:00:00:77",
		},
		{
			responder.Config{MAC: otherMAC},
			"02:42:00:00:00:77 > 02:42:00:00:00:01 2001:db8::a:2 > fe80::1 hop limit 255 target 2001:db8::a:2 flags 0x40 at 02:42:00:00:00:77",
		},
		{
			responder.Config{MAC: ourMAC, Source: own.WithZone("eth0")},
			"02:42:00:00:00:05 > 02:42:00:00:00:01 2001:db8::a:4 > fe80::1 hop limit 255 target 2001:db8::a:2 flags 0x40 at 02:42:00:00:00:05",
		},
	} {
		c.config.Index, c.config.Name = ifi.Index, ifi.Name
		if err := r.Set(c.config); err != nil {
			t.Fatal(err)
		}
		_, out, err := r.Run(usual().frame(), 0)
		if got := advertisement(out); err != nil || got != c.want {
			t.Errorf("error %v\nwant %s\ngot  %s", err, c.want, got)
		}
	}
	for _, c := range []responder.Config{
		{Index: ifi.Index + 1, Name: "eth0", MAC: ourMAC},
		{Index: ifi.Index, Name: "eth0"},
		{Index: ifi.Index, Name: "eth0", MAC: ourMAC, Source: nobody},
		{Index: ifi.Index, Name: "eth0", MAC: ourMAC, Source: netip.MustParseAddr("192.0.2.1")},
	} {
		if err := r.Set(c); err == nil {
			t.Errorf("Set(%+v) succeeds", c)
		}
	}
}
