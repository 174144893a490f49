package engine_test

import (
	"context"
	"errors"
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

	"github.com/ndp6/ndp6/plugin/engine"
)

// serve is a daemon that answers with h.
func serve(t *testing.T, h http.HandlerFunc) *engine.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "ndp6") //nolint:usetesting // TempDir's names are too long for a socket's.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return engine.New(socket)
}

// answers is a daemon with these answers by path.
func answers(t *testing.T, bodies map[string]string) *engine.Client {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Path]
		if !ok || r.Method != http.MethodGet {
			w.WriteHeader(http.StatusNotFound)
			body = `{"message":"network x not found"}`
		}
		_, _ = w.Write([]byte(body))
	})
}

func TestDaemon(t *testing.T) {
	tests := []struct {
		name, answer string
		want         engine.Daemon
		err          string
	}{
		{name: "alone", answer: `{"ID":"A:B","Swarm":{"LocalNodeState":"inactive"},"Name":"h"}`, want: engine.Daemon{ID: "A:B"}},
		{name: "without a word of swarm", answer: `{"ID":"A:B"}`, want: engine.Daemon{ID: "A:B"}},
		{name: "in a swarm", answer: `{"ID":"A:B","Swarm":{"LocalNodeState":"locked"}}`, want: engine.Daemon{ID: "A:B", Swarm: true}},
		{name: "without an id", answer: `{}`, err: "for /info: the answer has no ID"},
		{name: "cut off", answer: `{"ID":"A:`, err: "for /info: decode the answer: unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := answers(t, map[string]string{"/info": tt.answer}).Daemon(t.Context())
			wantError(t, err, tt.err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNetworks(t *testing.T) {
	tests := []struct {
		name, answer string
		want         []engine.Network
		err          string
	}{
		{name: "none", answer: `[]`},
		{
			name: "of all kinds",
			answer: `[
{"Name":"web","Id":"1f","Scope":"local","Driver":"ndp6","IPAM":{"Driver":"ndp6","Config":[{"Subnet":"2001:db8::7/80","Gateway":"fe80::1"},{"Subnet":"10.166.0.0/24"}]}},
{"Name":"host","Id":"2f","Scope":"local","IPAM":{"Driver":"default","Config":null}},
{"Name":"all","Id":"3f","Scope":"swarm","IPAM":{"Config":[{"Subnet":""}]}}]`,
			want: []engine.Network{
				{ID: "1f", Name: "web", Local: true, Pools: []netip.Prefix{netip.MustParsePrefix("2001:db8::/80"), netip.MustParsePrefix("10.166.0.0/24")}},
				{ID: "2f", Name: "host", Local: true},
				{ID: "3f", Name: "all"},
			},
		},
		{name: "null", answer: `null`, err: "for /networks: the answer is no list"},
		{name: "without an id", answer: `[{"Name":"web"}]`, err: "for /networks: a network has no Id"},
		{name: "odd pool", answer: `[{"Id":"1f","IPAM":{"Config":[{"Subnet":"x"}]}}]`, err: `network 1f: netip.ParsePrefix("x"): no '/'`},
		{name: "another form", answer: `{}`, err: "decode the answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := answers(t, map[string]string{"/networks": tt.answer}).Networks(t.Context())
			wantError(t, err, tt.err)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	c := answers(t, map[string]string{
		"/networks/1f": `{"Id":"1f","Containers":{
"c1":{"Name":"www","EndpointID":"e1","MacAddress":"","IPv4Address":"10.166.0.2/24","IPv6Address":"2001:db8::2/80"},
"ep-e2":{"EndpointID":"e2","IPv4Address":"","IPv6Address":""}}}`,
		"/networks/2f": `{"Id":"another"}`,
		"/networks/3f": `{"Id":"3f","Containers":{"c1":{"EndpointID":"e1","IPv4Address":"x"}}}`,
	})
	got, err := c.Endpoints(t.Context(), "1f")
	wantError(t, err, "")
	want := []engine.Endpoint{
		{ID: "e1", Name: "www", Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("10.166.0.2")}},
		{ID: "e2"},
	}
	byID := cmpopts.SortSlices(func(a, b engine.Endpoint) bool { return a.ID < b.ID })
	if diff := cmp.Diff(want, got, byID, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	_, err = c.Endpoints(t.Context(), "2f")
	wantError(t, err, `the answer is about network "another"`)
	_, err = c.Endpoints(t.Context(), "3f")
	wantError(t, err, "endpoint e1: ")
	_, err = c.Endpoints(t.Context(), "4f")
	wantError(t, err, "for /networks/4f: not found: network x not found")
	if !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("%v is not ErrNotFound", err)
	}
}

// TestAbsent: no daemon is told apart from one that answers badly.
func TestAbsent(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "nothing"), file, os.DevNull} {
		if _, err := engine.New(path).Daemon(t.Context()); !errors.Is(err, engine.ErrAbsent) {
			t.Errorf("%s: %v, want ErrAbsent", path, err)
		}
	}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"message":"starting"}`, http.StatusServiceUnavailable)
	})
	_, err := c.Networks(t.Context())
	wantError(t, err, "status 503: starting")
	if errors.Is(err, engine.ErrAbsent) {
		t.Errorf("%v is ErrAbsent", err)
	}
}

// TestSilent: a daemon that does not answer is given up, as is the caller's context.
func TestSilent(t *testing.T) {
	release := make(chan struct{})
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := c.Daemon(ctx)
	wantError(t, err, "no answer in time")
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := c.Daemon(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	switch {
	case part == "" && err != nil:
		t.Errorf("error %v", err)
	case part != "" && (err == nil || !strings.Contains(err.Error(), part)):
		t.Errorf("error %v, want one with %q", err, part)
	}
}

func TestRelease(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		want         engine.Release
		err          string
	}{
		{"Debian's", `{"ID":"a","ServerVersion":"28.5.2+dfsg4","SecurityOptions":["name=seccomp,profile=builtin","name=cgroupns"]}`, engine.Release{Version: "28.5.2+dfsg4"}, ""},
		{"rootless", `{"ServerVersion":"29.0.0","SecurityOptions":["name=rootless"]}`, engine.Release{Version: "29.0.0", Rootless: true}, ""},
		{"no version", `{}`, engine.Release{}, "the answer has no ServerVersion"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := answers(t, map[string]string{"/info": tt.answer}).Release(t.Context())
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("release (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.HasSuffix(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}
