package load

import (
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"time"

	"golang.org/x/sys/unix" //nolint:depguard // The load itself is system calls.
)

// Main is a process: it answers the requests that it reads, until they end.
func Main(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	if err := goFirst(); err != nil {
		return err
	}
	s := new(server)
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r request
		if err := requests.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		a, err := serve(s, r)
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

func serve(s *server, r request) (answer, error) {
	if err := bind(r.CPU); err != nil {
		return answer{}, err
	}
	if r.Target.IsValid() {
		return run(r)
	}
	if err := s.open(); err != nil {
		return answer{}, err
	}
	return s.serve(r)
}

// measured times fn.
func measured(fn func() (float64, error)) (answer, error) {
	start, cpu := time.Now(), cpuTime()
	count, err := fn()
	return answer{Count: count, Elapsed: time.Since(start), CPU: cpuTime() - cpu}, err
}

// server is the end that listens. Its sockets are open between measurements,
// too, so that a client never comes too early.
type server struct {
	tcp, udp socket
}

func (s *server) open() (err error) {
	if s.tcp != 0 {
		return nil
	}
	if s.udp, err = listen(unix.SOCK_DGRAM); err != nil {
		return err
	}
	s.tcp, err = listen(unix.SOCK_STREAM)
	return err
}
