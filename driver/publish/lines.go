package publish

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/driver/firewall"
)

// Lines describes ports for people, as docker ps does: 0.0.0.0:8080->80/tcp,
// and [2001:db8::a]:80/tcp for one at the container's own address.
func Lines(addrs []netip.Addr, published []firewall.Published) []string {
	var lines []string
	add := func(line string) {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	for _, p := range published {
		if p.HostPort != 0 {
			add(fmt.Sprintf("%s->%d/%s", netip.AddrPortFrom(p.HostAddr, p.HostPort), p.Port, protoName(p.Proto)))
		}
		if !p.Direct {
			continue
		}
		for _, a := range addrs {
			if a = a.Unmap(); a.Is4() == p.HostAddr.Is4() && !a.IsLinkLocalUnicast() {
				add(fmt.Sprintf("%s/%s", netip.AddrPortFrom(a, p.Port), protoName(p.Proto)))
			}
		}
	}
	return lines
}
