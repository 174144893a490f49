// Package admin serves the state of a running ndp6 on a local socket, and asks
// for it.
//
// The protocol is HTTP on a unix socket in the state directory that only root
// can open: GET /status answers a Status as JSON, which docs/status.md
// describes, and GET /metrics what docs/metrics.md does.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ndp6/ndp6/driver"
	"github.com/ndp6/ndp6/ipam"
	"github.com/ndp6/ndp6/plugin/cluster"
)

// Schema is the number of the form that Status has in JSON. It changes when
// something is taken away or gets another meaning; what is added does not count.
const Schema = 1

const (
	socketName  = "admin.sock"
	statusPath  = "/status"
	metricsPath = "/metrics"

	// deadline is how long an answer may take: it waits for the kernel, behind
	// Docker's calls.
	deadline = 20 * time.Second
	// drain is how long answers under way may go on once the server stops.
	drain = 2 * time.Second
	// maxAnswer is more than 10,000 endpoints need.
	maxAnswer = 64 << 20
)

// Socket returns the path of the socket of the ndp6 with this state directory.
func Socket(stateDir string) string { return filepath.Join(stateDir, socketName) }

// Status is what a running ndp6 says of itself.
type Status struct {
	Schema int `json:"schema"`
	// Started is when the process was ready.
	Started time.Time `json:"started"`
	// Time is when all of this was so, by the clock of the host.
	Time time.Time `json:"time,omitzero"`
	driver.Status
	// Pools are those of ndp6's IPAM driver, whether or not a network has them.
	Pools []ipam.PoolStatus `json:"pools"`
	// Cluster is absent on a host on its own.
	Cluster *cluster.Status `json:"cluster,omitempty"`
	// Drops are the packets that the firewall dropped, largest first; none where
	// nobody counts.
	Drops []Drop `json:"drops,omitempty"`
}

// Drop counts packets that the firewall dropped for one reason, the name of
// its counter.
type Drop struct {
	Reason  string `json:"reason"`
	Packets uint64 `json:"packets"`
}

// Findings counts what an operator should look at.
func (s Status) Findings() int {
	n := len(s.Problems) + len(s.Warnings) + len(s.Drift)
	if s.Cluster != nil && s.Cluster.Trouble != "" {
		n++
	}
	for _, e := range s.Endpoints {
		n += len(e.Withdrawn)
	}
	return n
}

// Server answers for one process.
type Server struct {
	// Status returns what the process says now.
	Status func(ctx context.Context) (Status, error)
	// Metrics answers with the metrics; nil for none.
	Metrics http.Handler
	// Cluster answers for the cluster; nil for a host on its own.
	Cluster Cluster
	Log     *slog.Logger
}

// Run answers on l until ctx ends, and returns nil then. It closes l.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, s.status)
	mux.HandleFunc("GET "+claimsPath, s.claims)
	mux.HandleFunc("POST "+reapPath, s.reap)
	if s.Metrics != nil {
		mux.Handle("GET "+metricsPath, s.Metrics)
	}
	return s.run(ctx, l, mux)
}

// RunMetrics is Run for listeners that anybody may reach: it answers with the
// metrics, which must be there, and nothing else.
func (s *Server) RunMetrics(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET "+metricsPath, s.Metrics)
	return s.run(ctx, l, mux)
}

func (s *Server) run(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      deadline + drain,
		IdleTimeout:       2 * time.Minute, // longer than Prometheus waits between scrapes
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		err := srv.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = srv.Close()
		}
		stopped <- err
	})
	err := srv.Serve(l)
	if stop() { // ended by itself
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return <-stopped
}

// failure is the body of an answer that is not a Status.
type failure struct {
	Error string `json:"error"`
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	reply(w, r, func(ctx context.Context) (any, error) { return s.Status(ctx) })
}

// reply answers with what do returns.
func reply(w http.ResponseWriter, r *http.Request, do func(context.Context) (any, error)) {
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	code := http.StatusOK
	body, err := do(ctx)
	if err != nil {
		code, body = http.StatusInternalServerError, failure{Error: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // If the client hung up, nobody is left to tell.
}

// Get asks the ndp6 with this state directory for its status.
func Get(ctx context.Context, stateDir string) (Status, error) {
	var s Status
	if err := ask(ctx, stateDir, http.MethodGet, statusPath, &s); err != nil {
		return Status{}, err
	}
	if s.Schema != Schema {
		return Status{}, fmt.Errorf("ndp6 at %s answers in form %d, this command reads form %d: use the command of the version that runs", Socket(stateDir), s.Schema, Schema)
	}
	return s, nil
}

// ask asks the ndp6 with this state directory.
func ask(ctx context.Context, stateDir, method, path string, answer any) error {
	socket := Socket(stateDir)
	err := askAt(ctx, socket, method, path, answer)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no ndp6 serves %s: start one with ndp6 serve or docker plugin enable, or name its --state-dir", socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("ask ndp6 at %s: %w: only root may", socket, fs.ErrPermission)
	case err != nil:
		return fmt.Errorf("ask ndp6 at %s: %w", socket, err)
	}
	return nil
}

func askAt(ctx context.Context, socket, method, path string, answer any) error {
	client := http.Client{
		Timeout: deadline + drain,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			},
		},
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://ndp6"+path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		if urlErr, ok := errors.AsType[*url.Error](err); ok {
			err = urlErr.Err
		}
		return err
	}
	defer resp.Body.Close()
	body := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode != http.StatusOK {
		var f failure
		if err := body.Decode(&f); err != nil || f.Error == "" {
			f.Error = resp.Status
		}
		return errors.New(f.Error)
	}
	if err := body.Decode(answer); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}

// Read reads a Status that was kept as JSON.
func Read(r io.Reader) (Status, error) {
	var s Status
	if err := json.NewDecoder(io.LimitReader(r, maxAnswer)).Decode(&s); err != nil {
		return Status{}, fmt.Errorf("decode the status: %w", err)
	}
	if s.Schema != Schema {
		return Status{}, fmt.Errorf("the status has form %d, this command reads form %d: use the command of the version that wrote it", s.Schema, Schema)
	}
	return s, nil
}
