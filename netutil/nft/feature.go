package nft

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Table flags, and the attribute that says who owns a table.
const (
	tableOwned   = 0x2 // NFT_TABLE_F_OWNER: only the socket that made it may change it
	tablePersist = 0x4 // NFT_TABLE_F_PERSIST: it stays when that socket is closed
	tableOwner   = 7   // NFTA_TABLE_OWNER
)

// features is what the kernel can do.
type features struct {
	flags  uint32 // of our tables
	bridge bool
	nat    bool
	labels bool // of flows
}

// probe asks the kernel what it can do, in transactions that never happen and
// fit any generation: each takes as long as another of a busy firewall.
func (s *socket) probe() (features, error) {
	// Owned tables survive "nft flush ruleset". Owned without persist they
	// would not survive us, which opens the host when the process dies.
	out := features{flags: tableOwned | tablePersist}
	try := func(f Family, flags uint32, chain *Chain) error {
		var b batch
		addTable(&b, f.number(), probeTable, flags)
		if chain != nil {
			chain.add(&b, probeTable, f.number())
			for _, r := range chain.Rules {
				rule, err := compileRule(f.number(), r.compile(f))
				if err != nil {
					return err
				}
				addRule(&b, newRule{family: f.number(), table: probeTable, chain: chain.Name, list: rule.list})
			}
		}
		return s.transact(&b, 0, false)
	}
	if err := try(Inet, out.flags, nil); err != nil {
		out.flags = 0
	}
	filter := &Chain{Name: "probe", Hook: &Hook{Type: Filter, Point: Prerouting}}
	switch err := try(Inet, 0, filter); {
	case err == nil:
	case errors.Is(err, unix.EPERM):
		return out, err
	default:
		return out, fmt.Errorf("%w: %w", ErrNoNftables, err)
	}
	for _, p := range []struct {
		ok    *bool
		f     Family
		chain *Chain
	}{
		{&out.nat, Inet, &Chain{Name: "probe", Hook: &Hook{Type: NAT, Point: Postrouting, Priority: PrioritySourceNAT}}},
		{&out.bridge, Bridge, filter},
		{&out.labels, Inet, &Chain{Name: "probe", Rules: []Rule{{Labeled(0), SetLabel(0)}}}},
	} {
		*p.ok = try(p.f, 0, p.chain) == nil
	}
	return out, nil
}

// probeTable is a table that never comes to be.
const probeTable = Owner + "-probe"

// hasNAT reports whether a table rewrites addresses.
func hasNAT(tables []*kernelTable) bool {
	for _, t := range tables {
		for _, c := range t.source.Chains {
			if c.Hook != nil && c.Hook.Type == NAT {
				return true
			}
		}
	}
	return false
}
