// Package report writes a status as text for people.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/plugin/admin"
)

const (
	// width is that of all lines.
	width = 100
	// indent is that of lines below the one that they belong to.
	indent = "     "
	// networkWidth is what a network's line has for its name.
	networkWidth = 25
)

// Write writes tables of at most 100 columns; only what ndp6 quotes, such as
// an operation, may be longer.
func Write(out io.Writer, s admin.Status) error {
	var b strings.Builder
	for _, n := range s.Networks {
		writeNetwork(&b, n)
		writePools(&b, n.Pools, s.Pools)
		writeEndpoints(&b, s, n.ID)
		b.WriteByte('\n')
	}
	writeUplinks(&b, s.Uplinks)
	writeCluster(&b, s.Cluster)
	writeOthers(&b, s.Networks, s.Pools)
	writeDrops(&b, s.Drops)
	writeFindings(&b, s)
	verdict := "healthy"
	if n := s.Findings(); n > 0 {
		verdict = Count(n, "finding", "findings")
	}
	fmt.Fprintf(&b, "%s, %s: %s\n", Count(len(s.Networks), "network", "networks"), Count(len(s.Endpoints), "endpoint", "endpoints"), verdict)
	_, err := io.WriteString(out, b.String())
	return err
}

func writeNetwork(b *strings.Builder, n driver.NetworkStatus) {
	towards := "uplink " + n.Uplink
	switch {
	case n.Internal:
		towards = "internal"
	case n.Uplink == "":
		towards = "no uplink: " + n.UplinkOption
	}
	fmt.Fprintf(b, "network %s  bridge %s  %s\n", label(n.Name, n.ID), n.Bridge, towards)
	if n.Internal && n.Mode == plan.Routed {
		return // to nowhere
	}
	text := "mode " + string(n.Mode)
	if n.ProxyEntries > 0 {
		text += ", " + Count(n.ProxyEntries, "proxy entry", "proxy entries")
	}
	if n.Shared {
		text += ", shared in a swarm"
	}
	if n.Datapath == driver.DatapathBPF {
		text += ", fast path"
	}
	switch n.Announce {
	case plan.AnnouncePrefix:
		text += ", " + Count(len(n.Announced), "prefix", "prefixes") + " announced"
	case plan.AnnounceEndpoint:
		text += ", " + Count(len(n.Announced), "address", "addresses") + " announced"
	}
	if n.Reason != "" { // Records of older versions have none.
		text += ": " + n.Reason
	}
	wrap(b, "", text)
}

// writeUplinks says what answers for containers, and why.
func writeUplinks(b *strings.Builder, uplinks []driver.UplinkStatus) {
	for _, u := range uplinks {
		wrap(b, "", fmt.Sprintf("uplink %s: %s answers solicitations: %s", u.Name, u.Responder, u.Reason))
	}
	if len(uplinks) > 0 {
		b.WriteByte('\n')
	}
}

func writeDrops(b *strings.Builder, drops []admin.Drop) {
	if len(drops) == 0 {
		return
	}
	b.WriteString("dropped by the firewall:\n")
	for _, d := range drops {
		fmt.Fprintf(b, "    %d %s\n", d.Packets, d.Reason)
	}
	b.WriteByte('\n')
}

// writeFindings writes what an operator should look at.
func writeFindings(b *strings.Builder, s admin.Status) {
	for _, p := range s.Problems {
		fmt.Fprintf(b, "problem of %s:\n", owner(s, p.Owner))
		for line := range strings.Lines(p.Error) {
			b.WriteString("    " + strings.TrimSuffix(line, "\n") + "\n")
		}
		fmt.Fprintf(b, "    since %s, %s, next at %s\n", p.Since.Local().Format(time.DateTime),
			Count(p.Attempts, "attempt", "attempts"), p.Retry.Local().Format(time.TimeOnly))
		if p.Request != 0 {
			fmt.Fprintf(b, "    first met by request %d, see the log\n", p.Request)
		}
	}
	for _, w := range s.Warnings {
		fmt.Fprintf(b, "warning of %s:\n    %s\n", owner(s, w.Owner), w.Text)
	}
	if s.Cluster != nil && s.Cluster.Trouble != "" {
		fmt.Fprintf(b, "trouble with the cluster:\n    %s\n", s.Cluster.Trouble)
	}
	if len(s.Drift) > 0 {
		b.WriteString("drift, to be repaired:\n")
	}
	for _, op := range s.Drift {
		b.WriteString("    " + op + "\n")
	}
	for _, e := range s.Endpoints {
		for _, addr := range e.Withdrawn {
			fmt.Fprintf(b, "address withdrawn from endpoint %s, another host has it:\n    %s\n", label(e.Name, e.ID), addr)
		}
	}
}

// owner says whose problem it is.
func owner(s admin.Status, id string) string {
	if id == "" {
		return "the host"
	}
	if i := slices.IndexFunc(s.Networks, func(n driver.NetworkStatus) bool { return n.ID == id }); i >= 0 {
		return "network " + label(s.Networks[i].Name, id)
	}
	if host, ok := plan.PeerOf(id); ok {
		return "peer " + host
	}
	name := ""
	if i := slices.IndexFunc(s.Endpoints, func(e driver.EndpointStatus) bool { return e.ID == id }); i >= 0 {
		name = s.Endpoints[i].Name
	}
	return "endpoint " + label(name, id)
}

// label is a name with the id, or the id where there is none.
func label(name, id string) string {
	if name == "" {
		return Short(id)
	}
	return Fit(name, networkWidth) + " (" + Short(id) + ")"
}

// wrap writes text in lines that begin with prefix.
func wrap(b *strings.Builder, prefix, text string) {
	line := prefix
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
