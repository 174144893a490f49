package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/graph"
)

// measure is a page that opens pictures as a browser opens a file, strictly,
// and lists the texts that are wider than the box of their group.
const measure = `<!DOCTYPE html><meta charset="utf-8"><body><pre id="out"></pre><script>
const found = [];
for (const p of PICTURES) {
  const doc = new DOMParser().parseFromString(p.svg, "image/svg+xml");
  if (doc.querySelector("parsererror")) { found.push(p.name + ": " + doc.documentElement.textContent); continue; }
  const svg = document.body.appendChild(doc.documentElement);
  for (const text of svg.querySelectorAll("text")) {
    let g = text.parentNode;
    while (g !== svg && !(g.firstElementChild && g.firstElementChild.tagName === "rect")) g = g.parentNode;
    const inside = text.getBBox(), around = g === svg ? svg.viewBox.baseVal : g.firstElementChild.getBBox();
    if (inside.x < around.x || inside.y < around.y || inside.x + inside.width > around.x + around.width ||
        inside.y + inside.height > around.y + around.height)
      found.push(p.name + ": " + text.textContent + " is not inside its " + g.getAttribute("class"));
  }
  if (!svg.querySelectorAll("text").length) found.push(p.name + ": no text");
  svg.remove();
}
document.getElementById("out").textContent = "found " + JSON.stringify(found);
</script>`

// TestBrowser opens the pictures in a browser, which knows how wide text is.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes seconds: not in -short")
	}
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium here: apt-get install chromium")
	}
	type picture struct {
		Name string `json:"name"`
		SVG  string `json:"svg"`
	}
	var pictures []picture
	for _, c := range crowds() {
		pictures = append(pictures, picture{c.name, draw(t, graph.SVG, c.status())})
	}
	list, err := json.Marshal(pictures) // It escapes what would end the script.
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	page := filepath.Join(dir, "page.html")
	if err := os.WriteFile(page, []byte(strings.Replace(measure, "PICTURES", string(list), 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, "profile"),
		"--dump-dom", "file://"+page)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, fmt.Sprint(cmd.Stderr))
	}
	_, answer, ok := strings.Cut(string(out), `<pre id="out">found `)
	if !ok {
		t.Fatalf("the page did not run:\n%.2000s", out)
	}
	answer, _, _ = strings.Cut(answer, "</pre>")
	var found []string
	if err := json.Unmarshal([]byte(html.UnescapeString(answer)), &found); err != nil {
		t.Fatalf("%v in %.2000s", err, answer)
	}
	for _, f := range found {
		t.Error(f)
	}
}
