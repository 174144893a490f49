package pulse_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/nettest"
	"github.com/ndp6/ndp6/plugin/e2e/bench/pulse"
)

func TestPulse(t *testing.T) {
	a := nettest.Another(t)
	nettest.RunIn(t, a, "ip link set lo up", "ip addr add 2001:db8::1/128 dev lo nodad")
	p, err := pulse.Start(t.Context(), a, netip.MustParseAddr("2001:db8::1"), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, ok := p.Answered(time.Time{}); ok {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("no answer")
		}
		time.Sleep(time.Millisecond)
	}
	nettest.RunIn(t, a, "ip addr del 2001:db8::1/128 dev lo")
	gone := time.Now()
	time.Sleep(20 * time.Millisecond)
	if b, ok := p.Answered(gone); ok {
		t.Errorf("an address that is gone answered: %+v", b)
	}
	beats, err := p.Stop(10 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if lost := pulse.Lost(beats); lost == 0 || lost == len(beats) {
		t.Errorf("%d of %d lost, want some", lost, len(beats))
	}
	if n := pulse.Slow(beats, 0); n != len(beats)-pulse.Lost(beats) {
		t.Errorf("%d took any time, %d were answered", n, len(beats)-pulse.Lost(beats))
	}
	if b, ok := pulse.First(beats); !ok || b.Took <= 0 {
		t.Errorf("first answer: %+v, %t", b, ok)
	}
}

func TestNobody(t *testing.T) {
	a := nettest.Another(t)
	p, err := pulse.Start(t.Context(), a, netip.MustParseAddr("2001:db8::1"), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Stop(0); err == nil {
		t.Error("nobody answered: got no error")
	}
}
