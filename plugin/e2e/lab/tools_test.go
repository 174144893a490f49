package lab_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// TestTools tries what the scenarios look with, on a server whose answers are known.
func TestTools(t *testing.T) {
	if os.Getenv("NDP6_E2E") == "" {
		t.Skip("set NDP6_E2E=1 to run tests in a lab")
	}
	l := newLab(t)
	server, err := l.AddNode(t.Context(), "server", 20)
	if err != nil {
		t.Fatal(err)
	}
	teller, err := server.Tell(t.Context(), netip.IPv6Unspecified(), "80/tcp", "443/tcp", "53/udp")
	if err != nil {
		t.Fatal(err)
	}
	defer teller.Close()
	for _, rule := range []string{
		"add table inet t",
		"add chain inet t i { type filter hook input priority 0; }",
		"add rule inet t i tcp dport 443 drop",
		"add rule inet t i tcp dport 1000-65535 drop",
		"add rule inet t i tcp dport 999 reject with icmpx admin-prohibited",
		"add rule inet t i udp dport 54 drop",
	} {
		if _, err := server.Exec(t.Context(), "nft", rule); err != nil {
			t.Fatal(err)
		}
	}
	for _, addrs := range [][2]string{{"2001:db8:1::14", lab.Outside}, {"192.0.2.20", lab.OutsideIPv4}} {
		t.Run(addrs[0], func(t *testing.T) {
			tryTools(t, l, netip.MustParseAddr(addrs[0]), netip.MustParseAddr(addrs[1]))
		})
	}
}

func tryTools(t *testing.T, l *lab.Lab, server, client netip.Addr) {
	t.Helper()
	start := time.Now()
	got, err := l.Outside.Scan(t.Context(), server, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("scanned in %s", time.Since(start).Round(time.Millisecond))
	want := lab.Scanned{Open: []uint16{80}, Rejected: got.Rejected}
	for port := range uint16(999) {
		if port != 0 && port != 80 && port != 443 {
			want.Refused = append(want.Refused, port)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Rejected == 0 {
		t.Errorf("%d errors; ports (-want +got):\n%s", got.Rejected, diff)
	}

	open, refused, silent := netip.AddrPortFrom(server, 80), netip.AddrPortFrom(server, 81), netip.AddrPortFrom(server, 443)
	k, err := l.Outside.Knock(t.Context(), open, refused, silent)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); k.Seen(open).Open < 300 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	seen, err := k.Stop()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", seen)
	if o, r, s := seen[open], seen[refused], seen[silent]; o.Open < 300 || o.Refused > 0 || r.Refused < 200 || r.Open > 0 || s.Open+s.Refused > 0 || s.Sent < 300 {
		t.Error("the knocks at an open, a refused and a silent port are not these")
	}

	asked := l.Outside.Request(t.Context(), open, 100, time.Second)
	for deadline := time.Now().Add(10 * time.Second); asked.First().IsZero() && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	met := asked.Stop()
	t.Log(met)
	if met.First.IsZero() || met.Sent == 0 || met.Failed > 0 {
		t.Errorf("requests at an open port: %s: %v", met, met.Err)
	}
	if met := l.Outside.Request(t.Context(), refused, 100, time.Second).Stop(); !met.First.IsZero() || met.Answered > 0 {
		t.Errorf("requests at a refused port: %s", met)
	}

	for _, ask := range []struct {
		network string
		port    uint16
		err     error
	}{
		{"tcp", 80, nil},
		{"tcp", 81, syscall.ECONNREFUSED},
		{"tcp", 443, os.ErrDeadlineExceeded},
		{"udp", 53, nil},
		{"udp", 55, syscall.ECONNREFUSED},
		{"udp", 54, os.ErrDeadlineExceeded},
	} {
		got, err := l.Outside.Ask(t.Context(), ask.network, netip.AddrPortFrom(server, ask.port), 500*time.Millisecond)
		if !errors.Is(err, ask.err) || err == nil && got != client {
			t.Errorf("%s %d: %s, %v; want %v from %s", ask.network, ask.port, got, err, ask.err, client)
		}
	}
}

// TestTap sends frames from one node to another.
func TestTap(t *testing.T) {
	if os.Getenv("NDP6_E2E") == "" {
		t.Skip("set NDP6_E2E=1 to run tests in a lab")
	}
	l := newLab(t)
	sender, err := l.AddNode(t.Context(), "sender", 20)
	if err != nil {
		t.Fatal(err)
	}
	receiver, err := l.AddNode(t.Context(), "receiver", 21)
	if err != nil {
		t.Fatal(err)
	}
	from, to := [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{0x02, 0x42, 0, 0, 1, 0x15}
	in, err := receiver.Tap("eth0", func(f []byte) bool { return [6]byte(f[6:]) == from })
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := sender.Tap("eth0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	frame := lab.SYNFrame(from, to, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[::1]:80"))
	frame4 := lab.SYNFrame(from, to, netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("127.0.0.1:80"))
	if err := out.Send(frame, frame4); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); in.Seen() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d frames arrived, want 2", in.Seen())
		}
	}
}

func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	l, err := lab.New(t.Context(), lab.Options{Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// TestRoutes follows a route that comes, leads elsewhere and goes.
func TestRoutes(t *testing.T) {
	if os.Getenv("NDP6_E2E") == "" {
		t.Skip("set NDP6_E2E=1 to run tests in a lab")
	}
	l := newLab(t)
	const protocol = 99
	routes, err := l.Router.Routes(t.Context(), protocol)
	if err != nil {
		t.Fatal(err)
	}
	defer routes.Close()
	dst := netip.MustParsePrefix("2001:db8:9::/64")
	last := time.Now()
	step := func(command string, wait func() (lab.Moment, error)) {
		t.Helper()
		if err := l.Router.IP(t.Context(), command); err != nil {
			t.Fatal(err)
		}
		at, err := wait()
		if err != nil || at.Told.Before(last) || at.Seen.Before(at.Told) {
			t.Fatalf("%s: told at %s, seen at %s, %v; the step before was seen at %s", command, at.Told, at.Seen, err, last)
		}
		last = at.Seen
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	step("route add "+dst.String()+" via 2001:db8:1::a dev lan proto 99", func() (lab.Moment, error) { return routes.Came(ctx, dst) })
	step("route replace "+dst.String()+" via 2001:db8:1::b dev lan proto 99", func() (lab.Moment, error) { return routes.Led(ctx, dst, lab.HostAddr(11)) })
	step("route del "+dst.String()+" proto 99", func() (lab.Moment, error) { return routes.Left(ctx, dst) })

	if err := l.Router.IP(t.Context(), "route add "+dst.String()+" dev lan proto 98"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := routes.Came(ctx, dst); !errors.Is(err, context.Canceled) {
		t.Errorf("another protocol's route: %v", err)
	}
}
