package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ndp6/ndp6/plugin/doctor"
	"github.com/ndp6/ndp6/plugin/report"
	"github.com/ndp6/ndp6/plugin/settings"
)

const doctorLong = `Look at this host and say what keeps containers from being reached, why, and
what to do about it: the cause first, with commands that mend it. Nothing is changed.

It sends a few packets on the uplink, to see whether the router finds containers there
and no other host has their addresses, and asks the host's resolver for one name;
--no-probe leaves both out. It works whether or not ndp6 runs, and says what only root
can see. Give it the settings that ndp6 runs with, as flags or environment variables.

Exit code 0 means healthy, 1 an error, 2 findings; notes are not counted.`

const traceLong = `Follow a packet from the uplink to a container: whether the router finds it, proxy
entry, sysctls, route, each firewall's verdict with its counter, neighbor, port, and the
container itself. The address is one that a container of ndp6 has; with a port it is TCP
unless /udp follows, without one an echo request.

Exit code 0 means that nothing stops the packet, 1 an error, 2 that something does.`

// doctorSettings are those that matter for where to look and what to expect.
func doctorSettings() []string {
	return []string{"state-dir", "socket", "uplink", "pools", "iid", "sysctls", "sysctl-dir", "docker-socket"}
}

// reportWidth is how many columns the doctor's text takes, but for commands.
const reportWidth = 100

func doctorCommand(getenv func(string) string) *cobra.Command {
	var asJSON, silent bool
	config := func(cmd *cobra.Command) (doctor.Config, error) {
		s, err := settings.Read(cmd.Flags(), getenv)
		return doctor.Config{Settings: s, Silent: silent}, err
	}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong on this host, and how to mend it",
		Long:  doctorLong,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config(cmd)
			if err != nil {
				return err
			}
			r := doctor.Examine(cmd.Context(), c)
			if err := write(cmd.OutOrStdout(), asJSON, r, func() string { return reportText(r) }); err != nil {
				return err
			}
			return unless(r.Healthy())
		},
	}
	trace := &cobra.Command{
		Use:   "trace ADDRESS[:PORT[/udp]]",
		Short: "Follow a packet to a container",
		Long:  traceLong,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config(cmd)
			if err != nil {
				return err
			}
			target, err := doctor.ParseTarget(args[0])
			if err != nil {
				return err
			}
			t, err := doctor.Follow(cmd.Context(), c, target)
			if err != nil {
				return err
			}
			if err := write(cmd.OutOrStdout(), asJSON, t, func() string { return traceText(t) }); err != nil {
				return err
			}
			return unless(t.Arrives())
		},
	}
	for _, c := range []*cobra.Command{cmd, trace} {
		c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, as docs/doctor.md describes it")
		c.Flags().BoolVar(&silent, "no-probe", false, "send no packets and ask no names")
		settings.Define(c.Flags(), doctorSettings()...)
	}
	cmd.AddCommand(trace)
	return cmd
}

// unless is the end of a command that found nothing, or something.
func unless(well bool) error {
	if well {
		return nil
	}
	return errFindings
}

func write(out io.Writer, asJSON bool, v any, text func() string) error {
	if !asJSON {
		_, err := io.WriteString(out, text())
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func reportText(r doctor.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		paragraph(&b, fmt.Sprintf("%s %s: ", f.Severity, f.Code), "    ", f.What)
		paragraph(&b, "    why: ", "         ", f.Why)
		for _, command := range f.Fix {
			b.WriteString("    fix: " + command + "\n")
		}
		if f.Advice != "" {
			paragraph(&b, "    do:  ", "         ", f.Advice)
		}
		b.WriteByte('\n')
	}
	for _, u := range r.Unseen {
		paragraph(&b, "not seen: ", "    ", u)
	}
	fmt.Fprintln(&b, verdict(r))
	return b.String()
}

// verdict counts the findings.
func verdict(r doctor.Report) string {
	var parts []string
	for _, s := range []doctor.Severity{doctor.Error, doctor.Warning, doctor.Note} {
		n := 0
		for _, f := range r.Findings {
			if f.Severity == s {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, report.Count(n, string(s), string(s)+"s"))
		}
	}
	if r.Healthy() {
		parts = append([]string{"healthy"}, parts...)
	}
	return strings.Join(parts, ", ")
}

func traceText(t doctor.Trace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on network %s\n", t.Target, report.Short(t.Network))
	width := 0
	for _, s := range t.Steps {
		width = max(width, len(s.At))
	}
	for _, s := range t.Steps {
		detail := s.Detail
		if s.Packets != nil {
			detail += fmt.Sprintf(" (%d packets so far)", *s.Packets)
		}
		head := fmt.Sprintf("%-6s  %-*s  ", s.Result, width, s.At)
		paragraph(&b, head, strings.Repeat(" ", len(head)), detail)
	}
	stops := slices.IndexFunc(t.Steps, func(s doctor.Step) bool { return s.Result == doctor.Stop })
	if stops < 0 {
		b.WriteString("nothing stops the packet\n")
	} else {
		fmt.Fprintf(&b, "the packet is stopped: %s\n", t.Steps[stops].At)
	}
	return b.String()
}

// paragraph writes text behind head, in lines that start with indent after the
// first. A word that is longer than a line is not broken.
func paragraph(b *strings.Builder, head, indent, text string) {
	line, first := head, true
	for word := range strings.FieldsSeq(text) {
		if !first && len(line)+1+len(word) > reportWidth {
			b.WriteString(line + "\n")
			line, first = indent, true
		}
		if !first {
			line += " "
		}
		line, first = line+word, false
	}
	b.WriteString(line + "\n")
}
