package ndp

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/mdlayher/ndp"

	"github.com/ndp6/ndp6/netutil/inet"
)

// These tests are in the package: frames are no part of what it exports.

var (
	theirs = inet.MAC{0x02, 0x42, 0, 0, 0, 0x02}
	target = netip.MustParseAddr("2001:db8::42:ac11:2")
	lla    = netip.MustParseAddr("fe80::2")
	none   = netip.IPv6Unspecified()
	nonce  = []byte{1, 2, 3, 4, 5, 6}
)

func frame(tb testing.TB, m ndp.Message, source, group netip.Addr) []byte {
	tb.Helper()
	b, err := marshalFrame(m, theirs, source, group)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func solicitation(options ...ndp.Option) *ndp.NeighborSolicitation {
	return &ndp.NeighborSolicitation{TargetAddress: target, Options: options}
}

func advertisement(options ...ndp.Option) *ndp.NeighborAdvertisement {
	return &ndp.NeighborAdvertisement{Override: true, TargetAddress: target, Options: options}
}

func nonceOption(value []byte) ndp.Option {
	return &ndp.RawOption{Type: optNonce, Length: 1, Value: value}
}

func macOption(d ndp.Direction, m inet.MAC) ndp.Option {
	return &ndp.LinkLayerAddress{Direction: d, Addr: m.HardwareAddr()}
}

// Shows RFC 4861 7.1.1 (unknown options).
func TestParseFrame(t *testing.T) {
	third := inet.MAC{0x02, 0x42, 0, 0, 0, 0x03}
	tests := []struct {
		name  string
		frame []byte
		want  neighborMessage
	}{
		{
			name:  "probe",
			frame: frame(t, solicitation(nonceOption(nonce)), none, inet.SolicitedNode(target)),
			want:  neighborMessage{from: theirs, owner: theirs, source: none, target: target, nonce: nonce},
		},
		{
			name:  "probe without nonce, padded",
			frame: append(frame(t, solicitation(), none, inet.SolicitedNode(target)), 0, 0, 0),
			want:  neighborMessage{from: theirs, owner: theirs, source: none, target: target},
		},
		{
			name:  "resolution",
			frame: frame(t, solicitation(macOption(ndp.Source, theirs)), lla, inet.SolicitedNode(target)),
			want:  neighborMessage{from: theirs, owner: theirs, source: lla, target: target},
		},
		{
			name:  "advertisement names the owner",
			frame: frame(t, advertisement(macOption(ndp.Target, third)), lla, inet.AllNodes),
			want:  neighborMessage{from: theirs, owner: third, source: lla, target: target, advertisement: true},
		},
		{
			name:  "advertisement without owner and with an unknown option",
			frame: frame(t, advertisement(&ndp.RawOption{Type: 200, Length: 1, Value: make([]byte, 6)}), lla, inet.AllNodes),
			want:  neighborMessage{from: theirs, owner: theirs, source: lla, target: target, advertisement: true},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseFrame(test.frame)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(neighborMessage{}), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("parseFrame (-want +got):\n%s", diff)
			}
		})
	}
}

// TestParseFrameRefuses has what RFC 4861 7.1 says must be discarded.
//
// Shows RFC 4861 7.1.1 (validity).
// Shows RFC 4861 7.1.2 (validity).
func TestParseFrameRefuses(t *testing.T) {
	good := frame(t, advertisement(macOption(ndp.Target, theirs)), lla, inet.AllNodes)
	with := func(offset int, value byte) []byte {
		b := slices.Clone(good)
		b[offset] = value
		return b
	}
	solicited := advertisement()
	solicited.Solicited = true
	group := solicitation()
	group.TargetAddress = inet.AllNodes
	tagged := slices.Concat(good[:12], []byte{0x81, 0, 0, 7}, good[12:])
	tests := []struct {
		name  string
		frame []byte
	}{
		{"empty", nil},
		{"short", good[:headerLen+minMessage-1]},
		{"cut", good[:len(good)-1]},
		{"tagged", tagged},
		{"IPv4", with(13, 0)},
		{"version", with(ethernetLen, 0x40)},
		{"another protocol", with(ethernetLen+6, 17)},
		{"hop limit", with(ethernetLen+7, 254)},
		{"code", with(headerLen+1, 1)},
		{"checksum", with(headerLen+2, good[headerLen+2]^1)},
		{"solicited advertisement to a group", frame(t, solicited, lla, inet.AllNodes)},
		{"target is a group", frame(t, group, none, inet.SolicitedNode(target))},
		{"probe to all nodes", frame(t, solicitation(), none, inet.AllNodes)},
		{"probe with source option", frame(t, solicitation(macOption(ndp.Source, theirs)), none, inet.SolicitedNode(target))},
		{"router advertisement", frame(t, &ndp.RouterAdvertisement{}, lla, inet.AllNodes)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, err := parseFrame(test.frame); err == nil {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
	if _, err := parseOptions([]byte{optNonce, 0, 0, 0, 0, 0, 0, 0}); err == nil {
		t.Error("an option without a length was taken")
	}
}

// TestParseRouterRefuses has what RFC 4861 6.1.2 says must be discarded.
//
// Shows RFC 4861 6.1.2 (validity).
func TestParseRouterRefuses(t *testing.T) {
	good := frame(t, &ndp.RouterAdvertisement{RouterLifetime: time.Minute}, lla, inet.AllNodes)
	if r, ok := parseRouter(good); !ok || r.Addr != lla || r.MAC != theirs || r.Lifetime != time.Minute {
		t.Errorf("got %+v, %v", r, ok)
	}
	with := func(offset int, value byte) []byte {
		b := slices.Clone(good)
		b[offset] = value
		return b
	}
	for name, b := range map[string][]byte{
		"empty":         nil,
		"cut":           good[:len(good)-1],
		"too short":     with(ethernetLen+5, 8),
		"hop limit":     with(ethernetLen+7, 254),
		"code":          with(headerLen+1, 1),
		"checksum":      with(headerLen+2, good[headerLen+2]^1),
		"global source": frame(t, &ndp.RouterAdvertisement{}, target, inet.AllNodes),
		"solicitation":  frame(t, solicitation(), lla, inet.AllNodes),
	} {
		if r, ok := parseRouter(b); ok {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

// Shows RFC 4862 5.4.3 (duplicates).
// Shows RFC 7527 4.2 (looped back).
func TestClaims(t *testing.T) {
	other := netip.MustParseAddr("2001:db8::42:ac11:3")
	tests := []struct {
		name string
		m    neighborMessage
		want bool
	}{
		{"advertisement", neighborMessage{target: target, source: lla, advertisement: true}, true},
		{"advertisement of another", neighborMessage{target: other, source: lla, advertisement: true}, false},
		{"resolution", neighborMessage{target: target, source: lla}, false},
		{"probe", neighborMessage{target: target, source: none}, true},
		{"probe with another nonce", neighborMessage{target: target, source: none, nonce: []byte{6, 5, 4, 3, 2, 1}}, true},
		{"own probe looped back", neighborMessage{target: target, source: none, nonce: nonce}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.m.claims(target, nonce); got != test.want {
				t.Errorf("claims = %v, want %v", got, test.want)
			}
		})
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add(frame(f, solicitation(nonceOption(nonce)), none, inet.SolicitedNode(target)))
	f.Add(frame(f, advertisement(macOption(ndp.Target, theirs)), lla, inet.AllNodes))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		// Let the fuzzer past the checksum, which it cannot guess.
		if len(b) >= headerLen+minMessage {
			b = slices.Clone(b)
			size := int(b[ethernetLen+4])<<8 | int(b[ethernetLen+5])
			if size >= minMessage && size <= len(b)-headerLen {
				body := b[headerLen : headerLen+size]
				body[2], body[3] = 0, 0
				sum := checksum(b[ethernetLen:headerLen], body)
				body[2], body[3] = byte(sum>>8), byte(sum)
			}
		}
		m, err := parseFrame(b)
		if err != nil {
			return
		}
		if !m.target.Is6() || m.target.IsMulticast() || !m.source.Is6() || len(b) < headerLen+minMessage {
			t.Errorf("accepted %+v from %x", m, b)
		}
	})
}
