package judge

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// registers are the 64 bytes that expressions hand values on in, and which of
// them are known.
type registers struct {
	data  [64]byte
	known [64]bool
}

// at is where a register starts: there are four of 16 bytes, and sixteen of
// four in the same place.
func at(register uint32) int {
	const small = 8 // NFT_REG32_00
	if register >= small {
		return int(register-small) * 4
	}
	return int(register-1) * 16
}

func (r *registers) write(register uint32, value []byte) {
	i := at(register)
	if i < 0 || i+len(value) > len(r.data) {
		return
	}
	// The kernel fills the last word.
	for j := range (len(value) + 3) &^ 3 {
		r.data[i+j], r.known[i+j] = 0, true
	}
	copy(r.data[i:], value)
}

func (r *registers) forget(register uint32, size int) {
	for i := at(register); size > 0 && i >= 0 && i < len(r.known); i, size = i+1, size-1 {
		r.known[i] = false
	}
}

func (r *registers) read(register uint32, size int) ([]byte, bool) {
	i := at(register)
	if i < 0 || i+size > len(r.data) {
		return nil, false
	}
	for _, known := range r.known[i : i+size] {
		if !known {
			return nil, false
		}
	}
	return r.data[i : i+size], true
}

// most is how many bytes a value has at most.
const most = 16

// load runs an expression that loads or changes a register. It returns no
// where the packet does not have what is loaded, which ends the rule.
func (m *machine) load(x any, r *registers) answer {
	switch x := x.(type) {
	case *expr.Meta:
		if x.SourceRegister {
			if v, ok := r.read(x.Register, 4); ok && x.Key == expr.MetaKeyMARK {
				m.mark = binary.NativeEndian.Uint32(v)
			}
			return yes
		}
		m.put(r, x.Register, m.packet.meta(uint32(x.Key), m.mark), most)
	case *expr.Payload:
		if x.OperationType == expr.PayloadLoad {
			m.put(r, x.DestRegister, m.packet.payload(x), int(x.Len))
		}
	case *expr.Ct:
		if !x.SourceRegister {
			if v, ok := familyOf(x.Key); ok && v != m.packet.Destination.Is4() {
				return no
			}
			m.put(r, x.Register, m.packet.flow(x.Key), most)
		}
	case *expr.Immediate:
		r.write(x.Register, x.Data)
	case *expr.Bitwise:
		v, ok := r.read(x.SourceRegister, int(x.Len))
		if !ok || len(x.Mask) != len(v) || len(x.Xor) != len(v) {
			r.forget(x.DestRegister, int(x.Len))
			return yes
		}
		out := make([]byte, len(v))
		for i := range v {
			out[i] = v[i]&x.Mask[i] ^ x.Xor[i]
		}
		r.write(x.DestRegister, out)
	case unknown:
		clear(r.known[:])
	default: // nothing that a later expression reads
	}
	return yes
}

func (m *machine) put(r *registers, register uint32, value []byte, size int) {
	if value == nil {
		r.forget(register, size)
		return
	}
	r.write(register, value)
}

// Keys of meta that the library has no names for.
const (
	metaInputKind  = 26 // NFT_META_IIFKIND
	metaOutputKind = 27 // NFT_META_OIFKIND
)

// meta returns a property of the packet, nil where it is not known.
func (p Packet) meta(key, mark uint32) []byte {
	switch key {
	case unix.NFT_META_IIFNAME:
		return name(p.In.Name)
	case unix.NFT_META_OIFNAME:
		return name(p.Out.Name)
	case unix.NFT_META_IIF:
		return native(uint32(p.In.Index))
	case unix.NFT_META_OIF:
		return native(uint32(p.Out.Index))
	case metaInputKind:
		return name(p.In.Kind)
	case metaOutputKind:
		return name(p.Out.Kind)
	case unix.NFT_META_MARK:
		return native(mark)
	case unix.NFT_META_NFPROTO:
		if p.Destination.Is4() {
			return []byte{unix.NFPROTO_IPV4}
		}
		return []byte{unix.NFPROTO_IPV6}
	case unix.NFT_META_L4PROTO:
		return []byte{p.Proto}
	case unix.NFT_META_PROTOCOL:
		if p.Destination.Is4() {
			return binary.BigEndian.AppendUint16(nil, unix.ETH_P_IP)
		}
		return binary.BigEndian.AppendUint16(nil, unix.ETH_P_IPV6)
	default:
		return nil
	}
}

// flow returns what conntrack says of the first packet of a flow that nobody
// translated.
func (p Packet) flow(key expr.CtKey) []byte {
	switch key {
	case expr.CtKeySTATE:
		return native(expr.CtStateBitNEW)
	case expr.CtKeyDIRECTION:
		return []byte{0}
	case expr.CtKeySTATUS, expr.CtKeyMARK:
		return native(0)
	case expr.CtKeyLABELS:
		return make([]byte, most)
	case expr.CtKeySRC, ctSource4, ctSource6:
		return p.Source.AsSlice()
	case expr.CtKeyDST, ctDestination4, ctDestination6:
		return p.Destination.AsSlice()
	default:
		return nil
	}
}

// The addresses of one family, which the library has no names for.
const (
	ctSource4      = expr.CtKey(19) // NFT_CT_SRC_IP
	ctDestination4 = expr.CtKey(20) // NFT_CT_DST_IP
	ctSource6      = expr.CtKey(21) // NFT_CT_SRC_IP6
	ctDestination6 = expr.CtKey(22) // NFT_CT_DST_IP6
)

// familyOf returns whether an address of a flow is one of IPv4, and false where
// the key is of no family. A rule that asks for the other family's ends.
func familyOf(key expr.CtKey) (four, ok bool) {
	switch key {
	case ctSource4, ctDestination4:
		return true, true
	case ctSource6, ctDestination6:
		return false, true
	default:
		return false, false
	}
}

// payload returns a part of the packet's headers.
func (p Packet) payload(x *expr.Payload) []byte {
	var header []byte
	switch x.Base {
	case expr.PayloadBaseNetworkHeader:
		header = p.network()
	case expr.PayloadBaseTransportHeader:
		header = p.transport()
	default:
		return nil
	}
	if end := int(x.Offset + x.Len); end <= len(header) {
		return header[x.Offset:end]
	}
	return nil
}

func (p Packet) network() []byte {
	const hops = 64
	if p.Destination.Is4() {
		b := []byte{0x45, 0, 0, 40, 0, 0, 0, 0, hops, p.Proto, 0, 0}
		return append(append(b, p.Source.AsSlice()...), p.Destination.AsSlice()...)
	}
	b := []byte{0x60, 0, 0, 0, 0, 20, p.Proto, hops}
	return append(append(b, p.Source.AsSlice()...), p.Destination.AsSlice()...)
}

func (p Packet) transport() []byte {
	if p.Proto == unix.IPPROTO_ICMP || p.Proto == unix.IPPROTO_ICMPV6 {
		return []byte{p.ICMPType, 0}
	}
	b := binary.BigEndian.AppendUint16(nil, p.SourcePort)
	return binary.BigEndian.AppendUint16(b, p.Port)
}

func name(s string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, s)
	return b
}

func native(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
