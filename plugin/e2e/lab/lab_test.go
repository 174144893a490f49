package lab_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// TestDocker proves the lab itself, with Docker's own bridge network.
func TestDocker(t *testing.T) {
	if os.Getenv("NDP6_E2E") == "" {
		t.Skip("set NDP6_E2E=1 to run tests with real Docker engines")
	}
	for _, release := range lab.Releases() {
		t.Run(release.Docker, func(t *testing.T) {
			t.Parallel()
			root, err := lab.Root(t.Context(), release, os.Stderr)
			if err != nil {
				t.Fatal(err)
			}
			l, err := lab.New(t.Context(), lab.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
			h, err := l.AddHost(t.Context(), 10, root)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Outside.Ping(t.Context(), lab.HostAddr(10), time.Second); err != nil {
				t.Error(err)
			}
			if err := h.StartEngine(t.Context()); err != nil {
				t.Fatal(err)
			}
			docker := func(args ...string) string {
				t.Helper()
				out, err := h.Docker(t.Context(), args...)
				if err != nil {
					t.Fatal(err)
				}
				return strings.TrimSpace(out)
			}
			if v := docker("version", "--format", "{{.Server.Version}}"); !strings.HasPrefix(v, release.Docker+".") {
				t.Errorf("Docker %s in Debian %s, want %s", v, release.Suite, release.Docker)
			}
			id := docker("run", "-d", "--stop-signal", "KILL", "-p", "80:80", lab.Image, "httpd", "-f", "-h", "/etc")
			host4 := netip.MustParseAddrPort("192.0.2.10:80")
			if body, err := l.Outside.Get(t.Context(), host4, "/hostname"); err != nil || body != id[:12] {
				t.Errorf("web server answers %q, %v; want %q", body, err, id[:12])
			}
			docker("exec", id, "ping", "-c1", "-W1", lab.OutsideIPv4)
			if err := h.StopEngine(t.Context(), "TERM"); err != nil {
				t.Error(err)
			}
			if _, err := h.Snapshot(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
