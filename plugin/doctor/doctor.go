// Package doctor finds what keeps containers from being reached, says why, and
// what to do about it.
//
// It looks at the host once and changes nothing. Each check is a function of the
// facts that were seen. Checks are in the order of causes: what is broken on top
// of something else comes after it, so that the first finding is the one to mend
// first.
package doctor

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/plugin/settings"
)

// Schema is the number of the form that Report and Trace have in JSON. It
// changes when something is taken away or gets another meaning.
const Schema = 1

// A Severity says how bad a finding is.
type Severity string

// The severities. A note is worth knowing, and no reason to do anything.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// A Finding is something that is not as it should be.
type Finding struct {
	// Code stays the same for the same thing. docs/findings.md explains each.
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	// What is wrong, and Why that matters.
	What string `json:"what"`
	Why  string `json:"why"`
	// Fix are commands that mend it when run in their order, as root. Never null.
	Fix []string `json:"fix"`
	// Advice is what to do where no command does it, or what to do beside.
	Advice string `json:"advice,omitempty"`
}

// Report is all that was found.
type Report struct {
	Schema   int       `json:"schema"`
	Findings []Finding `json:"findings"`
	// Unseen is what could not be looked at, and why.
	Unseen []string `json:"unseen"`
}

// Healthy reports whether there is nothing to do.
func (r Report) Healthy() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity != Note })
}

// Config says where to look. The zero value of what is no setting is right for
// the host.
type Config struct {
	Settings settings.Settings
	// Silent sends no packets and asks no names.
	Silent bool
	// Resolver is asked for a name instead of the host's.
	Resolver Resolver
	// Release is taken for the kernel's.
	Release string
}

// A Resolver looks up names, as net.Resolver does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// A check finds one kind of thing.
type check func(*Facts) []Finding

// checks are in the order of causes.
func checks() []check {
	return slices.Concat(kernelChecks(), daemonChecks(), uplinkChecks(), sysctlChecks(), networkChecks(),
		firewallChecks(), probeChecks(), dockerChecks(), statusChecks())
}

// Examine looks at the host, in the network namespace of the calling thread.
func Examine(ctx context.Context, c Config) Report { return Diagnose(Look(ctx, c)) }

// Diagnose returns what the facts come to: errors first, and of one severity in
// the order of causes.
func Diagnose(f Facts) Report {
	r := Report{Schema: Schema, Findings: []Finding{}, Unseen: append([]string{}, f.Unseen...)}
	for _, run := range checks() {
		for _, finding := range run(&f) {
			if finding.Fix == nil {
				finding.Fix = []string{}
			}
			r.Findings = append(r.Findings, finding)
		}
	}
	rank := []Severity{Error, Warning, Note}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Compare(slices.Index(rank, a.Severity), slices.Index(rank, b.Severity))
	})
	return r
}
