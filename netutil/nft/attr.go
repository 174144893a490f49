package nft

import (
	"encoding/binary"
	"errors"
	"iter"

	"golang.org/x/sys/unix"
)

// nfgenSize is the size of the header that nfnetlink puts before attributes.
const nfgenSize = 4

var errShort = errors.New("netlink message is cut off")

// encoder builds netlink messages one after the other.
type encoder struct{ b []byte }

// begin starts a message; end of what it returns ends it.
func (e *encoder) begin(msg, flags uint16, seq uint32, family byte, resource uint16) (start int) {
	start = len(e.b)
	e.b = binary.NativeEndian.AppendUint32(e.b, 0)
	e.b = binary.NativeEndian.AppendUint16(e.b, msg)
	e.b = binary.NativeEndian.AppendUint16(e.b, flags|unix.NLM_F_REQUEST)
	e.b = binary.NativeEndian.AppendUint32(e.b, seq)
	e.b = binary.NativeEndian.AppendUint32(e.b, 0)
	e.b = append(e.b, family, unix.NFNETLINK_V0)
	e.b = binary.BigEndian.AppendUint16(e.b, resource)
	return start
}

func (e *encoder) end(start int) { binary.NativeEndian.PutUint32(e.b[start:], uint32(len(e.b)-start)) }

// open starts an attribute that holds attributes; shut of what it returns ends it.
func (e *encoder) open(t uint16) (start int) {
	start = len(e.b)
	e.b = binary.NativeEndian.AppendUint16(e.b, 0)
	e.b = binary.NativeEndian.AppendUint16(e.b, t|unix.NLA_F_NESTED)
	return start
}

func (e *encoder) shut(start int) {
	binary.NativeEndian.PutUint16(e.b[start:], uint16(len(e.b)-start)) //nolint:gosec // elements, the most of all, come in chunks.
}

func (e *encoder) bytes(t uint16, data []byte) {
	e.b = binary.NativeEndian.AppendUint16(e.b, uint16(4+len(data))) //nolint:gosec // likewise.
	e.b = binary.NativeEndian.AppendUint16(e.b, t)
	e.b = append(e.b, data...)
	e.pad(len(data))
}

func (e *encoder) string(t uint16, s string) {
	e.b = binary.NativeEndian.AppendUint16(e.b, uint16(4+len(s)+1)) //nolint:gosec // names are short.
	e.b = binary.NativeEndian.AppendUint16(e.b, t)
	e.b = append(append(e.b, s...), 0)
	e.pad(len(s) + 1)
}

func (e *encoder) uint32(t uint16, v uint32) {
	e.b = binary.NativeEndian.AppendUint16(e.b, 8)
	e.b = binary.NativeEndian.AppendUint16(e.b, t)
	e.b = binary.BigEndian.AppendUint32(e.b, v)
}

func (e *encoder) uint64(t uint16, v uint64) {
	e.b = binary.NativeEndian.AppendUint16(e.b, 12)
	e.b = binary.NativeEndian.AppendUint16(e.b, t)
	e.b = binary.BigEndian.AppendUint64(e.b, v)
}

func (e *encoder) pad(n int) {
	for ; n%4 != 0; n++ {
		e.b = append(e.b, 0)
	}
}

// attrs returns the attributes in b with their types; it stops where they are cut off.
func attrs(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			n := int(binary.NativeEndian.Uint16(b))
			if n < 4 || n > len(b) {
				return
			}
			t := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if !yield(t, b[4:n]) {
				return
			}
			b = b[min((n+3)&^3, len(b)):]
		}
	}
}

// text returns an attribute that is a string.
func text(b []byte) string {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return string(b)
}

// number returns an attribute that is a 32-bit number, 0 if it is none.
func number(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

// number64 returns an attribute that is a 64-bit number, 0 if it is none.
func number64(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// message is a netlink message that was received.
type message struct {
	kind, flags uint16
	seq, port   uint32
	data        []byte // after the netlink header
}

// messages splits what was received at once.
func messages(b []byte) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		for len(b) > 0 {
			if len(b) < unix.NLMSG_HDRLEN {
				yield(message{}, errShort)
				return
			}
			n := int(binary.NativeEndian.Uint32(b))
			if n < unix.NLMSG_HDRLEN || n > len(b) {
				yield(message{}, errShort)
				return
			}
			m := message{
				kind:  binary.NativeEndian.Uint16(b[4:]),
				flags: binary.NativeEndian.Uint16(b[6:]),
				seq:   binary.NativeEndian.Uint32(b[8:]),
				port:  binary.NativeEndian.Uint32(b[12:]),
				data:  b[unix.NLMSG_HDRLEN:n],
			}
			if !yield(m, nil) {
				return
			}
			b = b[min((n+3)&^3, len(b)):]
		}
	}
}

// errno returns the error that an NLMSG_ERROR or NLMSG_DONE message carries.
func (m message) errno() error {
	if len(m.data) < 4 {
		return nil // a DONE need not say that there was no error
	}
	if code := int32(binary.NativeEndian.Uint32(m.data)); code < 0 { //nolint:gosec // it is one, in two's complement.
		return unix.Errno(-code)
	}
	return nil
}
