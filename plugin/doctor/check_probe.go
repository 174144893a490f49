package doctor

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

func probeChecks() []check { return []check{eachUplink(duplicates), eachUplink(echoes)} }

func duplicates(_ *Facts, u Uplink) []Finding {
	var out []Finding
	for _, addr := range slices.SortedFunc(maps.Keys(u.Probe.Owners), netip.Addr.Compare) {
		out = append(out, Finding{
			Code: DuplicateAddress, Severity: Error,
			What:   fmt.Sprintf("the host with MAC %s on uplink %s answers for %s as well", u.Probe.Owners[addr], u.Name, addr),
			Why:    "the router sends to whoever it heard last, so that the container is reached at times",
			Advice: "another host has the address, or proxies for it: ndppd, another ndp6 with the same pool, or a bridge that leads back here. Give each host a pool of its own",
		})
	}
	return out
}

// echoes judges how the router looked for addresses of ours.
func echoes(f *Facts, u Uplink) []Finding {
	var out []Finding
	for _, addr := range slices.SortedFunc(maps.Keys(u.Probe.Echoes), netip.Addr.Compare) {
		e := u.Probe.Echoes[addr]
		switch {
		case e.Replied:
		case e.Solicited && !e.Answered:
			out = append(out, Finding{
				Code: ProxySilent, Severity: Error,
				What: fmt.Sprintf("the router asked for %s on %s, and this host did not answer", addr, u.Name),
				Why:  "the router gives up and tells clients that the address cannot be reached",
				Advice: "see to the findings before this one first: proxy entry, proxy_ndp, forwarding. If there are none, " +
					"a firewall drops neighbor solicitations in INPUT, or answers in OUTPUT",
			})
		case !e.Solicited:
			out = append(out, Finding{
				Code: SolicitationLost, Severity: Warning,
				What: fmt.Sprintf("the router did not answer %s, nor ask for it on %s", addr, u.Name),
				Why:  "its solicitations do not come here, or it takes another host for the owner: the container is not reached from outside",
				Advice: "a switch with MLD snooping and no querier loses solicitations (let it flood, or give it a querier); " +
					"some providers filter addresses by MAC (have them route the prefix to this host, use the modes nat or nptv6); " +
					"a router that answers no echo requests shows the same and is all right",
			})
		}
	}
	return out
}
