package main

import (
	"io"

	"github.com/spf13/cobra"
)

const completionLong = `Print a script that completes commands and flags in a shell. The Debian package
installs it; for a binary of your own:

    ndp6 completion bash > /etc/bash_completion.d/ndp6
    ndp6 completion zsh > /usr/local/share/zsh/site-functions/_ndp6
    ndp6 completion fish > /etc/fish/completions/ndp6.fish`

func completionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "completion SHELL",
		Short:                 "Print the completion script for bash, zsh or fish",
		Long:                  completionLong,
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs:             []string{"bash", "zsh", "fish"},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			write := map[string]func(io.Writer) error{
				"bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
				"zsh":  root.GenZshCompletion,
				"fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
			}
			return write[args[0]](cmd.OutOrStdout())
		},
	}
	return cmd
}
