package doctor

import (
	"fmt"
	"strings"

	"github.com/ndp6/ndp6/netutil/judge"
	"github.com/ndp6/ndp6/netutil/nft"
)

func firewallChecks() []check { return []check{rules, drops, taken} }

func rules(f *Facts) []Finding {
	if f.Rules == nil || *f.Rules {
		return nil
	}
	return []Finding{{
		Code: RulesMissing, Severity: Error, What: "the rules of ndp6 are gone from nftables",
		Why:    "containers are open to everybody, as far as other firewalls let packets pass, and ports of the host do not lead to them",
		Fix:    []string{"systemctl restart ndp6 || { docker plugin disable -f ndp6-net && docker plugin enable ndp6-net; }"},
		Advice: "before Linux 6.9 nft flush ruleset takes them too, until the running ndp6 sets them again, within milliseconds",
	}}
}

// drops finds chains of others that drop what is ours. A chain of our own that
// drops does what it should.
func drops(f *Facts) []Finding {
	var out []Finding
	seen := make(map[string]bool)
	for _, h := range f.Hops {
		finding, ok := h.dropped()
		if key := finding.What; ok && !seen[key] {
			seen[key] = true
			out = append(out, finding)
		}
	}
	return out
}

// dropped says who drops the packet, if others do.
func (h Hop) dropped() (Finding, bool) {
	bridge := h.Network.Bridge
	what, unless := "echo requests", ""
	if h.Packet.Destination.Is4() {
		what = "IPv4 echo requests"
	}
	if h.Packet.Port != 0 {
		what = fmt.Sprintf("what is published on port %d/%s of %s", h.Packet.Port, nft.Proto(h.Packet.Proto), h.Packet.Destination)
	}
	direction := "to containers of"
	if h.Outward {
		direction = "from containers of"
	}
	finding := Finding{
		Code: FirewallDrop, Severity: Error,
		Why: "the host passes a packet on only if no chain drops it, whatever the rules of ndp6 say",
	}
	for _, v := range h.Verdicts {
		if v.Table == nft.Owner && v.Drop {
			return Finding{}, false
		}
		if !v.Drop {
			continue
		}
		if v.Unsure {
			unless = "; rules before it let some packets pass that depend on more"
		}
		finding.What = fmt.Sprintf("chain %s of table %s %s drops %s %s bridge %s%s", strings.Join(v.Way, " > "), v.Family, v.Table, what, direction, bridge, unless)
		finding.Fix, finding.Advice = accept(v, bridge)
		return finding, true
	}
	if h.Used && h.Legacy.Drop {
		finding.What = fmt.Sprintf("chain FORWARD of %s drops %s %s bridge %s", h.Legacy.Command, what, direction, bridge)
		finding.Fix = []string{
			fmt.Sprintf("%s -I FORWARD -o %s -j ACCEPT", h.Legacy.Command, bridge),
			fmt.Sprintf("%s -I FORWARD -i %s -j ACCEPT", h.Legacy.Command, bridge),
		}
		finding.Advice = acceptAdvice
		return finding, true
	}
	return Finding{}, false
}

const acceptAdvice = "this opens nothing: the rules of ndp6 come first and drop what is not published. A running ndp6 keeps a rule at the end of FORWARD that does it; a rule of yours before that counts more"

// accept are the commands that let a network's packets pass a chain.
func accept(v judge.Verdict, bridge string) (fix []string, advice string) {
	way := strings.Join(v.Way, " ")
	switch {
	case v.Table == "firewalld":
		return []string{
			"firewall-cmd --zone=ndp6 --add-interface=" + bridge,
		}, "a running ndp6 does it unless it was started with --firewalld ignore, or cannot reach the system bus; where there is no zone ndp6, docs/firewall.md has the commands that make it"
	case strings.Contains(way, "ufw"):
		return []string{"ufw route allow out on " + bridge, "ufw route allow in on " + bridge}, acceptAdvice
	}
	chain := fmt.Sprintf("nft insert rule %s %s %s", v.Family, v.Table, v.Way[0])
	return []string{
		fmt.Sprintf(`%s oifname "%s" accept`, chain, bridge),
		fmt.Sprintf(`%s iifname "%s" accept`, chain, bridge),
	}, acceptAdvice
}

func taken(f *Facts) []Finding {
	var out []Finding
	for _, t := range f.Taken {
		out = append(out, Finding{
			Code: PortTaken, Severity: Error,
			What:   fmt.Sprintf("process %d (%s) has port %d/%s, which container %s publishes", t.PID, t.Command, t.HostPort, nft.Proto(t.Port.Proto), t.Port.Addr),
			Why:    "from outside the port leads to the container, from the host itself to that process; a container started later is refused the port",
			Fix:    []string{fmt.Sprintf("kill %d", t.PID)},
			Advice: "or publish another port",
		})
	}
	return out
}
