package responder_test

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/netutil/inet"
)

// A fate is what becomes of a frame.
type fate struct {
	verdict int32
	// count is what is counted, empty if nothing is.
	count string
	// answer is the frame that goes out.
	answer []byte
}

// leave is the fate of what is left to the kernel.
var leave = fate{verdict: kernels}

func drop(why string) fate { return fate{verdict: dropped, count: why} }

// model says what the program does with a frame, after the RFC and not after
// the program. Solicitations for unknown addresses may also be dropped because
// there were many: then limited is true.
func model(frame []byte) (f fate, limited bool) {
	const ns = 14 + 40 + 24
	if len(frame) < ns || binary.BigEndian.Uint16(frame[12:]) != 0x86dd {
		return leave, false
	}
	ip, body := frame[14:54], frame[54:]
	if ip[0]>>4 != 6 || ip[6] != 58 || body[0] != 135 {
		return leave, false
	}
	to, from := inet.MAC(frame), inet.MAC(frame[6:])
	if to != ourMAC && to[0]&1 == 0 || from == ourMAC {
		return leave, false
	}
	src, dst, asked := netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:])), netip.AddrFrom16([16]byte(body[8:]))
	probe := src.IsUnspecified()
	switch {
	case asked == target:
	case pool.Contains(asked) && !probe && asked == own:
		return leave, false
	case pool.Contains(asked) && !probe:
		return drop("unassigned"), false
	default:
		return leave, true
	}
	length := int(binary.BigEndian.Uint16(ip[4:]))
	switch {
	case ip[7] != 255:
		return drop("hop_limit"), false
	case body[1] != 0:
		return drop("code"), false
	case length < 24 || length%8 != 0:
		return drop("length"), false
	case length > 24+16*8 || length > len(body):
		return leave, false
	}
	body = body[:length] // What is behind is padding.
	solicited := netip.MustParsePrefix("ff02::1:ff00:0/104").Contains(dst)
	at, ok := options(body[24:])
	switch {
	case sum(src, dst, body) != 0xffff:
		return drop("checksum"), false
	case src.IsMulticast():
		return drop("source"), false
	case probe && !solicited:
		return drop("destination"), false
	case !ok || probe && at != nil:
		return drop("option"), false
	case dst != target && dst != inet.SolicitedNode(target):
		return leave, false
	}
	flags, kind := byte(0x40), "unicast"
	if solicited {
		kind = "multicast"
	}
	back := from
	if at != nil {
		back = inet.MAC(at)
	}
	if probe {
		flags, kind, src = 0, "probe", inet.AllNodes
		back = inet.MulticastMAC(src)
	}
	na := slices.Concat([]byte{136, 0, 0, 0, flags, 0, 0, 0}, target.AsSlice(), []byte{2, 1}, ourMAC[:])
	return fate{answered, kind, message(ourMAC, back, linkLocal, src, 255, na)}, false
}

// options returns the first source link-layer address, nil if there is none,
// and whether the options are whole.
func options(b []byte) (source []byte, ok bool) {
	for len(b) > 0 {
		n := 8 * int(b[1])
		if n == 0 || n > len(b) || b[0] == 1 && n != 8 {
			return nil, false
		}
		if b[0] == 1 && source == nil {
			source = b[2:8]
		}
		b = b[n:]
	}
	return source, true
}
