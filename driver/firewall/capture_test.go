package firewall_test

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// link is a packet socket on a host's eth0.
type link struct {
	tb testing.TB
	fd int
}

func (l *lab) openLink(host string) link {
	l.tb.Helper()
	fd := -1
	l.enter(host, func() error {
		index, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index.Index})
	})
	l.tb.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
		l.tb.Fatal(err)
	}
	timeout := unix.NsecToTimeval(int64(100 * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		l.tb.Fatal(err)
	}
	return link{tb: l.tb, fd: fd}
}

func (l link) send(frame []byte) {
	l.tb.Helper()
	if _, err := unix.Write(l.fd, frame); err != nil {
		l.tb.Fatal(err)
	}
}

// receive returns how often each frame came in until last did. Between two
// frames of one sender Linux keeps their order.
func (l link) receive(last []byte) map[string]int {
	l.tb.Helper()
	got := make(map[string]int)
	buf := make([]byte, 2048)
	for end := time.Now().Add(generous); time.Now().Before(end); {
		n, from, err := unix.Recvfrom(l.fd, buf, 0)
		if err != nil {
			continue
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		got[string(buf[:n])]++
		if string(buf[:n]) == string(last) {
			return got
		}
	}
	l.tb.Fatal("the last frame did not arrive")
	return nil
}
