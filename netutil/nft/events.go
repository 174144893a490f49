package nft

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// events tells what other sockets do to nftables.
type events struct {
	file *os.File
	raw  syscall.RawConn
	in   []byte
	note note
}

// note is what was heard since it was last looked at.
type note struct {
	generation uint32 // of the last transaction, 0: none was heard of
	tables     bool   // something in a table of ours
	forward    bool   // something in filter FORWARD
	lost       bool   // more came than could be kept
}

// listen opens the events of every socket but the one with this port: its own
// transactions would drown them.
func listen(port uint32) (*events, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	e := &events{file: os.NewFile(uintptr(fd), "nftables events"), in: make([]byte, 64<<10)}
	if err := e.setUp(fd, port); err != nil {
		return nil, errors.Join(err, e.file.Close())
	}
	return e, nil
}

func (e *events) setUp(fd int, port uint32) (err error) {
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 4}, // nlmsg_pid of the first message; all are of one transaction
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: swap(port), SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 30},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	program := make([]unix.SockFilter, len(filter))
	for i, f := range filter {
		program[i] = unix.SockFilter{Code: f.Op, Jt: f.Jt, Jf: f.Jf, K: f.K}
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}) //nolint:gosec // there are four.
	if err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, unix.NFNLGRP_NFTABLES); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	e.raw, err = e.file.SyscallConn()
	return err
}

// swap returns v as a filter, which reads in network order, sees it.
func swap(v uint32) uint32 {
	b := native(v)
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// drain reads what is there and adds it to the note.
func (e *events) drain() error {
	var failure error
	err := e.raw.Control(func(fd uintptr) {
		for {
			n, _, flags, _, err := unix.Recvmsg(int(fd), e.in, nil, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
			switch {
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EAGAIN):
				return
			case errors.Is(err, unix.ENOBUFS), err == nil && flags&unix.MSG_TRUNC != 0:
				e.note.lost = true
			case err != nil:
				failure = os.NewSyscallError("receive", err)
				return
			default:
				e.read(e.in[:n])
			}
		}
	})
	return errors.Join(err, failure)
}

func (e *events) read(b []byte) {
	for m, err := range messages(b) {
		if err != nil || len(m.data) < nfgenSize {
			e.note.lost = true
			return
		}
		if m.kind>>8 != unix.NFNL_SUBSYS_NFTABLES {
			continue
		}
		kind, family, list := m.kind&0xff, m.data[0], m.data[nfgenSize:]
		if kind == unix.NFT_MSG_NEWGEN {
			for t, v := range attrs(list) {
				if t == unix.NFTA_GEN_ID {
					e.note.generation = number(v)
				}
			}
			continue
		}
		e.note.consider(kind, family, list)
	}
}

// consider notes what a message is about. Every kind of message has the name
// of the table first and those about rules that of the chain second, but for
// chains, whose own name is third.
func (n *note) consider(kind uint16, family byte, list []byte) {
	var table, chain string
	for t, v := range attrs(list) {
		switch {
		case t == unix.NFTA_TABLE_NAME:
			table = text(v)
		case t == unix.NFTA_RULE_CHAIN && isRuleMessage(kind), t == unix.NFTA_CHAIN_NAME && isChainMessage(kind):
			chain = text(v)
		}
	}
	switch family {
	case unix.NFPROTO_INET, unix.NFPROTO_BRIDGE:
		n.tables = n.tables || table == Owner
	case unix.NFPROTO_IPV4, unix.NFPROTO_IPV6:
		n.forward = n.forward || table == foreignTable && (chain == foreignName || kind == unix.NFT_MSG_DELTABLE)
	}
}

func isRuleMessage(kind uint16) bool {
	return kind == unix.NFT_MSG_NEWRULE || kind == unix.NFT_MSG_DELRULE
}

func isChainMessage(kind uint16) bool {
	return kind == unix.NFT_MSG_NEWCHAIN || kind == unix.NFT_MSG_DELCHAIN
}
