package doctor

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ndp6/ndp6/netutil/nft"
)

func kernelChecks() []check {
	return []check{kernelRelease, kernelFeatures, ipv6, capabilities, neighborTable}
}

// oldest is the first release that ndp6 runs on.
var oldest = []int{5, 10}

func kernelRelease(f *Facts) []Finding {
	have := numbers(f.Kernel.Release)
	if len(have) < 2 {
		return nil
	}
	if before(have, oldest) {
		return []Finding{{
			Code: KernelOld, Severity: Error,
			What:   fmt.Sprintf("Linux %s is too old", f.Kernel.Release),
			Why:    "ndp6 needs Linux 5.10 or newer: what older ones lack is not worked around",
			Advice: "install a newer kernel and start the host with it; on Debian 11, Ubuntu 22.04 and RHEL 9 their own is new enough",
		}}
	}
	if !before(have, []int{5, 14}) && before(have, []int{5, 16}) && !f.allRespond() {
		return []Finding{{
			Code: KernelProxyUnicast, Severity: Note,
			What:   fmt.Sprintf("Linux %s may leave unicast solicitations for proxied addresses unanswered", f.Kernel.Release),
			Why:    "5.14 and 5.15 count the hop limit down before they look; routers then ask again by multicast, which is answered",
			Advice: "nothing to do unless connections stall every half minute; then a newer kernel helps",
		}}
	}
	return nil
}

// numbers reads the leading numbers of a version.
func numbers(version string) []int {
	var out []int
	for part := range strings.SplitSeq(version, ".") {
		n, digits := 0, 0
		for _, r := range part {
			if r < '0' || r > '9' {
				break
			}
			n, digits = n*10+int(r-'0'), digits+1
		}
		if digits == 0 {
			break
		}
		if out = append(out, n); digits < len(part) {
			break
		}
	}
	return out
}

// before reports whether version a is before b.
func before(a, b []int) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return len(a) < len(b)
}

func kernelFeatures(f *Facts) []Finding {
	var out []Finding
	lacks := func(code Code, what, why, module string) {
		out = append(out, Finding{
			Code: code, Severity: Error, What: what, Why: why,
			Fix:    []string{"modprobe " + module},
			Advice: "if there is no such module, the kernel was built without it: install the distribution's full kernel",
		})
	}
	rules := f.Kernel.Rules
	if errors.Is(rules, nft.ErrNoNftables) {
		lacks(KernelNoNftables, "the kernel has no nftables", "ndp6 keeps its firewall there: without it containers would be open to everybody", "nf_tables")
	}
	if errors.Is(rules, nft.ErrNoNAT) {
		lacks(KernelNoNAT, "the kernel's nftables cannot translate addresses", "published ports of the host, IPv4, and the modes nat and nptv6 need it", "nft_masq")
	}
	if errors.Is(rules, nft.ErrNoBridge) {
		lacks(KernelNoBridgeFilter, "the kernel's nftables do not see bridges", "containers could take over the addresses of their neighbors", "nf_tables_bridge")
	}
	if err := f.Kernel.Bridge; err != nil {
		lacks(KernelNoBridge, "the kernel makes no bridges: "+err.Error(), "each network is one", "bridge")
	}
	if err := f.Kernel.Veth; err != nil {
		lacks(KernelNoVeth, "the kernel makes no veth pairs: "+err.Error(), "each container is attached by one", "veth")
	}
	return out
}

func ipv6(f *Facts) []Finding {
	value, ok := f.Sysctls[conf("all", "disable_ipv6")]
	if !ok && len(f.Host.Links) > 0 {
		return []Finding{{
			Code: IPv6Off, Severity: Error, What: "the kernel runs without IPv6",
			Why:    "it was started with ipv6.disable=1, or built without IPv6: no address of a container can exist",
			Advice: "remove ipv6.disable=1 from the kernel's command line (/etc/default/grub, then update-grub) and start the host again",
		}}
	}
	if value != "1" {
		return nil
	}
	fix := []string{command(conf("all", "disable_ipv6"), "0"), command(conf("default", "disable_ipv6"), "0")}
	return []Finding{{
		Code: IPv6Off, Severity: Error, What: "IPv6 is switched off on all links",
		Why:    "net.ipv6.conf.all.disable_ipv6 is 1: no link has an IPv6 address, and the kernel drops what comes in",
		Fix:    fix,
		Advice: "look for the line in /etc/sysctl.conf and /etc/sysctl.d that says so, else it is back after the next boot",
	}}
}

// The capabilities that ndp6 needs, by their numbers in capability.h.
const (
	capNetAdmin = 12
	capNetRaw   = 13
)

func capabilities(f *Facts) []Finding {
	c := f.Capabilities
	if !c.Seen {
		return nil
	}
	var missing []string
	for _, cap := range []struct {
		bit  uint
		name string
	}{{capNetAdmin, "CAP_NET_ADMIN"}, {capNetRaw, "CAP_NET_RAW"}} {
		if c.Bits&(1<<cap.bit) == 0 {
			missing = append(missing, cap.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, " and ")
	return []Finding{{
		Code: CapabilityMissing, Severity: Error,
		What:   fmt.Sprintf("%s has no %s", c.Of, names),
		Why:    "without CAP_NET_ADMIN nothing of the host can be set up, without CAP_NET_RAW nothing is announced or probed",
		Advice: "grant it where ndp6 is started: CapabilityBoundingSet= and AmbientCapabilities= of the unit, --cap-add of the container, capabilities of config.json; then start it again",
	}}
}

func neighborTable(f *Facts) []Finding {
	const most = 0.9
	k := f.Kernel
	if k.Limit == 0 || float64(k.Entries) < most*float64(k.Limit) {
		return nil
	}
	limit := 4 * k.Limit
	return []Finding{{
		Code: NeighborTable, Severity: Error,
		What: fmt.Sprintf("the neighbor table is full: %d of %d entries", k.Entries, k.Limit),
		Why:  "the kernel forgets or refuses neighbors, so that packets to some of them are lost",
		Fix: []string{
			command("net/ipv6/neigh/default/gc_thresh3", fmt.Sprint(limit)),
			command("net/ipv6/neigh/default/gc_thresh2", fmt.Sprint(limit/2)),
			command("net/ipv6/neigh/default/gc_thresh1", fmt.Sprint(limit/4)),
		},
		Advice: "put the lines into /etc/sysctl.d to keep them",
	}}
}
