package wire_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/driver/request"
	"github.com/ndp6/ndp6/plugin/wire"
)

// quiet is the log of tests that do not look at it.
var quiet = slog.New(slog.DiscardHandler)

// A peer is a running server and what dockerd would hold of it.
type peer struct {
	client *http.Client
	path   string
	stop   context.CancelFunc
	done   chan error
}

func start(tb testing.TB, d *drivers, log *slog.Logger) *peer {
	tb.Helper()
	return startConfig(tb, wire.Config{Network: fakeNetwork{d}, IPAM: fakeIPAM{d}, Log: log})
}

func startConfig(tb testing.TB, c wire.Config) *peer {
	tb.Helper()
	l := listen(tb, filepath.Join(socketDir(tb), "ndp6.sock"))
	ctx, stop := context.WithCancel(context.Background())
	p := &peer{path: l.Path(), stop: stop, done: make(chan error, 1)}
	dialer := &net.Dialer{}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", p.path)
	}}
	p.client = &http.Client{Transport: transport}
	go func() { p.done <- wire.New(c).Run(ctx, l); close(p.done) }()
	tb.Cleanup(func() {
		stop()
		for range p.done { // Until Run has returned.
		}
		transport.CloseIdleConnections()
	})
	return p
}

// post sends one call and returns the status and the body without its newline.
func (p *peer) post(tb testing.TB, method, body string) (status int, answer string) {
	tb.Helper()
	resp, err := p.client.Post("http://ndp6/"+method, "", strings.NewReader(body))
	if err != nil {
		tb.Errorf("%s: %v", method, err) // Not Fatal: some tests call from another goroutine.
		return 0, ""
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Errorf("%s: %v", method, err)
	}
	return resp.StatusCode, strings.TrimSpace(string(out))
}

// socketDir is a directory whose name leaves room for a socket's.
func socketDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "wire") //nolint:usetesting // TempDir's names are too long for a socket's.
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestAnswers(t *testing.T) {
	boom := errors.New(`uplink "eth1" has no global prefix`)
	for _, tt := range []struct {
		name, method, body string
		before             func(context.Context, any) error
		status             int
		answer             string
	}{
		{
			name: "activation", method: "Plugin.Activate",
			status: 200, answer: `{"Implements":["NetworkDriver","IpamDriver"]}`,
		},
		{
			name: "network capabilities", method: "NetworkDriver.GetCapabilities",
			status: 200, answer: `{"Scope":"local","ConnectivityScope":"global","GwAllocChecker":true}`,
		},
		{
			name: "IPAM capabilities", method: "IpamDriver.GetCapabilities",
			status: 200, answer: `{"RequiresMACAddress":true,"RequiresRequestReplay":true}`,
		},
		{
			name: "call without arguments with a body all the same", method: "IpamDriver.GetDefaultAddressSpaces", body: `{}`,
			status: 200, answer: `{"LocalDefaultAddressSpace":"ndp6","GlobalDefaultAddressSpace":"ndp6"}`,
		},
		{
			name: "gateway check", method: "NetworkDriver.GwAllocCheck", body: `{"Options":{}}`,
			status: 200, answer: `{"SkipIPv4":false,"SkipIPv6":true}`,
		},
		{
			name: "nothing to answer", method: "NetworkDriver.Leave", body: `{"NetworkID":"n","EndpointID":"e"}`,
			status: 200, answer: `{}`,
		},
		{
			name: "nil answer", method: "NetworkDriver.CreateEndpoint", body: `{"NetworkID":"n"}`,
			status: 200, answer: `{}`,
		},
		{
			name: "unknown field", method: "NetworkDriver.Leave", body: `{"NetworkID":"n","Since":"Docker 40"}`,
			status: 200, answer: `{}`,
		},
		{
			name: "endpoint information", method: "NetworkDriver.EndpointOperInfo", body: `{"NetworkID":"n","EndpointID":"e"}`,
			status: 200, answer: `{"Value":{}}`,
		},
		{
			name: "endpoint information with an error", method: "NetworkDriver.EndpointOperInfo", body: `{"NetworkID":"n","EndpointID":"e"}`,
			before: func(context.Context, any) error { return boom },
			status: 200, answer: `{"Value":{}}`,
		},
		{
			name: "network error", method: "NetworkDriver.CreateNetwork", body: `{"NetworkID":"n"}`,
			before: func(context.Context, any) error { return boom },
			status: 500, answer: `{"Err":"uplink \"eth1\" has no global prefix"}`,
		},
		{
			name: "IPAM error", method: "IpamDriver.RequestAddress", body: `{"PoolID":"p"}`,
			before: func(context.Context, any) error { return boom },
			status: 500, answer: `{"Err":"uplink \"eth1\" has no global prefix"}`,
		},
		{
			name: "unknown method", method: "NetworkDriver.Teleport", body: `{}`,
			status: 404, answer: `{"Err":"unknown method \"NetworkDriver.Teleport\""}`,
		},
		{
			name: "no body", method: "NetworkDriver.Join",
			status: 500, answer: `{"Err":"the request has no arguments: Docker repeats a call whose connection to the plugin broke and leaves its body out: run the docker command again"}`,
		},
		{
			name: "blank body", method: "NetworkDriver.Join", body: " \n",
			status: 500, answer: `{"Err":"the request has no arguments: Docker repeats a call whose connection to the plugin broke and leaves its body out: run the docker command again"}`,
		},
		{
			name: "not JSON", method: "NetworkDriver.Join", body: `hello`,
			status: 500, answer: `{"Err":"decode the request: the body is not JSON: invalid character 'h' looking for beginning of value"}`,
		},
		{
			name: "half an object", method: "NetworkDriver.Join", body: `{"NetworkID":`,
			status: 500, answer: `{"Err":"decode the request: the body is not JSON: unexpected end of JSON input"}`,
		},
		{
			name: "something after the object", method: "NetworkDriver.Join", body: `{"NetworkID":"n"}{}`,
			status: 500, answer: `{"Err":"decode the request: the body is not JSON: invalid character '{' after top-level value"}`,
		},
		{
			name: "null", method: "NetworkDriver.Join", body: `null`,
			status: 500, answer: `{"Err":"decode the request: the body is not a JSON object"}`,
		},
		{
			name: "list", method: "NetworkDriver.Join", body: `[]`,
			status: 500, answer: `{"Err":"decode the request: the body is not a JSON object"}`,
		},
		{
			name: "field of another type", method: "NetworkDriver.Join", body: `{"NetworkID":7}`,
			status: 500, answer: `{"Err":"decode the request: NetworkID is a JSON number, want string"}`,
		},
		{
			name: "panic", method: "NetworkDriver.Join", body: `{"NetworkID":"n"}`,
			before: func(context.Context, any) error { panic("index out of range") },
			status: 500, answer: `{"Err":"internal error: index out of range: the log of ndp6 has the stack: please report it"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, &drivers{before: tt.before}, quiet)
			status, answer := p.post(t, tt.method, tt.body)
			if status != tt.status || answer != tt.answer {
				t.Errorf("answer\n%d %s\nwant\n%d %s", status, answer, tt.status, tt.answer)
			}
			if status, answer := p.post(t, "Plugin.Activate", ""); status != 200 {
				t.Errorf("next call: %d %s", status, answer)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	d := &drivers{before: func(ctx context.Context, _ any) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	p := startConfig(t, wire.Config{Network: fakeNetwork{d}, IPAM: fakeIPAM{d}, Log: quiet, Deadline: time.Millisecond})
	status, answer := p.post(t, "NetworkDriver.Join", `{}`)
	want := `{"Err":"gave up after 1ms: context deadline exceeded"}`
	if status != 500 || answer != want {
		t.Errorf("answer %d %s, want 500 %s", status, answer, want)
	}
}

func TestRequestLog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "duration", "stack":
				a.Value = slog.StringValue("-")
			}
			return a
		},
	}))
	var ids []uint64
	d := &drivers{before: func(ctx context.Context, req any) error {
		ids = append(ids, request.ID(ctx))
		if r, ok := req.(*network.LeaveRequest); ok && r.EndpointID == "" {
			return errors.New("no endpoint")
		}
		if _, ok := req.(*network.JoinRequest); ok {
			panic("nil map")
		}
		return nil
	}}
	s := wire.New(wire.Config{Network: fakeNetwork{d}, IPAM: fakeIPAM{d}, Log: log})
	for _, call := range [][2]string{
		{"Plugin.Activate", ""},
		{"NetworkDriver.Leave", `{"NetworkID":"70472555df797d799ac902b1fceeef62","EndpointID":"acd99db6f856e88913b31569d2a9fa9a"}`},
		{"NetworkDriver.Leave", `{"NetworkID":"xq3r8h4s"}`},
		{"IpamDriver.ReleasePool", `{"PoolID":"v6/2001:db8::/80"}`},
		{"NetworkDriver.Join", `{}`},
	} {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/"+call[0], strings.NewReader(call[1])))
	}
	want := `
time=- level=DEBUG msg=call request=1 method=Plugin.Activate duration=-
time=- level=DEBUG msg=call request=2 method=NetworkDriver.Leave duration=- network=70472555df79 endpoint=acd99db6f856
time=- level=WARN msg=call request=3 method=NetworkDriver.Leave duration=- network=xq3r8h4s error="no endpoint"
time=- level=DEBUG msg=call request=4 method=IpamDriver.ReleasePool duration=- pool=v6/2001:db8::/80
time=- level=ERROR msg=call request=5 method=NetworkDriver.Join duration=- error="internal error: nil map: the log of ndp6 has the stack: please report it" stack=-
`
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), out.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uint64{2, 3, 4, 5}, ids); diff != "" {
		t.Errorf("requests of contexts (-want +got):\n%s", diff)
	}
}

// FuzzCall looks for bodies that get past the decoder or break the server.
func FuzzCall(f *testing.F) {
	for _, version := range []string{"20.10", "29.7"} {
		for _, call := range recorded(f, version) {
			f.Add(call.Method, call.body())
		}
	}
	f.Add("NetworkDriver.Join", "null")
	f.Add("../NetworkDriver.Join", `{"Options":[]}`)
	d := &drivers{}
	s := wire.New(wire.Config{Network: fakeNetwork{d}, IPAM: fakeIPAM{d}, Log: quiet})
	f.Fuzz(func(t *testing.T, method, body string) {
		d.seen = d.seen[:0]
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL.Path = "/" + method
		s.ServeHTTP(w, r)
		switch answer := strings.TrimSpace(w.Body.String()); {
		case !strings.HasPrefix(answer, "{"):
			t.Errorf("answer %q is no object", answer)
		case (w.Code != http.StatusOK) != strings.HasPrefix(answer, `{"Err":"`):
			t.Errorf("status %d with answer %s", w.Code, answer)
		case w.Code != http.StatusOK && len(d.seen) > 0:
			t.Errorf("a refused call reached the driver: %+v", d.seen)
		}
	})
}
