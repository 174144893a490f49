package graph_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/ndp6/ndp6/plugin/graph"
)

// Limits of Mermaid's renderer (maxTextSize and maxEdges of its configuration).
const (
	mermaidText  = 50_000
	mermaidEdges = 500
)

// flowchart are the lines that we write, after Mermaid's grammar: nodes of five
// shapes, subgraphs, and edges. A label has no character with a meaning but
// those of entities and line breaks.
func flowchart() *regexp.Regexp {
	const label = `"(?:[^"<>&#` + "`" + `]|#\w+;|<br>)*"`
	return regexp.MustCompile(`^ *(?:flowchart LR|end|subgraph (\w+) \[` + label + `\]|(\w+) --- (\w+)|` +
		`(\w+)(?:\(\(outside\)\)|\[` + label + `\]|\{\{` + label + `\}\}|\[\[` + label + `\]\]|\[/` + label + `/\]))$`)
}

func TestMermaid(t *testing.T) {
	for _, c := range crowds() {
		t.Run(c.name, func(t *testing.T) {
			s := c.status()
			text := draw(t, graph.Mermaid, s)
			nodes, edges, depth := make(map[string]bool), 0, 0
			for line := range strings.Lines(text) {
				m := flowchart().FindStringSubmatch(strings.TrimSuffix(line, "\n"))
				if m == nil {
					t.Fatalf("not a line of a flowchart: %q", line)
				}
				switch subgraph, from, to, node := m[1], m[2], m[3], m[4]; {
				case subgraph != "":
					depth++
					nodes[subgraph] = true
				case strings.TrimSpace(line) == "end":
					depth--
				case from != "":
					edges++
					if !nodes[from] || !nodes[to] {
						t.Errorf("an edge of a node that is not there: %q", line)
					}
				case node != "":
					if nodes[node] {
						t.Errorf("two nodes have the name %s", node)
					}
					nodes[node] = true
				}
			}
			if depth != 0 {
				t.Errorf("%d subgraphs do not end", depth)
			}
			if len(text) > mermaidText || edges > mermaidEdges {
				t.Errorf("%d bytes and %d edges: more than Mermaid draws", len(text), edges)
			}
		})
	}
}
