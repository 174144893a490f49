package load

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix" //nolint:depguard // The load itself is system calls.
)

// What the first byte of a message asks for.
const (
	answerIt = 'a' // send it back
	countIt  = 'c' // nothing
	endIt    = 'e' // send it back and end the measurement
)

func (s *server) serve(r request) (answer, error) {
	if r.Kind == Packets {
		return s.packets()
	}
	if r.Kind == Connections {
		return s.connections()
	}
	conn, err := s.tcp.accept()
	if err != nil {
		return answer{}, err
	}
	defer conn.close()
	switch {
	case r.Kind.in():
		return measured(func() (float64, error) { return drain(conn) })
	case r.Kind.out():
		return measured(func() (float64, error) { return flood(conn, r) })
	default:
		return measured(func() (float64, error) { return echo(conn) })
	}
}

// drain reads until the other end has no more.
func drain(conn socket) (float64, error) {
	b := make([]byte, 4*streamSize)
	var count float64
	for {
		n, err := conn.read(b)
		if err != nil || n == 0 {
			return count, err
		}
		count += float64(n)
	}
}

// flood writes for a while.
func flood(conn socket, r request) (float64, error) {
	if !r.Kind.paced() {
		if err := conn.cubic(); err != nil {
			return 0, err
		}
	}
	b := make([]byte, streamSize)
	var count float64
	for end := time.Now().Add(r.For); time.Now().Before(end); {
		n, err := conn.write(b)
		if err != nil {
			return count, err
		}
		count += float64(n)
	}
	return count, os.NewSyscallError("shutdown", unix.Shutdown(int(conn), unix.SHUT_WR))
}

// echo answers each message.
func echo(conn socket) (float64, error) {
	if err := conn.atOnce(); err != nil {
		return 0, err
	}
	var count float64
	for b := make([]byte, messageSize); ; count++ {
		n, err := conn.read(b)
		if err != nil || n == 0 {
			return count, err
		}
		if _, err := conn.write(b[:n]); err != nil {
			return count, err
		}
	}
}

// connections answers one message in each connection. It closes first, so that
// the client has its port again.
func (s *server) connections() (answer, error) {
	var a answer
	start, cpu := time.Now(), time.Duration(0)
	for b := make([]byte, messageSize); ; a.Count++ {
		conn, err := s.tcp.accept()
		if err != nil {
			return a, err
		}
		if cpu == 0 {
			cpu = cpuTime()
		}
		n, err := conn.read(b)
		if err == nil {
			_, err = conn.write(b[:n])
		}
		conn.close()
		if err != nil {
			return a, err
		}
		if b[0] == endIt {
			a.Elapsed, a.CPU = time.Since(start), cpuTime()-cpu
			return a, nil
		}
	}
}

// packets answers what begins a flow and counts the rest: also what came when
// there was no room for more, as the path has carried it.
func (s *server) packets() (answer, error) {
	lost, err := overflows()
	if err != nil {
		return answer{}, err
	}
	peer, kind, err := s.meet()
	if err != nil {
		return answer{}, err
	}
	var a answer
	for b := newBatch(); kind != endIt; {
		n, err := b.receive(s.udp)
		if err != nil {
			return answer{}, err
		}
		a.Count += float64(n)
		if n > 0 {
			kind = b.buffers[n-1][0]
		}
	}
	if err := unix.Sendto(int(s.udp), []byte{endIt}, 0, peer); err != nil {
		return answer{}, os.NewSyscallError("sendto", err)
	}
	now, err := overflows()
	a.Count += now - lost
	return a, err
}

// meet answers until the flow is established, and returns the first message after.
func (s *server) meet() (peer unix.Sockaddr, kind byte, err error) {
	for b := make([]byte, messageSize); ; {
		n, from, err := unix.Recvfrom(int(s.udp), b, 0)
		switch {
		case err != nil:
			return nil, 0, os.NewSyscallError("recvfrom", err)
		case n == 0:
		case b[0] == answerIt:
			peer = from
			if err := unix.Sendto(int(s.udp), b[:n], 0, peer); err != nil {
				return nil, 0, os.NewSyscallError("sendto", err)
			}
		case peer != nil: // Before, it is of an earlier measurement.
			return peer, b[0], nil
		}
	}
}

// overflows is how many datagrams the sockets of the namespace had no room for.
func overflows() (float64, error) {
	text, err := os.ReadFile("/proc/self/net/snmp6")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	i := slices.Index(fields, "Udp6RcvbufErrors")
	if i < 0 || i+1 == len(fields) {
		return 0, errors.New("the kernel does not count full sockets")
	}
	return strconv.ParseFloat(fields[i+1], 64)
}
