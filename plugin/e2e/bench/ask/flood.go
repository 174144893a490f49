package ask

import (
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix" //nolint:depguard // What asks is system calls.

	"github.com/ndp6/ndp6/netutil/inet"
)

// Flood is what came of many questions.
type Flood struct {
	Asked, Answered int
	Wanted          int // questions by the rate; as many as Asked where that is 0
	Elapsed         time.Duration
	// CPU is the time of the thread that asked. On links between namespaces it
	// does the work of those who answer in the kernel, too.
	CPU time.Duration
}

// Share is how many of the questions that were wanted were answered, at most
// all: who answers one twice gains nothing. On links between namespaces the
// thread that asks waits for those who answer in the kernel: a question that it
// had no time for is one that they would have lost.
func (f Flood) Share() float64 { return min(1, float64(f.Answered)/float64(f.Wanted)) }

const batchSize = 64 // questions in one system call

// batch is many frames of one system call.
type batch struct {
	messages [batchSize]struct {
		header unix.Msghdr
		_      uint32
	}
	vectors [batchSize]unix.Iovec
}

// Flood asks for the targets in turn, as many a second as rate, or as many as
// it can where that is 0, for a while. Then it waits for late answers.
func (l *Link) Flood(targets []netip.Addr, rate int, duration, patience time.Duration) (Flood, error) {
	frames := make([][frameSize]byte, len(targets))
	for i, t := range targets {
		frames[i] = l.question(t, inet.MAC{})
	}
	if _, err := unix.GetsockoptTpacketStats(l.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err != nil { // It begins at 0 when it is read.
		return Flood{}, os.NewSyscallError("getsockopt", err)
	}
	f, err := l.send(frames, rate, duration)
	if err != nil {
		return f, err
	}
	time.Sleep(patience)
	// What the socket had no room for counts too: nobody reads them meanwhile.
	stats, err := unix.GetsockoptTpacketStats(l.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return f, os.NewSyscallError("getsockopt", err)
	}
	f.Answered = int(stats.Packets)
	l.drain()
	return f, nil
}

// send sends on one thread that goes before all others.
func (l *Link) send(frames [][frameSize]byte, rate int, duration time.Duration) (Flood, error) {
	type result struct {
		flood Flood
		err   error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // The thread ends with the goroutine, and its priority with it.
		err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -20)
		var r result
		if err == nil {
			r.flood, r.err = l.sendAll(frames, rate, duration)
		} else {
			r.err = os.NewSyscallError("setpriority", err)
		}
		done <- r
	}()
	r := <-done
	return r.flood, r.err
}

func (l *Link) sendAll(frames [][frameSize]byte, rate int, duration time.Duration) (f Flood, err error) {
	b := new(batch)
	for i := range b.messages {
		b.vectors[i].SetLen(frameSize)
		b.messages[i].header.Iov = &b.vectors[i]
		b.messages[i].header.SetIovlen(1)
	}
	start, cpu := time.Now(), cpuTime()
	for now := start; now.Sub(start) < duration; now = time.Now() {
		n := batchSize
		if rate > 0 {
			n = min(n, int(now.Sub(start).Seconds()*float64(rate))-f.Asked)
		}
		if n <= 0 {
			pause := unix.Timespec{Nsec: int64(400 * time.Microsecond)}
			_ = unix.Nanosleep(&pause, nil) // A signal only makes it shorter.
			continue
		}
		for i := range n {
			b.vectors[i].Base = &frames[(f.Asked+i)%len(frames)][0]
		}
		sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(l.fd), uintptr(unsafe.Pointer(&b.messages)), uintptr(n), 0, 0, 0)
		switch errno {
		case 0:
			f.Asked += int(sent)
		case unix.EINTR, unix.ENOBUFS:
		default:
			return f, os.NewSyscallError("sendmmsg", errno)
		}
	}
	f.Wanted = max(f.Asked, int(duration.Seconds()*float64(rate)))
	f.Elapsed, f.CPU = time.Since(start), cpuTime()-cpu
	return f, nil
}

// cpuTime is the time that the calling thread has had.
func cpuTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // It exists since Linux 2.6.12.
	return time.Duration(t.Nano())
}
