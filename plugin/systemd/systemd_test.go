package systemd_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/systemd"
)

// listen makes the test's process one that is watched, and returns what hears it.
func listen(t *testing.T, limit string) *net.UnixConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "ndp6") //nolint:usetesting // TempDir's names are too long for a socket's.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", c.LocalAddr().String())
	t.Setenv("WATCHDOG_USEC", limit)
	return c
}

// heard returns what is said within the time, an empty text for nothing.
func heard(t *testing.T, c *net.UnixConn, within time.Duration) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// TestWatch hangs what keeps the host: the signs of life end with it, and come
// back when it does.
func TestWatch(t *testing.T) {
	c := listen(t, "20000")
	hung := make(chan chan struct{}, 1)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- systemd.Watch(ctx, func(context.Context) error {
			select {
			case release := <-hung:
				<-release
			default:
			}
			return nil
		})
	}()
	for range 3 {
		if got := heard(t, c, 10*time.Second); got != "WATCHDOG=1" {
			t.Fatalf("alive: heard %q", got)
		}
	}
	release := make(chan struct{})
	hung <- release
	for len(hung) > 0 { // What it says until it hangs.
		heard(t, c, time.Millisecond)
	}
	if got := heard(t, c, 200*time.Millisecond); got == "WATCHDOG=1" {
		// One may have been on its way.
		got = heard(t, c, 200*time.Millisecond)
		if got != "" {
			t.Errorf("hanging: heard %q for ten times the limit", got)
		}
	}
	close(release)
	if got := heard(t, c, 10*time.Second); got != "WATCHDOG=1" {
		t.Errorf("alive again: heard %q", got)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWatchDead(t *testing.T) {
	c := listen(t, "20000")
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	if err := systemd.Watch(ctx, func(context.Context) error { return errors.New("no answer") }); err != nil {
		t.Error(err)
	}
	if got := heard(t, c, time.Millisecond); got != "" {
		t.Errorf("heard %q of what never answered", got)
	}
}

func TestNobodyWatches(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	if err := systemd.Watch(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := errors.Join(systemd.Ready(), systemd.Stopping()); err != nil {
		t.Error(err)
	}
}

func TestBadLimit(t *testing.T) {
	listen(t, "soon")
	if err := systemd.Watch(t.Context(), nil); err == nil {
		t.Error("a limit that is no number was taken")
	}
}
