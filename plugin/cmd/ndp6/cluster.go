package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/report"
	"github.com/ndp6/ndp6/plugin/settings"
)

const peersLong = `Show the hosts of the cluster, as the ndp6 that runs here knows them: their blocks,
the next hop to them, and whether they are alive (with a lease in etcd), silent (without
one), or answering (on the link, long after their lease ended: their plugin does not run).
It works while etcd is away.

Exit code 0 means that all is well here, 1 an error, 2 that this host cannot claim blocks
or is not reached.`

const claimsLong = `List who has which block, as it is in etcd: through the ndp6 that runs here, with its
settings. A claim is kept until its network is removed; of a host that will not come back,
--reap frees all claims. It names the host by its id or name, and refuses one that has a
lease. Of this host it frees what no network has.`

func peersCommand(getenv func(string) string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "peers",
		Short: "Show the other hosts of the cluster",
		Long:  peersLong,
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
			if status.Cluster == nil {
				return admin.ErrAlone
			}
			if err := write(cmd.OutOrStdout(), asJSON, status.Cluster, func() string { return report.Peers(*status.Cluster, status.Time) }); err != nil {
				return err
			}
			return unless(status.Cluster.Trouble == "")
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, as docs/clusters.md describes it")
	settings.Define(cmd.Flags(), "state-dir")
	return cmd
}

func claimsCommand(getenv func(string) string) *cobra.Command {
	var asJSON bool
	var reap string
	cmd := &cobra.Command{
		Use:   "claims",
		Short: "List who has which block, and free those of a host that is gone",
		Long:  claimsLong,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settings.Read(cmd.Flags(), getenv)
			if err != nil {
				return err
			}
			if reap != "" {
				r, err := admin.Reap(cmd.Context(), s.StateDir, reap)
				if err != nil {
					return err
				}
				return write(cmd.OutOrStdout(), asJSON, r, func() string { return reapedText(r, reap) })
			}
			c, err := admin.GetClaims(cmd.Context(), s.StateDir)
			if err != nil {
				return err
			}
			return write(cmd.OutOrStdout(), asJSON, c, func() string { return report.Claims(c.Claims) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, as docs/clusters.md describes it")
	cmd.Flags().StringVar(&reap, "reap", "", "free all claims of `HOST`")
	settings.Define(cmd.Flags(), "state-dir")
	return cmd
}

func reapedText(r admin.Reaped, host string) string {
	var b strings.Builder
	for _, p := range r.Freed {
		b.WriteString(p.String() + " is free\n")
	}
	b.WriteString(report.Count(len(r.Freed), "block", "blocks") + " of host " + host + " freed\n")
	return b.String()
}
