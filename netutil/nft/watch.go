package nft

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A repair waits for others to be silent, but not for long: until it is done
// forwarded packets may be dropped.
const (
	quiet   = 2 * time.Millisecond
	longest = 8 * time.Millisecond
)

// A repair that did not succeed is tried again after a time that doubles.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// Watch makes the kernel hold what was last asked for, and does so again
// whenever others change any of it. It calls repaired with what a repair
// took, or why there was none; others' changes that leave ours alone are no
// reason to call it. It returns nil when ctx ends. One Watch may run at a time.
func (c *Conn) Watch(ctx context.Context, repaired func(what string, err error)) error {
	if err := c.events.file.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	heard, read := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { ended <- c.hear(ctx, heard, read) }()

	w := watcher{c: c, repaired: repaired}
	w.repair()
	for {
		select {
		case <-ctx.Done():
			if err := c.events.file.SetReadDeadline(time.Unix(1, 0)); err != nil {
				return fmt.Errorf("end watch of nftables: %w", err)
			}
			return <-ended
		case err := <-ended:
			if err == nil {
				return nil // ctx ended
			}
			return fmt.Errorf("watch nftables: %w", err)
		case <-heard:
			w.settle(ctx, heard, read)
		case <-c.wake:
			w.repair()
		case <-w.retry:
			w.repair()
		}
	}
}

// hear sends to heard when there are events, and goes on after read.
func (c *Conn) hear(ctx context.Context, heard, read chan struct{}) error {
	for {
		err := c.events.raw.Read(func(fd uintptr) bool {
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // it is a descriptor.
			n, _ := unix.Poll(p, 0)
			return n > 0
		})
		if ctx.Err() != nil {
			return nil //nolint:nilerr // that is why it ended.
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		select {
		case heard <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		select {
		case <-read:
		case <-ctx.Done():
			return nil
		}
	}
}

// watcher repairs.
type watcher struct {
	c        *Conn
	repaired func(string, error)
	retry    <-chan time.Time
	wait     time.Duration
}

// settle reads events until others are silent, and repairs if one was about us.
func (w *watcher) settle(ctx context.Context, heard, read chan struct{}) {
	start := time.Now()
	var broken bool
	for {
		broken = w.c.isBroken()
		select {
		case read <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if !broken {
			return
		}
		left := min(quiet, longest-time.Since(start))
		if left <= 0 {
			break
		}
		silence := time.NewTimer(left)
		select {
		case <-heard:
			silence.Stop()
			continue
		case <-ctx.Done():
			silence.Stop()
			return
		case <-silence.C:
		}
		break
	}
	w.repair()
}

// isBroken takes in events, and reports whether they may be about us.
func (c *Conn) isBroken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.drain(); err != nil {
		return true
	}
	return !c.held.tables || !c.held.forward
}

func (w *watcher) repair() {
	what, err := w.c.repair()
	w.retry = nil
	if err != nil {
		w.wait = min(max(2*w.wait, firstRetry), lastRetry)
		w.retry = time.After(w.wait)
		w.repaired("", fmt.Errorf("repair nftables: %w", err))
		return
	}
	w.wait = 0
	if len(what) > 0 {
		w.repaired(strings.Join(what, ", "), nil)
	}
}

// repair makes the kernel hold what was asked for last, if anything was.
func (c *Conn) repair() ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked.text == "" && c.features == nil {
		return nil, nil // nobody asked for anything, not even for nothing
	}
	if c.isCurrent() {
		return nil, nil
	}
	return c.sync(task{})
}
