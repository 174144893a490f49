package report

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ndp6/ndp6/plugin/cluster"
)

// writeCluster says in a line or two what ndp6 peers shows.
func writeCluster(b *strings.Builder, c *cluster.Status) {
	if c == nil {
		return
	}
	count := make(map[string]int)
	for _, p := range c.Peers {
		count[p.State]++
	}
	words := []string{"cluster: host " + c.Host, etcdWord(c), Count(count[cluster.Alive], "peer", "peers") + " alive"}
	for _, state := range []string{cluster.Silent, cluster.Answering} {
		if count[state] > 0 {
			words = append(words, fmt.Sprintf("%d %s", count[state], state))
		}
	}
	wrap(b, "", strings.Join(words, ", "))
	b.WriteByte('\n')
}

func etcdWord(c *cluster.Status) string {
	if c.Connected {
		return "etcd answers"
	}
	return "etcd is away"
}

// Peers returns who is in the cluster, this host first.
func Peers(c cluster.Status, now time.Time) string {
	var b strings.Builder
	if c.Trouble != "" {
		fmt.Fprintf(&b, "trouble: %s\n\n", c.Trouble)
	}
	lines := [][]string{{"HOST", "NAME", "STATE", "NEXT HOP", "BLOCKS"}}
	lines = append(lines, peerLines(c.Host, "", "this host", c.NextHop, c.Prefixes)...)
	for _, p := range c.Peers {
		state := p.State
		if !p.Since.IsZero() {
			state += " " + now.Sub(p.Since).Round(time.Second).String()
		}
		lines = append(lines, peerLines(p.Host, p.Name, state, p.NextHop, p.Prefixes)...)
	}
	columns(&b, lines)
	for _, r := range c.Refused {
		fmt.Fprintf(&b, "no route to %s: it overlaps another\n", r)
	}
	fmt.Fprintf(&b, "%s, %s\n", Count(len(c.Peers), "peer", "peers"), etcdWord(&c))
	return b.String()
}

// peerLines has a line for each block, and one where there is none.
func peerLines(host, name, state string, nextHop netip.Addr, blocks []netip.Prefix) [][]string {
	hop, first := "-", "-"
	if nextHop.IsValid() {
		hop = nextHop.String()
	}
	if len(blocks) > 0 {
		first = blocks[0].String()
	}
	lines := [][]string{{host, name, state, hop, first}}
	for _, p := range blocks[min(1, len(blocks)):] {
		lines = append(lines, []string{"", "", "", "", p.String()})
	}
	return lines
}

// Claims returns who has which block.
func Claims(claims []cluster.Claimed) string {
	lines := [][]string{{"BLOCK", "BASE", "HOST", "NAME", "SINCE", ""}}
	for _, c := range claims {
		remark := "no lease"
		switch {
		case c.Unused:
			remark = "unused"
		case c.Alive:
			remark = ""
		}
		lines = append(lines, []string{
			c.Prefix.String(), c.Base.String(), c.Host, c.Name, c.Since.Local().Format(time.DateTime), remark,
		})
	}
	var b strings.Builder
	columns(&b, lines)
	fmt.Fprintf(&b, "%s\n", Count(len(claims), "claim", "claims"))
	return b.String()
}

// columns writes cells below each other, two spaces between them.
func columns(b *strings.Builder, lines [][]string) {
	var widths []int
	for _, cells := range lines {
		for i, cell := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, cells := range lines {
		var line strings.Builder
		for i, cell := range cells {
			fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}
