package nft

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// nfgenSize is the size of the header that nfnetlink puts before attributes.
const nfgenSize = 4

// execute sends one request and returns the answers, each with at least nfgenSize bytes.
func (c *Conn) execute(msg uint16, flags netlink.HeaderFlags, family byte, attrs []byte) ([]netlink.Message, error) {
	msgs, err := c.socket.Execute(netlink.Message{
		Header: netlink.Header{
			Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | msg),
			Flags: netlink.Request | flags,
		},
		Data: append([]byte{family, unix.NFNETLINK_V0, 0, 0}, attrs...),
	})
	if err != nil {
		return nil, err
	}
	for _, m := range msgs {
		if len(m.Data) < nfgenSize {
			return nil, fmt.Errorf("answer of %d bytes to message %d", len(m.Data), msg)
		}
	}
	return msgs, nil
}

// drain reads away the answers that a transaction left when it ended early, so
// that the next one does not take them for its own.
func (c *Conn) drain() error {
	if err := c.socket.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return err
	}
	for {
		if _, err := c.socket.Receive(); errors.Is(err, os.ErrDeadlineExceeded) {
			return c.socket.SetReadDeadline(time.Time{})
		} else if errors.Is(err, os.ErrClosed) {
			return err
		}
	}
}

// portOf returns netlink's name for a socket, the sender in what it causes.
func portOf(s *netlink.Conn) (uint32, error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, err
	}
	var name unix.Sockaddr
	var errName error
	if err := raw.Control(func(fd uintptr) { name, errName = unix.Getsockname(int(fd)) }); err != nil {
		return 0, err
	}
	if errName != nil {
		return 0, os.NewSyscallError("getsockname", errName)
	}
	n, ok := name.(*unix.SockaddrNetlink)
	if !ok {
		return 0, fmt.Errorf("socket name is a %T", name)
	}
	return n.Pid, nil
}
