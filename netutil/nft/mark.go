package nft

import (
	"encoding/binary"
	"fmt"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// MarkHas matches packets whose mark has all of these bits.
type MarkHas uint32

// String returns the match as nft prints it.
func (m MarkHas) String() string {
	return fmt.Sprintf("meta mark & %#08x == %#08x", uint32(m), uint32(m))
}

func (m MarkHas) compile(Family) []expr.Any { return compareMark(uint32(m), uint32(m)) }

// MarkLacks matches packets whose mark has none of these bits.
type MarkLacks uint32

// String returns the match as nft prints it.
func (m MarkLacks) String() string {
	return fmt.Sprintf("meta mark & %#08x == 0x00000000", uint32(m))
}

func (m MarkLacks) compile(Family) []expr.Any { return compareMark(uint32(m), 0) }

func compareMark(mask, want uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
		bitwise(mask, 0),
		compare(false, native(want)),
	}
}

// SetMark sets these bits of the packet's mark and leaves the others.
type SetMark uint32

// String returns the action as nft prints it.
func (m SetMark) String() string {
	return fmt.Sprintf("meta mark set meta mark | %#08x", uint32(m))
}

func (m SetMark) compile(Family) []expr.Any { return changeMark(^uint32(m), uint32(m)) }

// ClearMark clears these bits of the packet's mark and leaves the others.
type ClearMark uint32

// String returns the action as nft prints it.
func (m ClearMark) String() string {
	return fmt.Sprintf("meta mark set meta mark & %#08x", ^uint32(m))
}

func (m ClearMark) compile(Family) []expr.Any { return changeMark(^uint32(m), 0) }

func changeMark(mask, xor uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
		bitwise(mask, xor),
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: unix.NFT_REG_1},
	}
}

func bitwise(mask, xor uint32) *expr.Bitwise {
	return &expr.Bitwise{
		SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
		Mask: native(mask), Xor: native(xor),
	}
}

// native returns v as the kernel keeps a mark: in the byte order of the host.
func native(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
