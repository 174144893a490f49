package nft

import (
	"fmt"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Labeled matches packets of flows that have this connection label, 0 to 127,
// and no other. No flow has one where the kernel does not know labels.
type Labeled uint8

// String returns the match as nft prints it.
func (l Labeled) String() string { return fmt.Sprintf("ct label == %d", uint8(l)) }

func (l Labeled) compile(Family) []expr.Any {
	// To compare all of them costs less than to look at one.
	return []expr.Any{&expr.Ct{Key: expr.CtKeyLABELS, Register: unix.NFT_REG_1}, compare(false, label(l))}
}

// SetLabel gives the packet's flow a connection label, 0 to 127, and leaves the
// others. It does nothing where the kernel does not know labels.
type SetLabel uint8

// String returns the action as nft prints it.
func (l SetLabel) String() string { return fmt.Sprintf("ct label set %d", uint8(l)) }

func (l SetLabel) compile(Family) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: unix.NFT_REG_1, Data: label(l)},
		&expr.Ct{Key: expr.CtKeyLABELS, Register: unix.NFT_REG_1, SourceRegister: true},
	}
}

// label returns the 128 labels with one of them set.
func label[L Labeled | SetLabel](l L) []byte {
	b := make([]byte, 16)
	b[l/8] = 1 << (l % 8)
	return b
}

// unlabeled returns what is left of a table for a kernel without labels.
func (t Table) unlabeled() Table {
	t.Chains = slices.Clone(t.Chains)
	for i := range t.Chains {
		c := &t.Chains[i]
		c.Rules = slices.Clone(c.Rules)
		for j, r := range c.Rules {
			c.Rules[j] = slices.DeleteFunc(slices.Clone(r), isA[SetLabel])
		}
		c.Rules = slices.DeleteFunc(c.Rules, func(r Rule) bool {
			return len(r) == 0 || slices.ContainsFunc(r, isA[Labeled])
		})
	}
	return t
}

func isA[S Statement](s Statement) bool {
	_, ok := s.(S)
	return ok
}
