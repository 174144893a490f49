package responder_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/responder"
)

// A judge compares the kernel's program with the model.
type judge struct {
	r    *responder.Responder
	runs chan *run
}

// A run is one of the program.
type run struct {
	frame, out []byte
	verdict    int32
	err        error
	ended      chan struct{}
}

func newJudge(tb testing.TB) *judge {
	tb.Helper()
	ifi := uplink(tb)
	j := &judge{r: start(tb, ifi), runs: make(chan *run)}
	path := here(tb)
	// The program runs for a link of the thread's namespace, and who asks has threads of its own.
	go func() {
		_ = netns.Do(path, func() error {
			for x := range j.runs {
				x.verdict, x.out, x.err = j.r.Run(x.frame, 0)
				close(x.ended)
			}
			return nil
		})
	}()
	tb.Cleanup(func() { close(j.runs) })
	return j
}

// agree says where program and model differ about a frame, and what both say where not.
func (j *judge) agree(frame []byte) (string, error) {
	want, maybe := model(frame)
	before, err := j.r.Counts()
	if err != nil {
		return "", err
	}
	x := &run{frame: frame, ended: make(chan struct{})}
	j.runs <- x
	<-x.ended
	after, err := j.r.Counts()
	if err := errors.Join(x.err, err); err != nil {
		return "", fmt.Errorf("% x: %w", frame, err)
	}
	got := fate{verdict: x.verdict}
	if changed := since(all(before), all(after)); len(changed) > 0 {
		if _, err := fmt.Sscanf(changed[0], "%s 1", &got.count); err != nil || len(changed) > 1 {
			return "", fmt.Errorf("% x: counts %q", frame, changed)
		}
	}
	if maybe && got.verdict == dropped && got.count == "limited" {
		return "limited", nil
	}
	if got.verdict == answered {
		got.answer = x.out
	} else if !slices.Equal(x.out, frame) {
		return "", fmt.Errorf("the frame changed:\n% x\n% x", frame, x.out)
	}
	if got.verdict != want.verdict || got.count != want.count || !slices.Equal(got.answer, want.answer) {
		return "", fmt.Errorf("% x\nwant %d %s % x\ngot  %d %s % x", frame, want.verdict, want.count, want.answer, got.verdict, got.count, got.answer)
	}
	return got.count, nil
}

// FuzzProgram asks about any frame.
func FuzzProgram(f *testing.F) {
	j := newJudge(f)
	for _, s := range []solicitation{
		usual(), probe(),
		{routerMAC, ourMAC, netip.MustParseAddr("2001:db8::1"), target, target, 255, 0, slices.Concat(nonce, sourceOption(otherMAC))},
		{routerMAC, ourMAC, routerAddr, unassigned, unassigned, 255, 0, nil},
		{routerMAC, ourMAC, routerAddr, foreign, foreign, 255, 0, make([]byte, 17*8)},
	} {
		f.Add(s.frame(), true)
		f.Add(s.frame(), false)
	}
	f.Fuzz(func(t *testing.T, frame []byte, right bool) {
		// The kernel's test takes no frame that ends in the header.
		if len(frame) < 54 || len(frame) > 1500 {
			t.Skip()
		}
		if right {
			correct(frame)
		}
		if _, err := j.agree(frame); err != nil {
			t.Error(err)
		}
	})
}

// correct sets the checksum of a frame.
func correct(frame []byte) {
	length := int(binary.BigEndian.Uint16(frame[18:]))
	if length < 24 || length > len(frame)-54 {
		return
	}
	body := frame[54 : 54+length]
	src, dst := netip.AddrFrom16([16]byte(frame[22:])), netip.AddrFrom16([16]byte(frame[38:]))
	binary.BigEndian.PutUint16(body[2:], 0)
	binary.BigEndian.PutUint16(body[2:], ^sum(src, dst, body))
}

// TestModel asks about solicitations that are nearly right.
func TestModel(t *testing.T) {
	j := newJudge(t)
	addrs := []netip.Addr{
		nobody, routerAddr, linkLocal, target, unassigned, own, foreign, inet.AllNodes,
		inet.SolicitedNode(target), inet.SolicitedNode(unassigned), netip.MustParseAddr("2001:db8::1"),
	}
	macs := []inet.MAC{ourMAC, routerMAC, otherMAC, inet.MulticastMAC(inet.AllNodes), {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		for i := range 100 {
			// Most of it is right, so that the rest decides.
			mostly := func(name string) bool { return rapid.IntRange(0, 4).Draw(rt, fmt.Sprint(name, i)) > 0 }
			s := usual()
			if !mostly("resolution") {
				s = probe()
			}
			if !mostly("multicast") {
				s.to, s.dst = ourMAC, target
			}
			if !mostly("source") {
				s.src = rapid.SampledFrom(addrs).Draw(rt, "src")
			}
			if !mostly("destination") {
				s.dst = rapid.SampledFrom(addrs).Draw(rt, "dst")
			}
			if !mostly("target") {
				s.target = rapid.SampledFrom(addrs).Draw(rt, "target")
			}
			if !mostly("MACs") {
				s.from, s.to = rapid.SampledFrom(macs).Draw(rt, "from"), rapid.SampledFrom(macs).Draw(rt, "to")
			}
			s.options = nil
			for n := range rapid.IntRange(0, 5).Draw(rt, "options") {
				typ, units := rapid.SampledFrom([]byte{1, 2, 14, 200}).Draw(rt, fmt.Sprint("type", n)), 1
				if !mostly("units") {
					units = rapid.SampledFrom([]int{0, 1, 2, 3, 7, 255}).Draw(rt, fmt.Sprint("units", n))
				}
				body := make([]byte, 8*max(1, min(units, 8)))
				body[0], body[1], body[7] = typ, byte(units), byte(n)
				s.options = append(s.options, body...)
			}
			frame := s.frame()
			if !mostly("octets") {
				at := rapid.SampledFrom([]int{12, 14, 19, 20, 21, 54, 55, 57, 60, len(frame) - 1}).Draw(rt, "octet")
				frame[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
				if mostly("checksum") {
					correct(frame)
				}
			}
			if !mostly("padding") {
				frame = append(frame, 1, 2, 3)
			}
			count, err := j.agree(frame)
			if err != nil {
				rt.Fatal(err)
			}
			seen[count]++
		}
	})
	c, err := j.r.Counts()
	if err != nil {
		t.Fatal(err)
	}
	for name := range all(c) {
		if seen[name] == 0 && name != "limited" {
			t.Errorf("none of the solicitations was %s", name)
		}
	}
}
