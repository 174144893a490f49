package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/driver/plan"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/admin"
	"github.com/ndp6/ndp6/plugin/wire"
)

// stateDir is a directory whose name leaves room for a socket's.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ndp6") //nolint:usetesting // TempDir's names are too long for a socket's.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// serve runs a server until the returned function is called.
func serve(t *testing.T, dir string, status func(context.Context) (admin.Status, error)) (stop func() error) {
	t.Helper()
	l, err := wire.Listen(admin.Socket(dir))
	if err != nil {
		t.Fatal(err)
	}
	server := admin.Server{Status: status, Metrics: http.HandlerFunc(one), Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, l) }()
	t.Cleanup(cancel)
	return func() error {
		cancel()
		return <-done
	}
}

// one is a metric.
func one(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ndp6_one 1") }

// TestMetrics: they are on the local socket beside the status, and elsewhere alone.
func TestMetrics(t *testing.T) {
	local, err := net.Listen("unix", filepath.Join(stateDir(t), "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := admin.Server{
		Status:  func(context.Context) (admin.Status, error) { return full(), nil },
		Metrics: http.HandlerFunc(one), Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- server.Run(ctx, local) }()
	go func() { ended <- server.RunMetrics(ctx, tcp) }()
	for _, tt := range []struct {
		at   net.Addr
		path string
		code int
		body string
	}{
		{local.Addr(), "/metrics", 200, "ndp6_one 1\n"},
		{tcp.Addr(), "/metrics", 200, "ndp6_one 1\n"},
		{tcp.Addr(), "/status", 404, "404 page not found\n"},
		{tcp.Addr(), "/", 404, "404 page not found\n"},
	} {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, tt.at.Network(), tt.at.String())
		}}}
		resp, err := client.Get("http://ndp6" + tt.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != tt.code || string(body) != tt.body {
			t.Errorf("%s of %s: %s %q, %v", tt.path, tt.at.Network(), resp.Status, body, err)
		}
	}
	cancel()
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Error(err)
	}
}

func full() admin.Status {
	addr := netip.MustParseAddr("2001:db8::a:242:0:2")
	return admin.Status{
		Schema: admin.Schema, Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Status: driver.Status{
			Networks: []driver.NetworkStatus{{
				ID: "web", Bridge: "nd-web", UplinkOption: "auto", Uplink: "eth0",
				Pools: []driver.PoolStatus{{Prefix: netip.MustParsePrefix("2001:db8:0:0:a::/80"), Gateway: netip.MustParseAddr("fe80::1")}},
			}},
			Endpoints: []driver.EndpointStatus{{
				ID: "a", Network: "web", MAC: inet.MAC{2, 0x42, 0, 0, 0, 2}, Joined: true,
				Addrs: []netip.Addr{addr}, Addresses: []driver.AddressStatus{{Addr: addr, Origin: plan.Given}}, Withdrawn: []netip.Addr{addr},
			}},
			Problems: []driver.ProblemStatus{{Owner: "a", Error: "broken", Since: time.Unix(0, 0).UTC(), Attempts: 2, Retry: time.Unix(9, 0).UTC()}},
			Warnings: []driver.Warning{{Owner: "web", Text: "renumbered"}},
			Drift:    []string{"add veth x"},
		},
		Pools: []ipam.PoolStatus{{
			Prefix: netip.MustParsePrefix("2001:db8:0:0:a::/80"), Source: "uplink", Reason: "on-link prefix 2001:db8::/64 of uplink \"eth0\"",
			IID: alloc.MAC, Leases: 1,
		}},
	}
}

func TestRoundTrip(t *testing.T) {
	dir := stateDir(t)
	stop := serve(t, dir, func(context.Context) (admin.Status, error) { return full(), nil })
	if info, err := os.Stat(admin.Socket(dir)); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
	got, err := admin.Get(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	if got.Findings() != 4 {
		t.Errorf("%d findings, want 4", got.Findings())
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	_, err = admin.Get(t.Context(), dir)
	wantError(t, err, "no ndp6 serves "+dir+"/admin.sock: start one with ndp6 serve or docker plugin enable, or name its --state-dir")
}

func TestErrors(t *testing.T) {
	t.Run("status", func(t *testing.T) {
		dir := stateDir(t)
		serve(t, dir, func(context.Context) (admin.Status, error) {
			return admin.Status{}, errors.New("observe the host: broken")
		})
		_, err := admin.Get(t.Context(), dir)
		wantError(t, err, "ask ndp6 at "+dir+"/admin.sock: observe the host: broken")
	})
	t.Run("another form", func(t *testing.T) {
		dir := stateDir(t)
		serve(t, dir, func(context.Context) (admin.Status, error) { return admin.Status{Schema: 2}, nil })
		_, err := admin.Get(t.Context(), dir)
		wantError(t, err, "answers in form 2, this command reads form 1")
	})
	t.Run("another server", func(t *testing.T) {
		dir := stateDir(t)
		l, err := net.Listen("unix", admin.Socket(dir))
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Listener = l
		server.Start()
		defer server.Close()
		_, err = admin.Get(t.Context(), dir)
		wantError(t, err, "404 Not Found")
	})
	t.Run("stale socket", func(t *testing.T) {
		dir := stateDir(t)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: admin.Socket(dir), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		l.Close()
		_, err = admin.Get(t.Context(), dir)
		wantError(t, err, "no ndp6 serves")
	})
	t.Run("given up", func(t *testing.T) {
		dir := stateDir(t)
		serve(t, dir, func(ctx context.Context) (admin.Status, error) {
			<-ctx.Done()
			return admin.Status{}, ctx.Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := admin.Get(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the deadline", err)
		}
	})
}

// TestDrain: an answer under way is given before the server ends.
func TestDrain(t *testing.T) {
	dir := stateDir(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	stop := serve(t, dir, func(context.Context) (admin.Status, error) {
		close(asked)
		<-answer
		return full(), nil
	})
	got := make(chan error, 1)
	go func() {
		_, err := admin.Get(t.Context(), dir)
		got <- err
	}()
	<-asked
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	select {
	case err := <-ended:
		t.Fatalf("ended before the answer: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(answer)
	if err := errors.Join(<-got, <-ended); err != nil {
		t.Error(err)
	}
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one with %q", err, part)
	}
}
