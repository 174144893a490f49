// Package frames builds the Ethernet frames that a container may, and those
// that it must not send to its neighbors. It is for tests only.
package frames

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/ndp6/ndp6/netutil/inet"
)

// Host is a station on a bridge. Its link-local address is LLA, or what its
// MAC gives if that is the zero Addr.
type Host struct {
	MAC   inet.MAC
	LLA   netip.Addr
	Addr6 netip.Addr
	Addr4 netip.Addr
}

func (h Host) lla() netip.Addr {
	if h.LLA.IsValid() {
		return h.LLA
	}
	return inet.LinkLocal(h.MAC)
}

// Scene is who there is on a bridge: the container that sends the frames,
// another that receives them, and the host, the gateway of both.
type Scene struct {
	Sender, Neighbor, Gateway Host
}

// Frame is a frame from the sender that the neighbor, or everybody, receives
// where nothing is guarded.
type Frame struct {
	Name  string
	Legit bool // a container may send it; otherwise a guard has to drop it
	Eaten bool // no Linux bridge forwards it, with a guard or without
	Bytes []byte
}

// Captured returns what a packet socket reads where the frame arrives: the
// kernel takes a VLAN tag off.
func (f Frame) Captured() []byte {
	if binary.BigEndian.Uint16(f.Bytes[12:]) != typeVLAN {
		return f.Bytes
	}
	return append(bytes.Clone(f.Bytes[:12]), f.Bytes[16:]...)
}

// All returns every frame. No two are captured alike.
func (s Scene) All() []Frame {
	all := s.legit()
	all = append(all, s.routing()...)
	all = append(all, s.neighbors()...)
	all = append(all, s.addresses()...)
	return append(all, s.links()...)
}

// Echo is an echo request from the sender to the neighbor, which a guard lets
// pass. Each id makes another.
func (s Scene) Echo(id uint16) Frame {
	return legit("echo", s.unicast6(s.Sender.Addr6, protoICMPv6, 64,
		icmpv6(s.Sender.Addr6, s.Neighbor.Addr6, 128, binary.BigEndian.AppendUint32(nil, uint32(id)))))
}

func legit(name string, b []byte) Frame { return Frame{Name: name, Legit: true, Bytes: b} }

func foreign(name string, b []byte) Frame { return Frame{Name: name, Bytes: b} }

// unicast6 sends from an address to the neighbor's.
func (s Scene) unicast6(from netip.Addr, next, hopLimit byte, payload []byte) []byte {
	return ethernet(s.Neighbor.MAC, s.Sender.MAC, typeIPv6, ipv6(from, s.Neighbor.Addr6, next, hopLimit, payload))
}

// multicast6 sends from an address to a group.
func (s Scene) multicast6(from, group netip.Addr, next, hopLimit byte, payload []byte) []byte {
	return ethernet(inet.MulticastMAC(group), s.Sender.MAC, typeIPv6, ipv6(from, group, next, hopLimit, payload))
}

// message sends an ICMPv6 message of neighbor discovery to a group.
func (s Scene) message(from, group netip.Addr, typ byte, body []byte) []byte {
	return s.multicast6(from, group, protoICMPv6, ndHopLimit, icmpv6(from, group, typ, body))
}

func (s Scene) unicast4(from netip.Addr, proto byte, payload []byte) []byte {
	return ethernet(s.Neighbor.MAC, s.Sender.MAC, typeIPv4, ipv4(from, s.Neighbor.Addr4, proto, payload))
}

func (s Scene) broadcastARP(op uint16, mac inet.MAC, from, to netip.Addr) []byte {
	return ethernet(inet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, s.Sender.MAC, typeARP, arp(op, mac, from, to))
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
