package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/engine"
	"github.com/ndp6/ndp6/plugin/graph"
	"github.com/ndp6/ndp6/plugin/names"
	"github.com/ndp6/ndp6/plugin/report"
	"github.com/ndp6/ndp6/plugin/settings"
)

// errFindings ends a command that found something to look at. It is no error:
// the command's result says what was found.
var errFindings = errors.New("findings")

const statusLong = `Show the networks, pools and endpoints of the ndp6 that runs on this host, and
what is not as it should be: problems that it keeps trying to repair, warnings of
what an operator should see to, drift between its plan and the kernel, and addresses
withdrawn because another host has them. Docker is asked for names.

Exit code 0 means healthy, 1 an error, 2 findings.`

const statusExample = `  ndp6 status --watch
  ndp6 status --graph svg >topology.svg
  ndp6 status --json >status.json
  ndp6 status --from status.json --graph mermaid`

// A form is how a status is written.
type form func(io.Writer, admin.Status) error

func statusCommand(getenv func(string) string) *cobra.Command {
	var asJSON bool
	var drawing, from string
	var period time.Duration
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show networks, endpoints, problems and drift",
		Long:    statusLong,
		Example: statusExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settings.Read(cmd.Flags(), getenv)
			if err != nil {
				return err
			}
			write, err := chooseForm(asJSON, drawing)
			if err != nil {
				return err
			}
			get := func(ctx context.Context) (admin.Status, error) { return ask(ctx, s) }
			if from != "" {
				get = func(context.Context) (admin.Status, error) { return read(from, cmd.InOrStdin()) }
			}
			if cmd.Flags().Changed("watch") {
				return watch(cmd.Context(), cmd.OutOrStdout(), period, get, write)
			}
			return show(cmd.Context(), cmd.OutOrStdout(), get, write)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&asJSON, "json", false, "print one JSON object, as docs/status.md describes it")
	flags.StringVar(&drawing, "graph", "", "print the topology as `FORM`: svg or mermaid")
	flags.StringVar(&from, "from", "", "show what --json printed to `FILE` earlier, - for stdin, and ask nobody")
	flags.DurationVar(&period, "watch", 0, "show again every `PERIOD`, 2s if none is given, until interrupted")
	flags.Lookup("watch").NoOptDefVal = "2s"
	cmd.MarkFlagsMutuallyExclusive("json", "graph")
	cmd.MarkFlagsMutuallyExclusive("graph", "watch")
	cmd.MarkFlagsMutuallyExclusive("from", "watch")
	settings.Define(flags, "state-dir", "docker-socket")
	return cmd
}

func chooseForm(asJSON bool, drawing string) (form, error) {
	switch {
	case asJSON:
		return writeJSON, nil
	case drawing == "svg":
		return graph.SVG, nil
	case drawing == "mermaid":
		return graph.Mermaid, nil
	case drawing != "":
		return nil, fmt.Errorf("--graph %q: want one of svg, mermaid", drawing)
	}
	return report.Write, nil
}

func writeJSON(w io.Writer, s admin.Status) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}

// ask asks the ndp6 that runs here, and Docker for names.
func ask(ctx context.Context, s settings.Settings) (admin.Status, error) {
	status, err := admin.Get(ctx, s.StateDir)
	if err != nil || s.DockerSocket == "" {
		return status, err
	}
	ctx, cancel := context.WithTimeout(ctx, names.Patience)
	defer cancel()
	names.Add(ctx, engine.New(s.DockerSocket), &status)
	return status, nil
}

// read reads what --json printed.
func read(path string, stdin io.Reader) (admin.Status, error) {
	file := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return admin.Status{}, fmt.Errorf("read the status: %w", err)
		}
		defer f.Close()
		file = f
	}
	return admin.Read(file)
}

// show writes one status. Nothing is written where there is none.
func show(ctx context.Context, out io.Writer, get func(context.Context) (admin.Status, error), write form) error {
	status, err := get(ctx)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := write(&b, status); err != nil {
		return err
	}
	if _, err := out.Write(b.Bytes()); err != nil {
		return err
	}
	if status.Findings() > 0 {
		return errFindings
	}
	return nil
}
