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
	// Before anybody asks, so that no client comes too early.
	s, err := open()
	if err != nil {
		return err
	}
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	if err := answers.Encode(answer{}); err != nil {
		return err
	}
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
	return s.serve(r)
}

// measured times fn.
func measured(fn func() (float64, error)) (answer, error) {
	start, cpu := time.Now(), cpuTime()
	count, err := fn()
	return answer{Count: count, Elapsed: time.Since(start), CPU: cpuTime() - cpu}, err
}

// server is the end that listens.
type server struct {
	tcp, udp socket
}

func open() (*server, error) {
	udp, err := listen(unix.SOCK_DGRAM)
	if err != nil {
		return nil, err
	}
	tcp, err := listen(unix.SOCK_STREAM)
	return &server{tcp: tcp, udp: udp}, err
}
