package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/settings"
)

// errFindings ends a command that found something to look at. It is no error:
// the command's result says what was found.
var errFindings = errors.New("findings")

const statusLong = `Show the networks, pools and endpoints of the ndp6 that runs on this host, and
what is not as it should be: problems that it keeps trying to repair, warnings of
what an operator should see to, drift between its plan and the kernel, and addresses
withdrawn because another host has them.

Exit code 0 means healthy, 1 an error, 2 findings.`

func statusCommand(getenv func(string) string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show networks, endpoints, problems and drift",
		Long:  statusLong,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settings.Read(cmd.Flags(), getenv)
			if err != nil {
				return err
			}
			status, err := admin.Get(cmd.Context(), s.StateDir)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(status)
			} else {
				err = printStatus(cmd.OutOrStdout(), status)
			}
			if err == nil && status.Findings() > 0 {
				return errFindings
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, as docs/status.md describes it")
	settings.Define(cmd.Flags(), "state-dir")
	return cmd
}

// printStatus writes tables of at most 80 columns; only what ndp6 quotes, such
// as an operation, may be longer.
func printStatus(out io.Writer, s admin.Status) error {
	var b strings.Builder
	for _, n := range s.Networks {
		printNetwork(&b, n)
		printPools(&b, n.Pools, s.Pools)
		printEndpoints(&b, s.Endpoints, n.ID)
		b.WriteByte('\n')
	}
	printOthers(&b, s.Networks, s.Pools)
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "problem of %s:\n", owner(s, p.Owner))
		for line := range strings.Lines(p.Error) {
			b.WriteString("    " + strings.TrimSuffix(line, "\n") + "\n")
		}
		fmt.Fprintf(&b, "    since %s, %s, next at %s\n", p.Since.Local().Format(time.DateTime),
			count(p.Attempts, "attempt"), p.Retry.Local().Format(time.TimeOnly))
		if p.Request != 0 {
			fmt.Fprintf(&b, "    first met by request %d, see the log\n", p.Request)
		}
	}
	for _, w := range s.Warnings {
		fmt.Fprintf(&b, "warning of %s:\n    %s\n", owner(s, w.Owner), w.Text)
	}
	if len(s.Drift) > 0 {
		b.WriteString("drift, to be repaired:\n")
	}
	for _, op := range s.Drift {
		b.WriteString("    " + op + "\n")
	}
	for _, e := range s.Endpoints {
		for _, addr := range e.Withdrawn {
			fmt.Fprintf(&b, "address withdrawn from endpoint %s, another host has it:\n    %s\n", short(e.ID), addr)
		}
	}
	verdict := "healthy"
	if n := s.Findings(); n > 0 {
		verdict = count(n, "finding")
	}
	fmt.Fprintf(&b, "%s, %s: %s\n", count(len(s.Networks), "network"), count(len(s.Endpoints), "endpoint"), verdict)
	_, err := io.WriteString(out, b.String())
	return err
}

func printNetwork(b *strings.Builder, n driver.NetworkStatus) {
	towards := "uplink " + n.Uplink
	switch {
	case n.Internal:
		towards = "internal"
	case n.Uplink == "":
		towards = "no uplink: " + n.UplinkOption
	}
	fmt.Fprintf(b, "network %s  bridge %s  %s\n", short(n.ID), n.Bridge, towards)
	if n.Internal && n.Mode == plan.Routed {
		return // to nowhere
	}
	fmt.Fprintf(b, "mode %s", n.Mode)
	if n.Reason != "" { // Records of older versions have none.
		b.WriteString(": " + n.Reason)
	}
	b.WriteByte('\n')
}

// printEndpoints writes an address a line. The widest table takes 80 columns.
func printEndpoints(b *strings.Builder, all []driver.EndpointStatus, network string) {
	if !slices.ContainsFunc(all, func(e driver.EndpointStatus) bool { return e.Network == network }) {
		return
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ENDPOINT\tJOINED\tMAC\tADDRESS")
	for _, e := range all {
		if e.Network != network {
			continue
		}
		joined := "no"
		if e.Joined {
			joined = "yes"
		}
		lines := append(addresses(e), inbound(e)...)
		if len(e.Addresses) == 0 {
			lines = append([]string{"-"}, lines...)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", short(e.ID), joined, e.MAC, lines[0])
		for _, line := range lines[1:] {
			fmt.Fprintf(w, "\t\t\t%s\n", line)
		}
	}
	_ = w.Flush() // A Builder takes everything.
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
			lines = append(lines, netip.AddrPortFrom(p.HostAddr, p.HostPort).String()+"->"+own)
		}
		if p.Direct {
			lines = append(lines, own)
		}
	}
	return lines
}

// addressWidth is what a line of 80 columns has for an address.
const addressWidth = 39

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

// owner says whose problem it is.
func owner(s admin.Status, id string) string {
	switch {
	case id == "":
		return "the host"
	case slices.ContainsFunc(s.Networks, func(n driver.NetworkStatus) bool { return n.ID == id }):
		return "network " + short(id)
	}
	return "endpoint " + short(id)
}

// short is the form of an id that Docker's own commands show.
func short(id string) string { return id[:min(len(id), 12)] }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
