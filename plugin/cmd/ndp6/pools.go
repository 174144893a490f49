package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/ipam"
)

// Of lines below the one that they belong to, and of all lines.
const (
	indent = "     "
	width  = 80
)

// printPools writes a network's pools, with what IPAM says of them. Pools of
// Docker's own IPAM it does not know.
func printPools(b *strings.Builder, pools []driver.PoolStatus, known []ipam.PoolStatus) {
	for _, p := range pools {
		line := "pool " + p.Prefix.String()
		switch gateway := "gateway " + p.Gateway.String(); {
		case !p.Gateway.IsValid():
		case len(line)+2+len(gateway) > width:
			line += "\n" + indent + gateway
		default:
			line += "  " + gateway
		}
		b.WriteString(line + "\n")
		for _, outside := range p.Outside {
			b.WriteString(indent + "outside " + outside.String() + "\n")
		}
		if i := slices.IndexFunc(known, func(k ipam.PoolStatus) bool { return k.Prefix == p.Prefix }); i >= 0 {
			printOrigin(b, known[i])
		}
	}
}

// printOthers writes the pools that no network of ndp6's driver has: those of
// networks of other drivers, say.
func printOthers(b *strings.Builder, networks []driver.NetworkStatus, known []ipam.PoolStatus) {
	mine := make(map[netip.Prefix]bool)
	for _, n := range networks {
		for _, p := range n.Pools {
			mine[p.Prefix] = true
		}
	}
	for _, k := range known {
		if !mine[k.Prefix] {
			fmt.Fprintf(b, "pool %s  of no network of this driver\n", k.Prefix)
			printOrigin(b, k)
			b.WriteByte('\n')
		}
	}
}

// printOrigin writes where a pool came from and how full it is.
func printOrigin(b *strings.Builder, p ipam.PoolStatus) {
	text := "from " + p.Source
	if p.Source == "given" || p.Source == "rebuilt" {
		text = p.Source
	}
	text += fmt.Sprintf(", %d", p.Leases)
	if p.Capacity > 0 {
		text += fmt.Sprintf(" of %d", p.Capacity)
	}
	text += " leased"
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
