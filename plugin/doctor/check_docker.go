package doctor

import (
	"fmt"

	"github.com/ndp6/ndp6/ipam/alloc"
)

func dockerChecks() []check { return []check{docker, names} }

// known are what is known of Docker's versions. A problem is there from one
// version on, and before another; an empty list is no bound.
type known struct {
	from, before []int
	severity     Severity
	code         Code
	what, why    string
	advice       string
}

func knownProblems() []known {
	return []known{
		{
			before: []int{20, 10}, severity: Error, code: DockerOld,
			what: "Docker %s is too old", why: "ndp6 is tried with 20.10 and newer",
			advice: "install a newer one",
		},
		{
			before: []int{28}, severity: Note, code: DockerIPv6Names,
			what: "Docker %s gives containers of IPv6-only networks the address 0.0.0.0 in its DNS", why: "clients that prefer IPv4 connect to themselves",
			advice: "use dual-stack networks, prefer IPv6 in the clients, or install Docker 28 or newer and make the network with --ipv4=false",
		},
		{
			before: []int{28}, severity: Note, code: DockerIPv6Default,
			what: "Docker %s gives a container on several IPv6-only networks a default route through the first of them only", why: "what comes in by another is answered through the first",
			advice: "connect such containers to one network, or install Docker 28 or newer",
		},
	}
}

func docker(f *Facts) []Finding {
	d := f.Docker
	switch {
	case !d.Asked:
		return nil
	case d.Err != nil:
		return []Finding{{
			Code: DockerAbsent, Severity: Warning, What: "Docker does not answer: " + d.Err.Error(),
			Why:    "containers cannot be started or stopped, and ndp6 does not learn what Docker forgot",
			Fix:    []string{"systemctl start docker"},
			Advice: "or name its socket with --docker-socket",
		}}
	}
	var out []Finding
	if d.Rootless {
		out = append(out, Finding{
			Code: DockerRootless, Severity: Error, What: "Docker runs without root",
			Why:    "its containers live in a user's namespace, where plugins of the host do not reach them",
			Advice: "use a Docker that runs as root",
		})
	}
	version := numbers(d.Version)
	for _, k := range knownProblems() {
		if len(version) > 0 && (len(k.before) == 0 || before(version, k.before)) && !before(version, k.from) {
			out = append(out, Finding{Code: k.code, Severity: k.severity, What: fmt.Sprintf(k.what, d.Version), Why: k.why, Advice: k.advice})
		}
	}
	if f.Settings.IID == alloc.Name && before(version, []int{29}) {
		out = append(out, Finding{
			Code: DockerNoNames, Severity: Warning, What: fmt.Sprintf("Docker %s does not tell IPAM drivers the container's name", d.Version),
			Why:    "with --iid name addresses are made of something else",
			Advice: "use -o ndp6.stable=name, or Docker 29 or newer",
		})
	}
	return out
}

func names(f *Facts) []Finding {
	n := f.Names
	switch {
	case !n.Asked || n.IPv6:
		return nil
	case n.IPv4:
		return []Finding{{
			Code: NamesNoIPv6, Severity: Warning, What: fmt.Sprintf("the host's resolver has no IPv6 address for %s, which has one", n.Name),
			Why:    "containers ask the same resolver: they do not find IPv6 addresses of others, and fall back to IPv4 or fail",
			Advice: "the resolver in /etc/resolv.conf filters AAAA records: allow them there, or use another one (docker run --dns, \"dns\" in /etc/docker/daemon.json)",
		}}
	}
	return []Finding{{
		Code: NamesSilent, Severity: Warning, What: fmt.Sprintf("the host's resolver does not find %s: %v", n.Name, n.Err),
		Why:    "containers ask the same resolver, and Docker cannot pull images",
		Advice: "see to /etc/resolv.conf; a host without the Internet can be left as it is (--no-probe)",
	}}
}
