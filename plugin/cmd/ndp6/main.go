// Command ndp6 is a Docker network and IPAM driver for IPv6.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the whole command; it returns the exit code.
func run(args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // The second signal ends the process at once.

	root := &cobra.Command{
		Use:               "ndp6",
		Short:             "Docker network and IPAM driver that gives each container a routed IPv6 address",
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(serveCommand(getenv), statusCommand(getenv), doctorCommand(getenv),
		peersCommand(getenv), claimsCommand(getenv), versionCommand(), completionCommand(), manualCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case errors.Is(err, errFindings):
		return 2
	case err != nil:
		// Joined errors have a line each.
		fmt.Fprintln(stderr, "ndp6: "+strings.ReplaceAll(err.Error(), "\n", "\nndp6: "))
		return 1
	}
	return 0
}
