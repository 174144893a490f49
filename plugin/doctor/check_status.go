package doctor

import (
	"fmt"
	"strings"
)

func statusChecks() []check { return []check{status} }

// status is what the running ndp6 says by itself.
func status(f *Facts) []Finding {
	s := f.Daemon.Status
	if s == nil {
		return nil
	}
	var out []Finding
	for _, e := range s.Endpoints {
		for _, addr := range e.Withdrawn {
			out = append(out, Finding{
				Code: AddressWithdrawn, Severity: Error,
				What:   fmt.Sprintf("address %s of endpoint %s was withdrawn: another host has it", addr, short(e.ID)),
				Why:    "the container keeps it and cannot be reached at it from outside",
				Advice: "start the container again; if you chose the address or the MAC, choose another",
			})
		}
	}
	for _, p := range s.Problems {
		out = append(out, Finding{
			Code: StatusProblem, Severity: Error,
			What: fmt.Sprintf("ndp6 could not do something for %s: %s", ownerOf(p.Owner), strings.ReplaceAll(p.Error, "\n", "; ")),
			Why:  fmt.Sprintf("tried %d times since %s; it tries on", p.Attempts, p.Since.Format("15:04:05 on 2006-01-02")),
		})
	}
	for _, w := range s.Warnings {
		out = append(out, Finding{
			Code: StatusWarning, Severity: Warning, What: fmt.Sprintf("ndp6 warns about %s: %s", ownerOf(w.Owner), w.Text),
			Why: "see the text",
		})
	}
	for _, op := range s.Drift {
		out = append(out, Finding{
			Code: StatusDrift, Severity: Warning, What: "the kernel differs from the plan: " + op,
			Why: "ndp6 repairs it within moments; if it is there when you ask again, somebody keeps undoing it",
		})
	}
	return out
}

func ownerOf(id string) string {
	if id == "" {
		return "the host"
	}
	return short(id)
}
