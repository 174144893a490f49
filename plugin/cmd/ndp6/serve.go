package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/ndp6/ndp6/plugin"
	"github.com/ndp6/ndp6/plugin/settings"
)

// serveHelp shows the reference in place of cobra's list of flags, which has
// no room for it. It is a function, because a template would bring
// text/template, which calls methods by name: the linker then keeps every
// method of every type, 2 MB of them.
func serveHelp(cmd *cobra.Command, _ []string) {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n\nUsage:\n  %s\n\nSettings, each a flag or a variable of the environment; the flag wins:\n\n%s",
		cmd.Short, cmd.UseLine(), cmd.Long)
	if err != nil {
		cmd.PrintErrln(err)
	}
}

func serveCommand(getenv func(string) string) *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "serve [--SETTING VALUE]...",
		Short:                 "Answer Docker's calls until SIGTERM or SIGINT",
		Long:                  settings.Reference(),
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settings.Read(cmd.Flags(), getenv)
			if err != nil {
				return err
			}
			return plugin.Serve(cmd.Context(), s, newLog(s, cmd.ErrOrStderr()))
		},
	}
	cmd.SetHelpFunc(serveHelp)
	settings.Define(cmd.Flags())
	return cmd
}

func newLog(s settings.Settings, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.LogLevel}
	if s.LogFormat == settings.JSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
