// Package wire serves Docker's plugin protocol: both driver APIs over HTTP on
// unix sockets.
package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/docker/go-plugins-helpers/sdk"

	"github.com/ndp6/ndp6/driver/request"
)

// Config is what a [Server] is made of. Network, IPAM and Log are required.
type Config struct {
	Network Network
	IPAM    IPAM
	Log     *slog.Logger

	// Deadline is how long one call may take, 25 s if zero: dockerd waits 30 s
	// for a managed plugin, and forever for one behind a plain socket.
	Deadline time.Duration
	// Drain is how long calls in flight may go on once the server stops, 5 s if zero.
	Drain time.Duration
}

// A Server answers Docker's calls. It is made by [New].
type Server struct {
	log      *slog.Logger
	methods  map[string]method
	deadline time.Duration
	drain    time.Duration
	calls    atomic.Uint64
	inFlight atomic.Int64
	panics   atomic.Uint64
	tallies  map[string]*tally
}

// New returns a server that passes calls to c's drivers. It listens on nothing
// until [Server.Run].
func New(c Config) *Server {
	s := &Server{
		log:      c.Log,
		methods:  routes(c.Network, c.IPAM, c.Log),
		deadline: c.Deadline,
		drain:    c.Drain,
	}
	s.tallies = newTallies(s.methods)
	if s.deadline == 0 {
		s.deadline = 25 * time.Second
	}
	if s.drain == 0 {
		s.drain = 5 * time.Second
	}
	return s
}

// ServeHTTP answers one call. Whatever goes wrong is a JSON object with Err and
// the status 500, the one form that both APIs take for an error, or 404 for a
// method that does not exist.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	id, start := s.calls.Add(1), time.Now()
	name := strings.TrimPrefix(r.URL.Path, "/")
	ctx, cancel := context.WithTimeout(request.With(r.Context(), id), s.deadline)
	defer cancel()

	body, resp, err := s.call(ctx, name, w, r)
	status, out := http.StatusOK, []byte(nil)
	if err == nil {
		out, err = json.Marshal(resp)
	}
	if err != nil {
		status = http.StatusInternalServerError
		if errors.Is(err, errUnknownMethod) {
			status = http.StatusNotFound
		}
		out, _ = json.Marshal(failure{Err: err.Error()}) // A string always has a JSON form.
	}
	w.Header().Set("Content-Type", sdk.DefaultContentTypeV1_1)
	w.WriteHeader(status)
	_, _ = w.Write(append(out, '\n')) // If dockerd hung up, nobody is left to tell.

	took := time.Since(start)
	s.count(name, took, err)
	attrs := []any{"request", id, "method", name, "duration", took}
	s.logCall(err, append(attrs, subject(body)...))
}

// failure is the answer that both APIs take for an error.
type failure struct {
	Err string
}

// logCall writes the one line that a call leaves behind.
func (s *Server) logCall(err error, attrs []any) {
	var p *panicError
	switch {
	case errors.As(err, &p):
		s.log.Error("call", append(attrs, "error", err, "stack", string(p.stack))...)
	case err != nil:
		s.log.Warn("call", append(attrs, "error", err)...)
	default:
		s.log.Debug("call", attrs...)
	}
}

var errUnknownMethod = errors.New("unknown method")

// A panicError is a defect of ours that one call ran into.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string {
	return fmt.Sprintf("internal error: %v: the log of ndp6 has the stack: please report it", p.value)
}

// call finds and runs the method, and turns a panic into an error: a broken
// connection would make dockerd repeat the call without its arguments.
func (s *Server) call(ctx context.Context, name string, w http.ResponseWriter, r *http.Request) (body []byte, resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	m, ok := s.methods[name]
	if !ok {
		return nil, nil, fmt.Errorf("%w %q", errUnknownMethod, name)
	}
	body, err = readBody(w, r)
	if err != nil {
		return nil, nil, err
	}
	resp, err = m(ctx, body)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("gave up after %s: %w", s.deadline, err)
	}
	return body, resp, err
}
