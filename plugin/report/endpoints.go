package report

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/plugin/admin"
)

const (
	// nameWidth and addressWidth are what the columns of a line have: an id
	// takes 12, a state 9, an age 4, and two spaces lie between. The longest
	// address with a port of the host takes 47.
	nameWidth    = 20
	addressWidth = width - (12 + 2 + nameWidth + 2 + 9 + 2 + 4 + 2)
)

// writeEndpoints writes an address a line. Without any name there is no column
// for names.
func writeEndpoints(b *strings.Builder, s admin.Status, network string) {
	var mine []driver.EndpointStatus
	for _, e := range s.Endpoints {
		if e.Network == network {
			mine = append(mine, e)
		}
	}
	if len(mine) == 0 {
		return
	}
	named := slices.ContainsFunc(mine, func(e driver.EndpointStatus) bool { return e.Name != "" })
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	row := func(id, name, state, age, address string) {
		if named {
			id += "\t" + name
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", id, state, age, address)
	}
	row("ENDPOINT", "CONTAINER", "STATE", "AGE", "ADDRESS")
	for _, e := range mine {
		lines := append(addresses(e), inbound(e)...)
		if len(e.Addresses) == 0 {
			lines = append([]string{"-"}, lines...)
		}
		name := cmp.Or(Fit(e.Name, nameWidth), "-")
		row(Short(e.ID), name, cmp.Or(string(e.State), "-"), age(s.Time, e.JoinedAt), lines[0])
		for _, line := range lines[1:] {
			row("", "", "", "", line)
		}
	}
	_ = w.Flush() // A Builder takes everything.
}

// age is how long ago something was.
func age(now, then time.Time) string {
	if then.IsZero() || now.IsZero() {
		return "-"
	}
	return Age(now.Sub(then))
}

// inbound says what of an endpoint can be reached from outside, as docker ps
// does: a port without a host's is open at the endpoint's own address.
func inbound(e driver.EndpointStatus) []string {
	var lines []string
	if e.Inbound == "open" {
		lines = append(lines, "open to everybody")
	}
	for _, p := range e.Ports {
		own := fmt.Sprintf("%d/%s", p.Port, p.Proto)
		if p.HostPort != 0 {
			host, way := netip.AddrPortFrom(p.HostAddr, p.HostPort).String(), "->"+own
			if len(host)+len(way) > addressWidth {
				host, way = host+"\n", "  "+way
			}
			lines = append(lines, strings.Split(host+way, "\n")...)
		}
		if p.Direct {
			lines = append(lines, own)
		}
	}
	return lines
}

// addresses are an endpoint's, each with what sets it apart from one that
// Docker gave and that is current.
func addresses(e driver.EndpointStatus) []string {
	var lines []string
	for _, a := range e.Addresses {
		line := a.Addr.String()
		var marks []string
		if a.Origin != plan.Given {
			marks = append(marks, string(a.Origin))
		}
		if a.Deprecated {
			marks = append(marks, "deprecated")
		}
		mark := "  " + strings.Join(marks, ", ")
		switch {
		case len(marks) == 0:
			lines = append(lines, line)
		case len(line)+len(mark) > addressWidth:
			lines = append(lines, line, mark)
		default:
			lines = append(lines, line+mark)
		}
	}
	return lines
}
