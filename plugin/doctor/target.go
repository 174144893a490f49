package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// A Target is an address of a container, and a port of it.
type Target struct {
	Addr netip.Addr
	// Port is 0 where an echo request is meant.
	Port  uint16
	Proto uint8
}

// ParseTarget reads an address, or an address and a port with or without a
// protocol: 2001:db8::2, [2001:db8::2]:80, 10.1.0.2:53/udp.
func ParseTarget(s string) (Target, error) {
	rest, proto, given := strings.Cut(s, "/")
	t := Target{Proto: protoTCP}
	switch {
	case !given || proto == "tcp":
	case proto == "udp":
		t.Proto = protoUDP
	default:
		return Target{}, fmt.Errorf("protocol %q of %q: want tcp or udp", proto, s)
	}
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]")); err == nil {
		if given {
			return Target{}, fmt.Errorf("%q has a protocol and no port: want [2001:db8::2]:80 or 10.1.0.2:53/udp", s)
		}
		t.Addr = addr.Unmap().WithZone("")
		t.Proto = protoICMPv6
		if t.Addr.Is4() {
			t.Proto = protoICMP
		}
		return t, nil
	}
	ap, err := netip.ParseAddrPort(rest)
	if err != nil || ap.Port() == 0 {
		return Target{}, fmt.Errorf("%q is not an address: want 2001:db8::2, [2001:db8::2]:80 or 10.1.0.2:53/udp", s)
	}
	t.Addr, t.Port = ap.Addr().Unmap().WithZone(""), ap.Port()
	return t, nil
}

// String is the target as ParseTarget reads it.
func (t Target) String() string {
	switch {
	case t.Port == 0:
		return t.Addr.String()
	case t.Proto == protoUDP:
		return netip.AddrPortFrom(t.Addr, t.Port).String() + "/udp"
	}
	return netip.AddrPortFrom(t.Addr, t.Port).String() + "/tcp"
}

// ErrUnknown is wrapped by the error about an address that no container has.
var ErrUnknown = errors.New("no container of ndp6 has this address")
