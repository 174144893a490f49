package responder_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/responder"
)

// usual is how a router asks by multicast.
func usual() solicitation {
	group := inet.SolicitedNode(target)
	return solicitation{
		from: routerMAC, to: inet.MulticastMAC(group), src: routerAddr, dst: group, target: target, hopLimit: 255,
		options: sourceOption(routerMAC),
	}
}

// probe is how a host asks whether it may have the target.
func probe() solicitation {
	s := usual()
	s.src, s.options = nobody, nil
	return s
}

func sourceOption(m inet.MAC) []byte { return append([]byte{1, 1}, m[:]...) }

// nonce is the option of RFC 3971 5.3.2.
var nonce = []byte{14, 1, 1, 2, 3, 4, 5, 6}

// Shows RFC 4861 7.2.4 (target).
// Shows RFC 4861 7.2.4 (link-layer option).
// Shows RFC 4861 7.2.4 (solicited).
// Shows RFC 4861 7.2.4 (probe).
// Shows RFC 4861 7.2.8 (override).
// Shows RFC 4861 7.1.1 (unknown options).
// Shows RFC 4862 5.4 (defense).
func TestAnswers(t *testing.T) {
	const (
		toRouter = "02:42:00:00:00:05 > 02:42:00:00:00:01 fe80::5 > fe80::1 hop limit 255 target 2001:db8::a:2 flags 0x40 at 02:42:00:00:00:05"
		toAll    = "02:42:00:00:00:05 > 33:33:00:00:00:01 fe80::5 > ff02::1 hop limit 255 target 2001:db8::a:2 flags 0x00 at 02:42:00:00:00:05"
	)
	ifi := uplink(t)
	r := start(t, ifi)
	for _, c := range []struct {
		name, kind string
		change     func(*solicitation)
		want       string
	}{
		{"multicast", "multicast", func(*solicitation) {}, toRouter},
		{"unicast", "unicast", func(s *solicitation) { s.to, s.dst = ourMAC, target }, toRouter},
		{"multicast to the host's MAC", "multicast", func(s *solicitation) { s.to = ourMAC }, toRouter},
		{"without options", "multicast", func(s *solicitation) { s.options = nil }, toRouter},
		{
			"from a global address", "multicast", func(s *solicitation) { s.src = netip.MustParseAddr("2001:db8::1") },
			"02:42:00:00:00:05 > 02:42:00:00:00:01 fe80::5 > 2001:db8::1 hop limit 255 target 2001:db8::a:2 flags 0x40 at 02:42:00:00:00:05",
		},
		// RFC 4861 7.2.3: the option, not the frame, says where the source is.
		{
			"the router has another MAC than the frame", "multicast", func(s *solicitation) { s.options = sourceOption(otherMAC) },
			"02:42:00:00:00:05 > 02:42:00:00:00:77 fe80::5 > fe80::1 hop limit 255 target 2001:db8::a:2 flags 0x40 at 02:42:00:00:00:05",
		},
		{"the first of two counts", "multicast", func(s *solicitation) { s.options = append(s.options, sourceOption(otherMAC)...) }, toRouter},
		{"nonce", "multicast", func(s *solicitation) { s.options = append(slices.Clone(nonce), s.options...) }, toRouter},
		{"unknown options", "multicast", func(s *solicitation) {
			s.options = slices.Concat([]byte{250, 3}, make([]byte, 22), s.options, []byte{251, 2}, make([]byte, 14))
		}, toRouter},
		{"as many options as there may be", "multicast", func(s *solicitation) {
			for range 15 {
				s.options = append(s.options, nonce...)
			}
		}, toRouter},
		{"probe", "probe", func(s *solicitation) { *s = probe() }, toAll},
		{"probe with a nonce", "probe", func(s *solicitation) { *s = probe(); s.options = nonce }, toAll},
	} {
		s := usual()
		c.change(&s)
		before := counts(t, r)
		verdict, out, err := r.Run(s.frame(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := advertisement(out); verdict != answered || got != c.want {
			t.Errorf("%s: verdict %d\nwant %s\ngot  %s", c.name, verdict, c.want, got)
		}
		if diff := cmp.Diff([]string{c.kind + " 1"}, since(before, counts(t, r))); diff != "" {
			t.Errorf("%s: counts (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestSources has answers come from an address that fits who asks.
func TestSources(t *testing.T) {
	global, router := netip.MustParseAddr("2001:db8::5"), netip.MustParseAddr("2001:db8::1")
	for _, c := range []struct {
		name                   string
		source, global         netip.Addr
		near, far, toWhoProbes netip.Addr
	}{
		{name: "target", near: target, far: target, toWhoProbes: target},
		{name: "link-local", source: linkLocal, near: linkLocal, far: linkLocal, toWhoProbes: linkLocal},
		{name: "of the scope of who asks", source: linkLocal, global: global, near: linkLocal, far: global, toWhoProbes: linkLocal},
		{name: "target to the link, global beyond", global: global, near: target, far: global, toWhoProbes: target},
		{name: "one for all", source: global, global: global, near: global, far: global, toWhoProbes: global},
	} {
		t.Run(c.name, func(t *testing.T) {
			ifi := uplink(t)
			r := start(t, ifi)
			if err := r.Set(responder.Config{Index: ifi.Index, Name: ifi.Name, MAC: ourMAC, Source: c.source, Global: c.global}); err != nil {
				t.Fatal(err)
			}
			beyond := usual()
			beyond.src = router
			for _, q := range []struct {
				solicitation
				want netip.Addr
			}{{usual(), c.near}, {beyond, c.far}, {probe(), c.toWhoProbes}} {
				_, out, err := r.Run(q.frame(), 0)
				if err != nil {
					t.Fatal(err)
				}
				if got := advertisement(out); !strings.Contains(got, " "+q.want.String()+" > ") {
					t.Errorf("asked by %s, want an answer from %s: %s", q.src, q.want, got)
				}
			}
		})
	}
}

// Shows RFC 4861 7.1.1 (validity).
// Shows RFC 4862 5.4.2 (form).
func TestDrops(t *testing.T) {
	ifi := uplink(t)
	r := start(t, ifi)
	for _, c := range []struct {
		name, why string
		change    func(*solicitation)
		spoil     func([]byte) []byte
	}{
		{"hop limit 254", "hop_limit", func(s *solicitation) { s.hopLimit = 254 }, nil},
		{"code 1", "code", func(s *solicitation) { s.code = 1 }, nil},
		{"checksum", "checksum", nil, func(b []byte) []byte { b[56] ^= 1; return b }},
		{"a bit of the option changed", "checksum", nil, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }},
		{"16 octets", "length", nil, func(b []byte) []byte { b[19] = 16; return b }},
		{"half an option", "length", nil, func(b []byte) []byte { b[19] -= 4; return b[:len(b)-4] }},
		{"option of length 0", "option", func(s *solicitation) { s.options = []byte{14, 0, 0, 0, 0, 0, 0, 0} }, nil},
		{"option of length 0 after others", "option", func(s *solicitation) { s.options = append(s.options, make([]byte, 8)...) }, nil},
		{"option beyond the end", "option", func(s *solicitation) { s.options = []byte{14, 2, 0, 0, 0, 0, 0, 0} }, nil},
		{"option far beyond the end", "option", func(s *solicitation) { s.options = []byte{14, 255, 0, 0, 0, 0, 0, 0} }, nil},
		{"source option too long", "option", func(s *solicitation) { s.options = append([]byte{1, 2}, make([]byte, 14)...) }, nil},
		{"probe with a source option", "option", func(s *solicitation) { *s = probe(); s.options = sourceOption(routerMAC) }, nil},
		{"probe by unicast", "destination", func(s *solicitation) { *s = probe(); s.to, s.dst = ourMAC, target }, nil},
		{"probe to all nodes", "destination", func(s *solicitation) { *s = probe(); s.dst = inet.AllNodes }, nil},
		{"from a group", "source", func(s *solicitation) { s.src = inet.AllNodes }, nil},
		{"unassigned", "unassigned", ask(unassigned), nil},
		{"unassigned, by unicast", "unassigned", func(s *solicitation) { s.to, s.dst, s.target = ourMAC, unassigned, unassigned }, nil},
	} {
		s := usual()
		if c.change != nil {
			c.change(&s)
		}
		frame := s.frame()
		if c.spoil != nil {
			frame = c.spoil(frame)
		}
		expect(t, r, c.name, frame, dropped, c.why+" 1")
	}
}

// ask changes what is asked for, and the group that is asked.
func ask(a netip.Addr) func(*solicitation) {
	return func(s *solicitation) {
		s.target, s.dst = a, inet.SolicitedNode(a)
		s.to = inet.MulticastMAC(s.dst)
	}
}

// Shows RFC 4861 7.2.3 (others).
// Shows RFC 6980 5 (receiving).
func TestLeavesToTheKernel(t *testing.T) {
	ifi := uplink(t)
	r := start(t, ifi)
	change := func(f func(*solicitation)) []byte {
		s := usual()
		f(&s)
		return s.frame()
	}
	spoil := func(f func([]byte) []byte) []byte { return f(usual().frame()) }
	for _, c := range []struct {
		name  string
		frame []byte
	}{
		{"for the host itself, in a pool", change(ask(own))},
		{"for the host's link-local address", change(ask(linkLocal))},
		{"for a neighbor", change(ask(foreign))},
		{"for a group", change(ask(inet.AllNodes))},
		// RFC 4862 5.4.3: who is about to take the address wants to hear that another is, too.
		{"probe for an address of a pool that is nobody's yet", change(func(s *solicitation) { *s = probe(); ask(unassigned)(s) })},
		{"to another MAC", change(func(s *solicitation) { s.to, s.dst = otherMAC, target })},
		{"what the uplink sent itself", change(func(s *solicitation) { s.from = ourMAC })},
		{"for a target, to the host's own address", change(func(s *solicitation) { s.to, s.dst = ourMAC, own })},
		{"for a target, to all nodes", change(func(s *solicitation) { s.to, s.dst = inet.MulticastMAC(inet.AllNodes), inet.AllNodes })},
		{"for a target, to another's group", change(func(s *solicitation) { s.dst = inet.SolicitedNode(unassigned) })},
		{"more options than are read", change(func(s *solicitation) {
			for range 16 {
				s.options = append(s.options, nonce...)
			}
		})},
		{"cut off", spoil(func(b []byte) []byte { return b[:len(b)-8] })},
		{"cut off in the solicitation", spoil(func(b []byte) []byte { return b[:70] })},
		{"in a VLAN", spoil(func(b []byte) []byte { return slices.Concat(b[:12], []byte{0x81, 0, 0, 5}, b[12:]) })},
		{"IP version 4", spoil(func(b []byte) []byte { b[14] = 0x45; return b })},
		{"IPv4", spoil(func(b []byte) []byte { b[12], b[13] = 8, 0; return b })},
		{"in a fragment", spoil(func(b []byte) []byte { return extend(b, 44, 0, 0, 0, 1, 0, 0, 0) })},
		{"after options for each hop", spoil(func(b []byte) []byte { return extend(b, 0, 0, 1, 4, 0, 0, 0, 0) })},
		{"UDP", spoil(func(b []byte) []byte { b[20] = 17; return b })},
		{"advertisement", spoil(func(b []byte) []byte { b[54] = 136; return b })},
		{"router solicitation", spoil(func(b []byte) []byte { b[54] = 133; return b })},
	} {
		expect(t, r, c.name, c.frame, kernels)
	}
}

// extend puts a header of eight octets in front of the message. The bytes are
// those after its first.
func extend(b []byte, header byte, rest ...byte) []byte {
	b = slices.Concat(b[:54], []byte{58}, rest, b[54:])
	b[19], b[20] = b[19]+8, header
	return b
}

// TestOptionBoundary puts each option length into the last place that is read.
func TestOptionBoundary(t *testing.T) {
	ifi := uplink(t)
	r := start(t, ifi)
	for units := range 256 {
		for _, at := range []int{0, 1, 14, 15} {
			s := usual()
			s.options = make([]byte, 16*8)
			for i := range 16 {
				copy(s.options[8*i:], []byte{200, 1})
			}
			s.options[8*at+1] = byte(units)
			name := fmt.Sprintf("option %d of 16 of %d units", at+1, units)
			// What is in the middle of an option is not read.
			if units == 0 || at+units > 16 {
				expect(t, r, name, s.frame(), dropped, "option 1")
			} else {
				expect(t, r, name, s.frame(), answered, "multicast 1")
			}
		}
	}
}
