// Package load sends and receives what a benchmark of a network path needs:
// TCP streams, small datagrams, requests and connections.
//
// A measurement takes two processes, one in each namespace at the ends of the
// path. Each is one thread that is bound to a CPU and goes before everything
// else there, so that neither the scheduler nor the Go runtime is measured.
package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"github.com/ndp6/ndp6/netutil/netns"
)

// Command is the argument of a program that makes it such a process: its main
// function then calls Main and does nothing else.
const Command = "load"

// Port is where the serving end listens, for TCP and UDP.
const Port = 7000

// Kind is what is measured.
type Kind string

// The kinds. The client asks, and sends unless the name says otherwise.
const (
	TCPIn       Kind = "tcp in"      // one stream from the client to the server, as this system sends it
	TCPOut      Kind = "tcp out"     // one stream from the server to the client
	CubicIn     Kind = "cubic in"    // as TCPIn, but the sender never waits on purpose
	CubicOut    Kind = "cubic out"   // as TCPOut, likewise
	Packets     Kind = "packets"     // datagrams of 64 bytes that reach the server, in a flow that both have used
	Requests    Kind = "requests"    // 64 bytes each way, one after the other in one connection
	Connections Kind = "connections" // one after the other: connect, a request, close
)

// Rate is what came of a measurement.
type Rate struct {
	Count   float64       // bytes of streams, else packets, requests or connections
	Elapsed time.Duration // by the clock
	CPU     time.Duration // that the busier of the two CPUs was used for it
	paced   bool
}

// PerSecond is the rate by the CPU's time. What else runs on the machine takes
// the clock's, so that this one tells paths apart even when the machine is not idle.
// Only TCPIn and TCPOut are by the clock: a congestion control such as bbr
// leaves CPUs idle.
func (r Rate) PerSecond() float64 {
	if r.paced {
		return r.Count / r.Elapsed.Seconds()
	}
	return r.Count / r.CPU.Seconds()
}

// IsStream reports whether kind is bytes of a stream.
func (k Kind) IsStream() bool { return k.in() || k.out() }

func (k Kind) in() bool  { return k == TCPIn || k == CubicIn }
func (k Kind) out() bool { return k == TCPOut || k == CubicOut }

// paced reports whether the system says when a stream is sent.
func (k Kind) paced() bool { return k == TCPIn || k == TCPOut }

// Process is one end. The caller closes it.
type Process struct {
	name    string
	cmd     *exec.Cmd
	stdin   io.Closer
	encoder *json.Encoder
	decoder *json.Decoder
}

// request asks a process for one measurement.
type request struct {
	Kind   Kind
	Target netip.AddrPort // zero: serve
	CPU    int
	For    time.Duration
}

// answer is what a process says about it.
type answer struct {
	Count        float64
	Elapsed, CPU time.Duration
	Error        string
}

// Start starts a process in the network namespace at path. It ends with the
// one that started it.
func Start(ctx context.Context, name, path string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, Command)
	// One thread, no collector and no signals: nothing but the load runs.
	cmd.Env = append(os.Environ(), "GOGC=off", "GODEBUG=asyncpreemptoff=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	// The child has the namespace of the thread that starts it.
	if err := netns.Do(path, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{name: name, cmd: cmd, stdin: stdin, encoder: json.NewEncoder(stdin), decoder: json.NewDecoder(stdout)}
	if _, err := p.answer(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Close ends the process.
func (p *Process) Close() error {
	p.stdin.Close()
	killErr := p.cmd.Process.Kill()
	if errors.Is(killErr, os.ErrProcessDone) {
		killErr = nil
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("end %s: %w", p.name, err)
	}
	return killErr
}

func (p *Process) ask(r request) error {
	if err := p.encoder.Encode(r); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

func (p *Process) answer() (answer, error) {
	var a answer
	if err := p.decoder.Decode(&a); err != nil {
		return a, fmt.Errorf("%s: %w", p.name, err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s: %s", p.name, a.Error)
	}
	return a, nil
}

// Measure measures one kind for a while. Streams and packets have a CPU at each
// end; requests and connections share one, so that no idle CPU has to wake up.
func Measure(kind Kind, client, server *Process, target netip.AddrPort, duration time.Duration) (Rate, error) {
	cpus, err := twoCPUs()
	if err != nil {
		return Rate{}, err
	}
	shared := kind == Requests || kind == Connections
	sender, receiver := cpus[0], cpus[1]
	if kind.out() {
		sender, receiver = receiver, sender
	}
	if shared {
		receiver = sender
	}
	if err := server.ask(request{Kind: kind, CPU: receiver, For: duration}); err != nil {
		return Rate{}, err
	}
	if err := client.ask(request{Kind: kind, Target: target, CPU: sender, For: duration}); err != nil {
		return Rate{}, err
	}
	c, clientErr := client.answer()
	s, serverErr := server.answer()
	if err := errors.Join(clientErr, serverErr); err != nil {
		return Rate{}, fmt.Errorf("measure %s to %s: %w", kind, target, err)
	}
	switch {
	case shared:
		return Rate{Count: c.Count, Elapsed: c.Elapsed, CPU: c.CPU + s.CPU}, nil
	case kind == Packets:
		// All the path's work is done where the sender runs.
		return Rate{Count: s.Count, Elapsed: c.Elapsed, CPU: c.CPU}, nil
	case kind.in():
		return Rate{Count: s.Count, Elapsed: s.Elapsed, CPU: max(c.CPU, s.CPU), paced: kind.paced()}, nil
	default:
		return Rate{Count: c.Count, Elapsed: c.Elapsed, CPU: max(c.CPU, s.CPU), paced: kind.paced()}, nil
	}
}
