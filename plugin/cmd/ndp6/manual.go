package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manualCommand writes the manual pages for whoever packages the binary. Not
// with cobra's own generator: it takes texts for Markdown, which the reference of
// settings is not, and its renderer would be in the binary.
func manualCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "manual DIR",
		Short:                 "Write the manual pages to a directory",
		Args:                  cobra.ExactArgs(1),
		Hidden:                true,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("write manual pages: %w", err)
			}
			return writeManuals(args[0], cmd.Root())
		},
	}
}

// writeManuals writes the page of a command and of those below it.
func writeManuals(dir string, cmd *cobra.Command) error {
	path := filepath.Join(dir, manualName(cmd)+".1")
	if err := os.WriteFile(path, []byte(manual(cmd)), 0o644); err != nil {
		return fmt.Errorf("write manual page: %w", err)
	}
	for _, c := range documented(cmd) {
		if err := writeManuals(dir, c); err != nil {
			return err
		}
	}
	return nil
}

func manualName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// documented are the commands below cmd that have a page.
func documented(cmd *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			list = append(list, c)
		}
	}
	return list
}

// manual is the page of a command, in man(7)'s language.
func manual(cmd *cobra.Command) string {
	var b strings.Builder
	name := manualName(cmd)
	fmt.Fprintf(&b, ".TH %s 1 \"\" ndp6 ndp6\n", strings.ToUpper(roff(name)))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(strings.TrimSuffix(cmd.UseLine(), " [flags]")))
	if cmd.Long != "" {
		b.WriteString(".SH DESCRIPTION\n" + roffText(cmd.Long))
	}
	var flags strings.Builder
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !f.Hidden && !strings.Contains(cmd.Long, "--"+f.Name+" ") {
			flags.WriteString(roffFlag(f))
		}
	})
	if flags.Len() > 0 {
		b.WriteString(".SH OPTIONS\n" + flags.String())
	}
	var others []string
	if cmd.HasParent() {
		others = append(others, manualName(cmd.Parent()))
	} else {
		b.WriteString(".SH COMMANDS\n")
	}
	for _, c := range documented(cmd) {
		others = append(others, manualName(c))
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(c.Name()), roff(c.Short))
	}
	b.WriteString(".SH SEE ALSO\n")
	for i, o := range others {
		end := ",\n"
		if i == len(others)-1 {
			end = "\n"
		}
		fmt.Fprintf(&b, ".BR %s (1)%s", roff(o), end)
	}
	return b.String()
}

func roffFlag(f *pflag.Flag) string {
	text := f.Usage
	if f.DefValue != "" && f.DefValue != "false" {
		text += ", default " + f.DefValue
	}
	value := ""
	if t := f.Value.Type(); t != "bool" {
		value = " " + t
	}
	return fmt.Sprintf(".TP\n.B %s\n%s\n", roff("--"+f.Name+value), roff(text))
}

// roffText turns a help text into paragraphs. Lines indented by four are
// commands, as they are; by two, a term, whose explanation is indented by more.
func roffText(text string) string {
	var b strings.Builder
	verbatim, term := false, false
	for line := range strings.SplitSeq(text, "\n") {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if verbatim && indent < 4 {
			b.WriteString(".EE\n.RE\n")
			verbatim = false
		}
		switch {
		case line == "":
			b.WriteString(".PP\n")
			term = false
		case indent == 2:
			b.WriteString(".TP\n.B " + roff(line) + "\n")
			term = true
		case term && indent > 2:
			b.WriteString(roff(line) + "\n.br\n")
		case indent >= 4 && !verbatim:
			b.WriteString(".RS\n.EX\n" + roff(line) + "\n")
			verbatim = true
		default:
			b.WriteString(roff(line) + "\n")
		}
	}
	if verbatim {
		b.WriteString(".EE\n.RE\n")
	}
	return b.String()
}

// roff is a line of text with what would be a request or an escape made harmless.
func roff(line string) string {
	line = strings.TrimSpace(line)
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`).Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}
