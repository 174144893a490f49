package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ndp6/ndp6/plugin/admin"
)

const (
	// shortestPeriod keeps a mistyped period from keeping the host busy: each
	// status reads the kernel's tables.
	shortestPeriod = 100 * time.Millisecond
	// clearScreen moves the cursor home and clears what follows (ECMA-48 CUP, ED).
	clearScreen = "\x1b[H\x1b[J"
)

// watch shows a status every period until ctx ends. A status that cannot be had
// is shown as well, because the plugin may be about to start again. It returns
// what the last one would.
func watch(ctx context.Context, out io.Writer, period time.Duration, get func(context.Context) (admin.Status, error), write form) error {
	if period < shortestPeriod {
		return fmt.Errorf("--watch %s: want at least %s", period, shortestPeriod)
	}
	before := ""
	if isTerminal(out) {
		before = clearScreen
	}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	var last error
	for {
		screen := bytes.NewBufferString(before)
		err := show(ctx, screen, get, write)
		if ctx.Err() != nil {
			return last // This one was interrupted.
		}
		last = err
		if err != nil && !errors.Is(err, errFindings) {
			fmt.Fprintf(screen, "%s: %s\n", time.Now().Format(time.TimeOnly), err)
		}
		if _, err := out.Write(screen.Bytes()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

// isTerminal reports whether out is a character device: a terminal, or one
// that does not mind.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
