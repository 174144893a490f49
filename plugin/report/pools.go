package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/ipam"
)

// writePools writes a network's pools, with what IPAM says of them. Pools of
// Docker's own IPAM it does not know.
func writePools(b *strings.Builder, pools []driver.PoolStatus, known []ipam.PoolStatus) {
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
			writeOrigin(b, known[i])
		}
	}
}

// writeOthers writes the pools that no network of ndp6's driver has: those of
// networks of other drivers, say.
func writeOthers(b *strings.Builder, networks []driver.NetworkStatus, known []ipam.PoolStatus) {
	mine := make(map[netip.Prefix]bool)
	for _, n := range networks {
		for _, p := range n.Pools {
			mine[p.Prefix] = true
		}
	}
	for _, k := range known {
		if !mine[k.Prefix] {
			fmt.Fprintf(b, "pool %s  of no network of this driver\n", k.Prefix)
			writeOrigin(b, k)
			b.WriteByte('\n')
		}
	}
}

// writeOrigin writes where a pool came from and how full it is.
func writeOrigin(b *strings.Builder, p ipam.PoolStatus) {
	text := "from " + p.Source
	if p.Source == "given" || p.Source == "rebuilt" || p.Source == "claimed" {
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
	wrap(b, indent, text)
}
