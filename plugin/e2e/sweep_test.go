package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// TestSweep has Docker forget containers and networks while no plugin hears it.
func TestSweep(t *testing.T) {
	t.Parallel()
	binary := requirements(t)
	for _, release := range lab.Releases() {
		t.Run(release.Docker, func(t *testing.T) {
			if !wanted(release.Docker) {
				t.Skip("not in NDP6_E2E_VERSIONS")
			}
			t.Parallel()
			newBed(t, release, binary).try(t, forgotten)
		})
	}
}

// forgotten removes containers and a network while the plugin is down, and
// wants nothing left of them, and all of what was kept.
func forgotten(b *bed) {
	const second = "2001:db8:1:0:b::/80"
	b.network("n", "--subnet", pool)
	b.network("m", "--subnet", second, "--subnet", "10.77.0.0/24")
	b.web("c1", "n")
	gone, other := b.web("d1", "n"), b.web("e1", "m")
	kept := b.inspect("c1", "n")
	for _, c := range []container{kept, gone, other} {
		b.reach(b.Router, c, c.addr)
	}
	if got := b.status(); len(got.Networks) != 2 || len(got.Endpoints) != 3 || len(got.Drift) > 0 {
		b.Errorf("status with three containers on two networks: %+v", got)
	}
	bridge := "nd-" + b.docker("network", "inspect", "-f", "{{slice .Id 0 12}}", "m")

	b.ok(b.host.StopPlugin(b.ctx(), "KILL"))
	stop := b.deafPlugin()
	b.docker("rm", "-f", "d1", "e1")
	b.docker("network", "rm", "m")
	stop()
	start := time.Now()
	b.startPlugin()
	b.within(30*time.Second, func() error {
		if s := b.status(); len(s.Networks) != 1 || len(s.Endpoints) != 1 {
			return fmt.Errorf("%d networks and %d endpoints after %s, want what docker has", len(s.Networks), len(s.Endpoints), time.Since(start))
		}
		return nil
	})
	b.Logf("networks and endpoints forgotten %s after the start", time.Since(start).Round(time.Millisecond))
	// The records go first, the kernel follows.
	b.within(5*time.Second, func() error {
		proxies, err := b.host.Exec(b.ctx(), "ip", "-6", "neigh", "show", "proxy")
		if err != nil {
			return err
		}
		if !strings.Contains(proxies, kept.addr.String()) || strings.Contains(proxies, gone.addr.String()) || strings.Contains(proxies, other.addr.String()) {
			return fmt.Errorf("proxy entries, want that of %s alone:\n%s", kept.addr, proxies)
		}
		links, err := b.host.Exec(b.ctx(), "ip", "link")
		if err == nil && strings.Contains(links, bridge) {
			err = fmt.Errorf("links, want no %s:\n%s", bridge, links)
		}
		return err
	})
	b.reach(b.Outside, kept, kept.addr)
	b.silent(b.Router, gone.addr)

	// Leases and pools follow when they are old enough not to be those of a
	// container that is being started.
	b.within(2*time.Minute, func() error {
		_, err := b.host.Docker(b.ctx(), "network", "create", "-d", "ndp6", "--ipam-driver", "ndp6", "--ipv6", "-o", "ndp6.inbound=open", "--subnet", second, "--subnet", "10.77.0.0/24", "again")
		return err
	})
	b.within(2*time.Minute, func() error {
		_, err := b.host.Docker(b.ctx(), "run", "-d", "--stop-signal", "KILL", "--name", "f1", "--network", "n", "--ip6", gone.addr.String(), lab.Image, "httpd", "-f", "-h", "/etc")
		if err != nil {
			b.docker("rm", "-f", "f1")
		}
		return err
	})
	b.Logf("pools and leases released %s after the start", time.Since(start).Round(time.Second))
	f, g := b.inspect("f1", "n"), b.web("g1", "again")
	b.reach(b.Router, f, gone.addr)
	b.reach(b.Router, g, g.addr)
	b.reach(b.Outside, kept, kept.addr)
	b.refused([]string{"is held by"}, "run", "--rm", "--network", "n", "--ip6", kept.addr.String(), lab.Image, "true")
	if s := b.status(); len(s.Networks) != 2 || len(s.Endpoints) != 3 || len(s.Drift)+len(s.Problems) > 0 {
		b.Errorf("status at the end: %+v", s)
	}
}

// deafPlugin answers Docker on the plugin's socket, always with an error: what
// Docker then forgets nobody hears of. Without anyone to answer, Docker would
// wait for 15 s at each call.
func (b *bed) deafPlugin() (stop func()) {
	b.Helper()
	path := b.host.Path("/run/docker/plugins/ndp6.sock")
	b.ok(os.RemoveAll(path))
	l, err := net.Listen("unix", path)
	b.ok(err)
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"Err": "not now"}`))
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	return func() {
		b.Helper()
		b.ok(server.Close())
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	}
}

// status is what `ndp6 status --json` says on the host. Findings are no error.
func (b *bed) status() (s admin.Status) {
	b.Helper()
	out, err := b.host.Exec(b.ctx(), "sh", "-c", "/run/ndp6-lab/bin/ndp6 status --json || [ $? = 2 ]")
	b.ok(err)
	b.ok(json.Unmarshal([]byte(out), &s))
	return s
}
