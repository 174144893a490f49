package e2e_test

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// docsDir is where the commands of documents run on a host.
const docsDir = "/run/ndp6-lab/docs"

// TestDocuments does what README and docs say, in their order, on a host with
// Docker 28.5. The others have what a new user reads, and Compose 1, which
// comes with 20.10, has all compose files.
func TestDocuments(t *testing.T) {
	t.Parallel()
	binary := requirements(t)
	for _, release := range lab.Releases() {
		t.Run(release.Docker, func(t *testing.T) {
			if !wanted(release.Docker) {
				t.Skip("not in NDP6_E2E_VERSIONS")
			}
			t.Parallel()
			b := newBed(t, release, binary, "--responder=auto") // Documents show what there is by default.
			b.makeImage("nginx")
			b.filterAsDocker()
			for _, file := range documents(t) {
				blocks := readBlocks(t, file)
				if file != "README.md" && release.Docker != "28.5" {
					blocks = slices.DeleteFunc(blocks, func(bl block) bool { return release.Docker != "20.10" || !bl.isCompose() })
				}
				if len(blocks) > 0 {
					t.Run(file, func(t *testing.T) { b.try(t, func(b *bed) { b.follow(blocks) }) })
				}
			}
		})
	}
}

// makeImage gives the lab's image another name and a web server to run, as
// the image that documents use has one.
func (b *bed) makeImage(name string) {
	b.Helper()
	id := b.docker("create", lab.Image, "true")
	b.docker("commit", "--change", `CMD ["sh", "-c", "trap 'exit 0' TERM; httpd -f -h /etc & wait"]`, id, name)
	b.docker("rm", id)
}

// follow runs the blocks of a document. One that makes a network begins with
// none.
func (b *bed) follow(blocks []block) {
	b.Helper()
	for _, block := range blocks {
		if e, listed := exceptions()[block.file][block.first()]; listed {
			if e.shows != "" {
				b.removeAll()
				commands := strings.Split(e.shows, "\n")
				for _, c := range commands[:len(commands)-1] {
					b.doc(block, c)
				}
				last := step{commands[len(commands)-1], block.text}
				if steps, ok := block.steps(); ok {
					last.output = steps[0].output
				}
				b.shows(block, last)
			}
			continue
		}
		if block.isCompose() {
			b.removeAll()
			b.composeUp(block)
			continue
		}
		steps, _ := block.steps()
		if strings.Contains(block.text, "docker network create") {
			b.removeAll()
		}
		for _, s := range steps {
			b.makeRoom(s.command)
			b.shows(block, s)
		}
	}
	b.removeAll()
}

var created = regexp.MustCompile(`docker network create .* (\S+)$`)

// makeRoom removes what is there when the next command makes it in another way:
// a block may show several ways.
func (b *bed) makeRoom(command string) {
	b.Helper()
	if m := created.FindStringSubmatch(command); m != nil {
		if _, err := b.host.Docker(b.ctx(), "network", "inspect", m[1]); err == nil {
			b.removeAll()
		}
	}
}

// doc runs a command of a document.
func (b *bed) doc(from block, command string) string {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx(), time.Minute)
	defer cancel()
	script := fmt.Sprintf("mkdir -p %s && cd %s && PATH=$PATH:%s\n%s", docsDir, docsDir, filepath.Join(filepath.Dir(docsDir), "bin"), command)
	out, err := b.host.Exec(ctx, "sh", "-c", script)
	if err != nil {
		b.Fatalf("%s: %s: %v\n%s", from, command, err, out)
	}
	return out
}

// shows runs a step. What it prints must have the lines that the document says,
// in their order, whatever addresses, identifiers and numbers there are.
func (b *bed) shows(from block, s step) {
	b.Helper()
	got := b.doc(from, s.command)
	lines := strings.Split(got, "\n")
	for want := range strings.SplitSeq(s.output, "\n") {
		if strings.TrimSpace(want) == "" {
			continue
		}
		found := false
		for len(lines) > 0 && !found {
			found = shape(lines[0]) == shape(want)
			lines = lines[1:]
		}
		if !found {
			b.Errorf("%s: %s does not print a line like\n%s\n(%s) where the document has it, but:\n%s", from, s.command, want, shape(want), got)
			return
		}
	}
}

// shape is a line without what differs from host to host.
func shape(line string) string {
	for _, r := range []struct{ pattern, name string }{
		{`\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b`, "MAC"},
		{`[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}(/\d+)?`, "IPv-SIX"},
		{`\b\d+\.\d+\.\d+\.\d+(/\d+)?`, "IPv-FOUR"},
		{`\b[0-9a-f]{12,}\b`, "ID"},
		{`\b(\d+(\.\d+)?(ms|[dhms]))+\b`, "TIME"},
		{`\d+`, "N"},
	} {
		line = regexp.MustCompile(r.pattern).ReplaceAllString(line, r.name)
	}
	return strings.Join(strings.Fields(line), " ")
}

func TestShape(t *testing.T) {
	for _, tt := range []struct{ document, host string }{
		{"network 4f1c2a9b7d30  bridge nd-4f1c2a9b7d30  uplink eth0", "network 0123456789ab  bridge nd-0123456789ab  uplink eth1"},
		{"9a6c1f20b5e1  yes     02:42:ac:11:00:02  2001:db8:1:0:a:242:ac11:2", "0123456789ab yes 02:42:ac:11:00:1f 2001:db8:1::a:42"},
		{"  [::]:8080->80/tcp", "[::]:80->8080/tcp"},
		{"9a6c1f20b5e1  www  running  2h  80/tcp", "0123456789ab  www  running  1m30s  80/tcp"},
		{"pool 10.166.0.0/24  gateway 10.166.0.1", "pool 10.1.2.0/24 gateway 10.1.2.1"},
	} {
		if a, b := shape(tt.document), shape(tt.host); a != b {
			t.Errorf("%q and %q have shapes %q and %q", tt.document, tt.host, a, b)
		}
	}
	if a, b := shape("1 network: healthy"), shape("1 network: problems"); a == b {
		t.Errorf("both have the shape %q", a)
	}
}

// composeUp starts a compose file and wants its services to run with an address
// of their network. They go on: the document may look at them.
func (b *bed) composeUp(from block) {
	b.Helper()
	command := b.compose()
	b.ok(b.host.WriteFile(filepath.Join(docsDir, "docker-compose.yml"), []byte(from.text+"\n"), 0o644))
	b.doc(from, command+" up -d")
	ids := strings.Fields(b.docker("ps", "-q"))
	services := strings.Fields(b.doc(from, command+" config --services"))
	if len(ids) != len(services) {
		b.Errorf("%s: %d containers run, want one for each of %q", from, len(ids), services)
	}
	for _, id := range ids {
		if addrs := b.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}} {{end}}", id); addrs == "" {
			b.Errorf("%s: a container has no IPv6 address", from)
		}
	}
}

// compose is the command of this version's Compose.
func (b *bed) compose() string {
	if b.version == "20.10" {
		return "docker-compose" // Debian's is the first version.
	}
	return "docker compose"
}
