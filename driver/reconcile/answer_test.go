package reconcile_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"

	"github.com/ndp6/ndp6/netutil/inet"
)

var byAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// TestAnswers asks in every way in which routers and neighbors ask, on every
// kind of link, and wants one answer to each.
//
// Shows RFC 4861 7.1.1 (unknown options).
// Shows RFC 4861 7.2.4 (target).
// Shows RFC 4861 7.2.4 (link-layer option).
// Shows RFC 4861 7.2.4 (solicited).
// Shows RFC 4861 7.2.4 (probe).
// Shows RFC 4861 7.2.4 (resolve).
// Shows RFC 4861 7.2.8 (override).
// Shows RFC 4861 7.3.3 (probe).
func TestAnswers(t *testing.T) {
	everyLink(t, func(l *linked) {
		t := l.t
		target, mac := box(0).Addrs[0], l.uplinkMAC(t)
		hostLLA, hostGUA := netip.MustParseAddr("fe80::5"), netip.MustParseAddr("2001:db8::5")
		solicited := func(source, destination netip.Addr) answer {
			return answer{From: mac, To: routerMAC, Source: source, Destination: destination, Target: target, Solicited: true, Owner: mac}
		}
		toAll := answer{From: mac, To: inet.MulticastMAC(inet.AllNodes), Source: hostLLA, Destination: inet.AllNodes, Target: target, Owner: mac}
		nonce := &ndp.RawOption{Type: 14, Length: 1, Value: []byte{1, 2, 3, 4, 5, 6}}
		for _, tt := range []struct {
			name string
			q    question
			want answer
		}{
			{"multicast, link-local source", multicast(routerLLA, target, sourceOption()), solicited(hostLLA, routerLLA)},
			{"multicast, global source", multicast(routerGUA, target, sourceOption()), solicited(hostGUA, routerGUA)},
			{"multicast, without source option", multicast(routerLLA, target), solicited(hostLLA, routerLLA)},
			{"multicast, global source without source option", multicast(routerGUA, target), solicited(hostGUA, routerGUA)},
			{"multicast, with an unknown option", multicast(routerLLA, target, unknownOption(), sourceOption()), solicited(hostLLA, routerLLA)},
			{"unicast, link-local source", unicast(routerLLA, target, mac, sourceOption()), solicited(hostLLA, routerLLA)},
			{"unicast, global source", unicast(routerGUA, target, mac, sourceOption()), solicited(hostGUA, routerGUA)},
			{"unicast, without source option", unicast(routerLLA, target, mac), solicited(hostLLA, routerLLA)},
			{"unicast, global source without source option", unicast(routerGUA, target, mac), solicited(hostGUA, routerGUA)},
			{"probe for a duplicate", multicast(nobody, target), toAll},
			{"probe for a duplicate, with a nonce", multicast(nobody, target, nonce), toAll},
		} {
			l.ask(tt.q)
			got, ok := l.hear(patience)
			if !ok {
				t.Errorf("%s: no answer", tt.name)
				continue
			}
			if !tt.q.destination.IsMulticast() && got.Owner == (inet.MAC{}) {
				got.Owner = mac // RFC 4861 4.4: the option may be omitted, as who asks knows it.
			}
			if diff := cmp.Diff(tt.want, got, byAddr); diff != "" {
				t.Errorf("%s: answer (-want +got):\n%s", tt.name, diff)
			}
		}
	})
}

// at returns what replaces an octet of a frame.
func at(offset int, value byte) func([]byte) []byte {
	return func(b []byte) []byte {
		b[offset] = value
		return b
	}
}

// fragmented puts the message into one fragment, of which there is no other.
func fragmented(b []byte) []byte {
	body := b[ethernetLen+ipv6Len:]
	whole := append(append([]byte{}, b[:ethernetLen+ipv6Len]...), 58, 0, 0, 0, 0, 0, 0, 9)
	whole[ethernetLen+5] += 8
	whole[ethernetLen+6] = 44
	return append(whole, body...)
}

// TestSilence sends solicitations that nobody may answer, each followed by one
// that is answered, which comes after it.
//
// Shows RFC 4861 7.1.1 (validity).
// Shows RFC 4861 7.2.3 (others).
// Shows RFC 6980 5 (receiving).
// Shows RFC 6583 6.1 (unused).
func TestSilence(t *testing.T) {
	for _, r := range responders() {
		t.Run(r.name, func(t *testing.T) {
			l := link(t, segments()[0], r)
			l.sync(t, box(1))
			l.settled(t)
			target, good, mac := box(0).Addrs[0], box(1).Addrs[0], l.uplinkMAC(t)
			const hopLimit, code, checksum, length = ethernetLen + 7, ethernetLen + ipv6Len + 1, ethernetLen + ipv6Len + 2, ethernetLen + ipv6Len + 24 + 1
			spoiled := func(q question, spoil func([]byte) []byte) question {
				q.spoil = spoil
				return q
			}
			asked := func() question { return multicast(routerLLA, target, sourceOption()) }
			group := multicast(routerLLA, target, sourceOption())
			group.target = inet.SolicitedNode(target)
			toAll := multicast(nobody, target)
			toAll.destination, toAll.to = inet.AllNodes, inet.MulticastMAC(inet.AllNodes)
			// The checksum agrees with what is changed, the low octet of a word.
			summed := func(offset, delta int) func([]byte) []byte {
				return func(b []byte) []byte {
					b[offset] += byte(delta)
					sum := b[checksum : checksum+2]
					binary.BigEndian.PutUint16(sum, binary.BigEndian.Uint16(sum)-uint16(delta))
					return b
				}
			}
			for name, q := range map[string]question{
				"hop limit":                     spoiled(asked(), at(hopLimit, 254)),
				"hop limit of a unicast":        spoiled(unicast(routerLLA, target, mac, sourceOption()), at(hopLimit, 254)),
				"checksum":                      spoiled(asked(), func(b []byte) []byte { b[checksum] ^= 1; return b }),
				"code":                          spoiled(asked(), summed(code, 1)),
				"option without length":         spoiled(asked(), summed(length, -1)),
				"target is a group":             group,
				"probe with a source option":    multicast(nobody, target, sourceOption()),
				"probe to all nodes":            toAll,
				"fragment":                      spoiled(asked(), fragmented),
				"address of nobody":             multicast(routerLLA, netip.MustParseAddr("2001:db8::a:0:0:99"), sourceOption()),
				"same group, address of nobody": multicast(routerLLA, netip.MustParseAddr("2001:db8::b:0:0:2"), sourceOption()),
				"unicast, address of nobody":    unicast(routerLLA, netip.MustParseAddr("2001:db8::a:0:0:99"), mac, sourceOption()),
			} {
				l.ask(q)
				l.ask(multicast(routerLLA, good, sourceOption()))
				if got, ok := l.hear(patience); !ok || got.Target != good {
					t.Errorf("%s: %+v, %t, want the answer to the next question", name, got, ok)
				}
				for quiet := false; !quiet; {
					late, ok := l.hear(20 * time.Millisecond)
					if quiet = !ok; ok && late.Target != good {
						t.Errorf("%s: answered late: %+v", name, late)
					}
				}
			}
		})
	}
}
