package load

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix" //nolint:depguard // The load itself is system calls.
)

// run is the client's part of a measurement.
func run(r request) (answer, error) {
	target := sockaddr(r.Target)
	if r.Kind == Packets {
		return sendPackets(target, r.For)
	}
	if r.Kind == Connections {
		return measured(func() (float64, error) { return connect(target, r.For) })
	}
	conn, err := dial(unix.SOCK_STREAM, target)
	if err != nil {
		return answer{}, err
	}
	defer conn.close()
	switch {
	case r.Kind.in():
		return measured(func() (float64, error) {
			count, err := flood(conn, r)
			if err != nil {
				return count, err
			}
			_, err = drain(conn) // The other end closes when it has all.
			return count, err
		})
	case r.Kind.out():
		return measured(func() (float64, error) { return drain(conn) })
	case r.Kind == Requests:
		return measured(func() (float64, error) { return requests(conn, r.For) })
	default:
		return answer{}, fmt.Errorf("no kind %q", r.Kind)
	}
}

// requests sends a message after each answer.
func requests(conn socket, duration time.Duration) (float64, error) {
	if err := conn.atOnce(); err != nil {
		return 0, err
	}
	b := message(answerIt)
	var count float64
	for end := time.Now().Add(duration); time.Now().Before(end); count++ {
		if err := exchange(conn, b); err != nil {
			return count, err
		}
	}
	return count, nil
}

func exchange(conn socket, b []byte) error {
	if _, err := conn.write(b); err != nil {
		return err
	}
	_, err := conn.read(b)
	return err
}

// connect makes one connection after the other for a message each.
func connect(target unix.Sockaddr, duration time.Duration) (float64, error) {
	b := message(answerIt)
	var count float64
	for end := time.Now().Add(duration); b[0] != endIt; count++ {
		if time.Now().After(end) {
			b[0] = endIt
		}
		conn, err := dial(unix.SOCK_STREAM, target)
		if err != nil {
			return count, err
		}
		err = exchange(conn, b)
		if err == nil {
			_, err = conn.read(make([]byte, 1)) // The other end closes first.
		}
		conn.close()
		if err != nil {
			return count, err
		}
	}
	return count, nil
}

// meetings is how many answers make a flow established in both directions.
const meetings = 4

// sendPackets establishes a flow and then sends as many messages as it can.
func sendPackets(target unix.Sockaddr, duration time.Duration) (answer, error) {
	conn, err := dial(unix.SOCK_DGRAM, target)
	if err != nil {
		return answer{}, err
	}
	defer conn.close()
	for range meetings {
		if err := exchange(conn, message(answerIt)); err != nil {
			return answer{}, err
		}
	}
	b := newBatch()
	for i := range b.buffers {
		b.buffers[i][0] = countIt
	}
	a, err := measured(func() (float64, error) {
		var count float64
		for end := time.Now().Add(duration); time.Now().Before(end); {
			n, err := b.send(conn)
			if err != nil {
				return count, err
			}
			count += float64(n)
		}
		return count, nil
	})
	if err != nil {
		return answer{}, err
	}
	return a, end(conn)
}

// end says that no more comes until the other end has heard it.
func end(conn socket) error {
	if err := unix.SetsockoptTimeval(int(conn), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}); err != nil {
		return err
	}
	var err error
	for range 20 {
		if err = exchange(conn, message(endIt)); !errors.Is(err, unix.EAGAIN) {
			return err
		}
	}
	return err
}

func message(kind byte) []byte {
	b := make([]byte, messageSize)
	b[0] = kind
	return b
}
