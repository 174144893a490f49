package graph

import (
	"fmt"
	"io"
	"strings"

	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/report"
)

const (
	// mostPorts is how many of an endpoint a label has, and labelWidth what a
	// line of a label has room for: Mermaid refuses more than 50,000 characters.
	mostPorts  = 8
	labelWidth = 60
)

// Mermaid writes s as a flowchart in Mermaid's text.
func Mermaid(w io.Writer, s admin.Status) error {
	t := build(s)
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	add("flowchart LR")
	add("  outside((outside))")
	add("  subgraph host [\"this host\"]")
	for i, u := range t.uplinks {
		add("    uplink%d[\"%s\"]", i, label("uplink "+u.name, report.Count(u.entries, "proxy entry", "proxy entries")))
	}
	for i, n := range t.networks {
		add("    subgraph net%d [\"%s\"]", i, label(append([]string{n.title + ", " + n.mode()}, n.pools()...)...))
		add("      bridge%d{{\"%s\"}}", i, label(n.Bridge))
		for j, e := range n.shown {
			add("      ep%d_%d[\"%s\"]", i, j, label(about(e)...))
			add("      bridge%d --- ep%d_%d", i, i, j)
		}
		if len(n.rest) > 0 {
			words := []string{fmt.Sprintf("%d more", len(n.rest))}
			for _, c := range tallies(n.rest) {
				words = append(words, fmt.Sprintf("%d %s", c.n, word(c.state)))
			}
			add("      rest%d[[\"%s\"]]", i, label(words...))
			add("      bridge%d --- rest%d", i, i)
		}
		add("    end")
	}
	if len(s.Drops) > 0 {
		lines := []string{"dropped packets"}
		for _, d := range s.Drops {
			lines = append(lines, fmt.Sprintf("%d %s", d.Packets, d.Reason))
		}
		add("    drops[/\"%s\"/]", label(lines...))
	}
	add("  end")
	for i := range t.uplinks {
		add("  outside --- uplink%d", i)
	}
	for i, n := range t.networks {
		if n.uplink >= 0 {
			add("  uplink%d --- bridge%d", n.uplink, i)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// about is what the label of an endpoint has, a line each.
func about(e endpoint) []string {
	text := []string{e.title}
	if s := word(e.State); s != "running" {
		text[0] += ", " + s
	}
	for _, l := range lines(e) {
		text = append(text, strings.TrimSpace(l.text+" "+l.mark))
	}
	var ports []string
	if e.Inbound == "open" {
		ports = append(ports, "open to everybody")
	}
	for _, h := range e.host {
		ports = append(ports, fmt.Sprintf("%s→%d/%s", h.host, h.port, h.proto))
	}
	ports = append(ports, e.opened...)
	if more := len(ports) - mostPorts; more > 0 {
		ports = append(ports[:mostPorts:mostPorts], fmt.Sprintf("+%d", more))
	}
	return append(text, ports...)
}

// label joins lines to the inside of a quoted label. Mermaid takes # for the
// beginning of an entity, and what is between < and > for HTML.
func label(lines ...string) string {
	entities := strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "`", "#96;", "\n", " ")
	for i, l := range lines {
		lines[i] = entities.Replace(report.Fit(l, labelWidth))
	}
	return strings.Join(lines, "<br>")
}
