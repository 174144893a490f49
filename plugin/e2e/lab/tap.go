package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Tap is a packet socket on one link of a node: it sends frames as they are and
// counts those that come. The caller closes it.
type Tap struct {
	file *os.File
	seen atomic.Int64
	done chan struct{}
}

// Tap opens a packet socket on a link. It counts the frames that arrive there
// and that count wants; nil wants none.
func (n *Node) Tap(link string, count func(frame []byte) bool) (*Tap, error) {
	var fd int
	err := n.do(func() error {
		ifi, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		var all uint16
		if count != nil {
			all = syscall.ETH_P_ALL
		}
		fd, err = syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, int(swap(all)))
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		if err := syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: swap(all), Ifindex: ifi.Index}); err != nil {
			return errors.Join(os.NewSyscallError("bind", err), syscall.Close(fd))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("tap %s of %s: %w", link, n.Name, err)
	}
	t := &Tap{file: os.NewFile(uintptr(fd), "tap of "+link), done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.count(count)
	}()
	return t, nil
}

// swap makes a number big endian, as the kernel wants a protocol.
func swap(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// count counts frames until the socket closes.
func (t *Tap) count(wanted func([]byte) bool) {
	if wanted == nil {
		return
	}
	frame := make([]byte, 1<<16)
	for {
		size, err := t.file.Read(frame)
		if err != nil {
			return // Close ends it.
		}
		if wanted(frame[:size]) {
			t.seen.Add(1)
		}
	}
}

// Send sends frames with their Ethernet headers. It waits while the link's
// queue is full.
func (t *Tap) Send(frames ...[]byte) error {
	for _, f := range frames {
		_, err := t.file.Write(f)
		for errors.Is(err, syscall.ENOBUFS) {
			time.Sleep(time.Millisecond)
			_, err = t.file.Write(f)
		}
		if err != nil {
			return fmt.Errorf("send a frame: %w", err)
		}
	}
	return nil
}

// Seen is how many frames were counted so far.
func (t *Tap) Seen() int { return int(t.seen.Load()) }

// Close ends the counting.
func (t *Tap) Close() error {
	err := t.file.Close()
	<-t.done
	return err
}
