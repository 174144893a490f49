package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// batch is a transaction in the making.
type batch struct {
	e     encoder
	names []string // what each message does, for errors
	last  int      // where the last message starts
}

// The messages that enclose a transaction.
const (
	batchBegin = 16 // NFNL_MSG_BATCH_BEGIN
	batchEnd   = 17 // NFNL_MSG_BATCH_END
	batchGenID = 1  // NFNL_BATCH_GENID
)

func (b *batch) empty() bool { return len(b.names) == 0 }

// add adds a message that does what name says.
func (b *batch) add(msg, flags uint16, family byte, name string, fill func(*encoder)) {
	if b.e.b == nil {
		b.begin()
	}
	b.names = append(b.names, name)
	b.last = b.e.begin(unix.NFNL_SUBSYS_NFTABLES<<8|msg, flags, uint32(len(b.names)), family, 0)
	fill(&b.e)
	b.e.end(b.last)
}

// begin makes room for the message that says which generation is to be changed.
func (b *batch) begin() {
	start := b.e.begin(batchBegin, 0, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)
	b.e.uint32(batchGenID, 0)
	b.e.end(start)
}

// complete returns the messages, whose numbers count on from the socket's.
func (b *batch) complete(seq, generation uint32, commit bool) []byte {
	if b.e.b == nil {
		b.begin()
	}
	out := encoder{b: b.e.b}
	for at, n := 0, uint32(0); at < len(out.b); n++ {
		binary.NativeEndian.PutUint32(out.b[at+8:], seq+n)
		at += int(binary.NativeEndian.Uint32(out.b[at:]))
	}
	binary.BigEndian.PutUint32(out.b[unix.NLMSG_HDRLEN+nfgenSize+4:], generation)
	if commit {
		flags := out.b[b.last+6:]
		binary.NativeEndian.PutUint16(flags, binary.NativeEndian.Uint16(flags)|unix.NLM_F_ACK)
		out.end(out.begin(batchEnd, 0, seq+uint32(len(b.names))+1, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES))
	}
	return out.b
}

// transact sends a batch that holds good for one generation only. Without
// commit the kernel says what it thinks of it and does nothing. The error is
// errRace where the generation is another.
func (s *socket) transact(b *batch, generation uint32, commit bool) error {
	s.drop()
	first := s.seq + 1
	s.seq += uint32(len(b.names)) + 2
	if err := s.send(b.complete(first, generation, commit)); err != nil {
		return err
	}
	acknowledged := false
	var failure error
	for {
		in, err := s.receive()
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			return os.NewSyscallError("receive", err)
		}
		for m, err := range messages(in) {
			if err != nil {
				return err
			}
			if m.kind != unix.NLMSG_ERROR || m.seq-first > uint32(len(b.names)) {
				continue
			}
			if err := m.errno(); err == nil {
				acknowledged = true
			} else if failure == nil {
				failure = b.explain(m.seq-first, err)
			}
		}
	}
	if failure == nil && commit && !acknowledged {
		return errors.New("no answer to the transaction")
	}
	return failure
}

// explain says which message of the batch got an error.
func (b *batch) explain(n uint32, err error) error {
	if n == 0 {
		if errors.Is(err, unix.ERESTART) {
			return errRace
		}
		return fmt.Errorf("change nftables: %w", err)
	}
	if errors.Is(err, unix.EPERM) {
		return ErrOwned
	}
	return fmt.Errorf("%s: %w", b.names[n-1], err)
}
