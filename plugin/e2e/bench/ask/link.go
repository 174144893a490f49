// Package ask sends neighbor solicitations from a link, one by one or as many
// as can be, and counts the advertisements that come back.
package ask

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix" //nolint:depguard // What asks is system calls.

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
)

// Link is where questions go out and answers come in. The caller closes it.
type Link struct {
	fd     int
	source netip.Addr
	mac    inet.MAC
}

// Open opens a link of the network namespace at path, to ask from an address
// that need not be there.
func Open(path, link string, source netip.Addr) (*Link, error) {
	l := &Link{source: source}
	err := netns.Do(path, func() error {
		ifi, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		l.mac = inet.MAC(ifi.HardwareAddr)
		protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_IPV6))
		// Bound to nothing it hears nothing, so that nobody comes before the filter.
		if l.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return os.NewSyscallError("socket", err)
		}
		for _, set := range []func() error{
			l.filter,
			func() error { return unix.SetsockoptInt(l.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) },
			func() error { return unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 16<<20) },
			func() error { return unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) },
			func() error {
				return unix.Bind(l.fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: ifi.Index})
			},
		} {
			if err := set(); err != nil {
				return errors.Join(err, unix.Close(l.fd))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open link %s: %w", link, err)
	}
	return l, nil
}

// Close closes the socket.
func (l *Link) Close() error { return unix.Close(l.fd) }

// filter lets advertisements through alone.
func (l *Link) filter() error {
	const accept = 1 << 16
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: etherSize + 6},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: protoICMPv6, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: typeOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: typeAdvert, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: accept},
		{Code: unix.BPF_RET | unix.BPF_K},
	}
	return unix.SetsockoptSockFprog(l.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// question asks for a target.
func (l *Link) question(target netip.Addr, to inet.MAC) [frameSize]byte {
	return Question{Source: l.source, MAC: l.mac, Target: target, To: to}.Frame()
}

// Each asks for each target once, one every interval, and returns how long the
// answers took that came, until the last question is patience old. With a MAC
// it asks the host there alone.
func (l *Link) Each(targets []netip.Addr, to inet.MAC, interval, patience time.Duration) ([]time.Duration, error) {
	l.drain()
	asked := make(map[netip.Addr]time.Time, len(targets))
	var took []time.Duration
	end := time.Now()
	for i := 0; ; {
		now := time.Now()
		switch {
		case i < len(targets) && !now.Before(end):
			f := l.question(targets[i], to)
			asked[targets[i]] = time.Now()
			if _, err := unix.Write(l.fd, f[:]); err != nil {
				return nil, os.NewSyscallError("write", err)
			}
			if i++; i < len(targets) {
				end = end.Add(interval)
			} else {
				end = time.Now().Add(patience)
			}
		case i == len(targets) && (now.After(end) || len(asked) == 0):
			return took, nil
		}
		addr, at, err := l.hear(time.Until(end))
		if err != nil {
			return nil, err
		}
		if start, ok := asked[addr]; ok {
			took = append(took, at.Sub(start))
			delete(asked, addr)
		}
	}
}

// hear waits for one advertisement, and returns its target and when it came.
// After the patience, at most a millisecond, there is none.
func (l *Link) hear(patience time.Duration) (netip.Addr, time.Time, error) {
	if patience <= 0 {
		return netip.Addr{}, time.Time{}, nil
	}
	poll := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, max(1, int(min(patience, 10*time.Millisecond).Milliseconds()))); n == 0 || errors.Is(err, unix.EINTR) {
		return netip.Addr{}, time.Time{}, nil
	} else if err != nil {
		return netip.Addr{}, time.Time{}, os.NewSyscallError("poll", err)
	}
	frame, control := make([]byte, 256), make([]byte, 128)
	n, size, _, _, err := unix.Recvmsg(l.fd, frame, control, unix.MSG_DONTWAIT)
	if err != nil {
		return netip.Addr{}, time.Time{}, os.NewSyscallError("recvmsg", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:size])
	if err != nil {
		return netip.Addr{}, time.Time{}, err
	}
	at := time.Now()
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS {
			t := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			at = time.Unix(t.Unix())
		}
	}
	addr, _ := advertised(frame[:n])
	return addr, at, nil
}

// drain forgets what came before.
func (l *Link) drain() {
	frame := make([]byte, 256)
	for {
		if _, _, err := unix.Recvfrom(l.fd, frame, unix.MSG_DONTWAIT); err != nil {
			return
		}
	}
}
