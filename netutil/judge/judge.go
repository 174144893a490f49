// Package judge follows a packet through the nftables of a namespace, those of
// whoever made them, and says which chain would let it pass and which would not.
//
// It sends nothing and changes nothing: it reads the rules and does as the
// kernel would. What it cannot know of a packet, such as who opened its socket,
// no rule matches; a verdict that may depend on that is marked as unsure.
package judge

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// A Link is one that the packet comes in by or goes out by.
type Link struct {
	Name  string
	Index int
	Kind  string // as the kernel calls its driver, such as bridge
}

// A Packet is the first of a new flow that the host is about to forward.
type Packet struct {
	In, Out             Link
	Source, Destination netip.Addr
	Proto               uint8 // IANA's number
	SourcePort, Port    uint16
	// ICMPType is that of an ICMP or ICMPv6 message.
	ICMPType uint8
	// Mark is that of the packet before the first chain.
	Mark uint32
}

// A Verdict is what one chain of the forward hook does.
type Verdict struct {
	Family, Table, Chain string
	Priority             int
	Drop                 bool
	// Policy is set where no rule decided, but the chain's policy.
	Policy bool
	// Way are the chains that the packet went through, the one that decided last.
	Way []string
	// Counter is the named counter of the rule that decided, or empty; Packets
	// is what that, or the rule itself, has counted. Counted is false where
	// nothing counts.
	Counter string
	Packets uint64
	Counted bool
	// Unsure is set where a rule came before that may match or not.
	Unsure bool
}

// Forward returns what each chain of the forward hook does with the packet, in
// the order in which it meets them, until one drops it. It needs CAP_NET_ADMIN,
// and reads the namespace of the calling thread.
func Forward(p Packet) ([]Verdict, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	all, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("list chains: %w", err)
	}
	m := &machine{conn: conn, packet: p, mark: p.Mark, chains: make(map[place]*nftables.Chain), sets: make(map[place]*set)}
	var bases []*nftables.Chain
	for _, c := range all {
		m.chains[place{c.Table.Family, c.Table.Name, c.Name}] = c
		if c.Hooknum != nil && *c.Hooknum == unix.NF_INET_FORWARD && c.Type == nftables.ChainTypeFilter && m.sees(c.Table.Family) {
			bases = append(bases, c)
		}
	}
	slices.SortStableFunc(bases, func(a, b *nftables.Chain) int { return cmp.Compare(priority(a), priority(b)) })
	var out []Verdict
	for _, c := range bases {
		v, err := m.base(c)
		if errors.Is(err, unix.ENOENT) {
			continue // It went meanwhile.
		}
		if err != nil {
			return nil, fmt.Errorf("read chain %s of table %s: %w", c.Name, c.Table.Name, err)
		}
		if out = append(out, v); v.Drop {
			break
		}
	}
	return out, nil
}

func priority(c *nftables.Chain) int {
	if c.Priority == nil {
		return 0
	}
	return int(*c.Priority)
}

// place is where a chain is.
type place struct {
	family       nftables.TableFamily
	table, chain string
}

// sees reports whether chains of that family meet the packet.
func (m *machine) sees(f nftables.TableFamily) bool {
	switch f {
	case nftables.TableFamilyINet:
		return true
	case nftables.TableFamilyIPv6:
		return m.packet.Destination.Is6()
	case nftables.TableFamilyIPv4:
		return m.packet.Destination.Is4()
	default:
		return false
	}
}

// familyName is what nft calls a family.
func familyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	default:
		return "inet"
	}
}

// base returns what a chain with a hook does.
func (m *machine) base(c *nftables.Chain) (Verdict, error) {
	v := Verdict{Family: familyName(c.Table.Family), Table: c.Table.Name, Chain: c.Name, Priority: priority(c)}
	m.unsure = false
	out, err := m.walk(c, []string{c.Name})
	if err != nil {
		return v, err
	}
	v.Unsure = m.unsure
	if out.done {
		v.Drop, v.Way, v.Counter, v.Packets, v.Counted = out.drop, out.way, out.counter, out.packets, out.counted
		return v, nil
	}
	v.Policy, v.Way = true, []string{c.Name}
	v.Drop = c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop
	return v, nil
}
