package hostport_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/ndp6/ndp6/netutil/hostport"
)

// upper answers all that comes until its end, and then ends.
func upper(c *net.TCPConn) {
	b, err := io.ReadAll(c)
	if err == nil {
		_, _ = c.Write(bytes.ToUpper(b))
	}
}

// TestTCP asks at every kind of address, for containers of every family.
func TestTCP(t *testing.T) {
	target4, target6 := netip.MustParseAddrPort("192.0.2.10:80"), netip.MustParseAddrPort("[2001:db8::a]:80")
	tests := []struct {
		name   string
		bind   netip.Addr
		dial   netip.Addr
		target netip.AddrPort
	}{
		{"loopback6", any6, loop6, target6},
		{"loopback4", any4, loop4, target4},
		{"only loopback6", loop6, loop6, target6},
		{"address6", any6, second6, target6},
		{"address4", host4, host4, target4},
		{"6 to 4", any6, loop6, target4},
		{"4 to 6", any4, loop4, target6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newLab(t, hostport.Limits{})
			b.listen(t, tt.target, upper)
			serve(t, tt.target, reserve(t, b.host, hostport.TCP, 8080, tt.bind)...)
			c := dial(t, tt.dial)
			if _, err := c.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			// The container answers only once it has seen our end.
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(c); err != nil || string(got) != "HELLO" {
				t.Errorf("read %q, %v", got, err)
			}
		})
	}
}

// TestTCPEndsBackwards: the container's end reaches the client, who goes on.
func TestTCPEndsBackwards(t *testing.T) {
	b := newLab(t, hostport.Limits{})
	heard := make(chan string, 1)
	b.listen(t, b.port6, func(c *net.TCPConn) {
		_, _ = c.Write([]byte("bye"))
		_ = c.CloseWrite()
		rest, _ := io.ReadAll(c)
		heard <- string(rest)
	})
	serve(t, b.port6, reserve(t, b.host, hostport.TCP, 8080, any6)...)
	c := dial(t, loop6)
	if got, err := io.ReadAll(c); err != nil || string(got) != "bye" {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := c.Write([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := <-heard; got != "still here" {
		t.Errorf("the container heard %q", got)
	}
}

// TestTCPBytes: what comes back through both directions at once is what was sent.
func TestTCPBytes(t *testing.T) {
	b := newLab(t, hostport.Limits{})
	b.listen(t, b.port6, func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	serve(t, b.port6, reserve(t, b.host, hostport.TCP, 8080, any6)...)
	c := dial(t, loop6)
	sent := make([]byte, 16<<20)
	_, _ = rand.Read(sent)
	go func() {
		_, _ = c.Write(sent)
		_ = c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(sent, got) {
		t.Errorf("read %d bytes that differ from the %d sent, %v", len(got), len(sent), err)
	}
}

// TestTCPBreaks: who breaks off is seen to on the other side.
func TestTCPBreaks(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		b := newLab(t, hostport.Limits{})
		serve(t, b.port6, reserve(t, b.host, hostport.TCP, 8080, any6)...)
		wantRefused(t)
	})
	t.Run("container", func(t *testing.T) {
		b := newLab(t, hostport.Limits{})
		b.listen(t, b.port6, func(c *net.TCPConn) {
			_, _ = io.ReadFull(c, make([]byte, 1))
			_ = c.SetLinger(0)
		})
		serve(t, b.port6, reserve(t, b.host, hostport.TCP, 8080, any6)...)
		c := dial(t, loop6)
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		wantReset(t, c)
	})
	t.Run("client", func(t *testing.T) {
		b := newLab(t, hostport.Limits{})
		ended := make(chan error, 1)
		b.listen(t, b.port6, func(c *net.TCPConn) {
			_, _ = c.Write([]byte("x"))
			_, err := io.ReadFull(c, make([]byte, 1))
			ended <- err
		})
		serve(t, b.port6, reserve(t, b.host, hostport.TCP, 8080, any6)...)
		c := dial(t, loop6)
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetLinger(0)
		c.Close()
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the container read: %v, want %v", err, syscall.ECONNRESET)
		}
	})
	t.Run("container answers early", func(t *testing.T) {
		b := newLab(t, hostport.Limits{})
		b.listen(t, b.port6, func(c *net.TCPConn) {
			_, _ = io.ReadFull(c, make([]byte, 1))
			_, _ = c.Write([]byte("too large")) // And closes with the rest unread, which resets.
		})
		serve(t, b.port6, reserve(t, b.host, hostport.TCP, 8080, any6)...)
		c := dial(t, loop6)
		if _, err := c.Write(make([]byte, 1<<16)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len("too large"))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "too large" {
			t.Errorf("read %q, %v", got, err)
		}
		wantReset(t, c)
	})
}

// TestTCPHearsNothing until Serve: not even a connection to nowhere.
func TestTCPHearsNothing(t *testing.T) {
	b := newLab(t, hostport.Limits{})
	b.listen(t, b.port6, upper)
	ports := reserve(t, b.host, hostport.TCP, 8080, any6)
	c, err := net.DialTimeout("tcp", there, 200*time.Millisecond)
	if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("dial before: %v, want a timeout", err)
	}
	if err == nil {
		c.Close()
	}
	serve(t, b.port6, ports...)
	dial(t, loop6)
}

// TestTCPMoves: a second Serve changes where the next connection goes.
func TestTCPMoves(t *testing.T) {
	b := newLab(t, hostport.Limits{})
	for _, at := range []netip.AddrPort{b.port4, b.port6} {
		b.listen(t, at, func(c *net.TCPConn) { fmt.Fprint(c, at) })
	}
	ports := reserve(t, b.host, hostport.TCP, 8080, any6)
	for _, at := range []netip.AddrPort{b.port4, b.port6} {
		serve(t, at, ports...)
		if got, err := io.ReadAll(dial(t, loop6)); err != nil || string(got) != at.String() {
			t.Errorf("read %q, %v, want %q", got, err, at)
		}
	}
	if err := ports[0].Serve(netip.AddrPortFrom(host6, 0)); err == nil {
		t.Error("a target without port is served")
	}
	closeAll(t, ports)
	if err := ports[0].Serve(b.port6); !errors.Is(err, os.ErrClosed) {
		t.Errorf("serve a closed port: %v, want %v", err, os.ErrClosed)
	}
}

// TestTCPLimit: a connection too many is reset, and there is room again later.
func TestTCPLimit(t *testing.T) {
	b := newLab(t, hostport.Limits{Flows: 2})
	b.listen(t, b.port6, func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	serve(t, b.port6, reserve(t, b.host, hostport.TCP, 8080, any6)...)
	first, second := dial(t, loop6), dial(t, loop6)
	answers := func(c *net.TCPConn) bool {
		_, err1 := c.Write([]byte("x"))
		_, err2 := io.ReadFull(c, make([]byte, 1))
		return err1 == nil && err2 == nil
	}
	if !answers(first) || !answers(second) {
		t.Fatal("two connections do not work")
	}
	wantRefused(t)
	first.Close()
	for end := time.Now().Add(wait); ; {
		c, err := net.DialTimeout("tcp", there, wait)
		if err == nil && answers(c.(*net.TCPConn)) {
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("no room after a connection ended")
		}
	}
	if !answers(second) {
		t.Error("the second connection broke")
	}
}

// TestTCPClose: Close ends connections and leaves nothing behind.
func TestTCPClose(t *testing.T) {
	b := newLab(t, hostport.Limits{})
	b.listen(t, b.port6, func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	before := using(t)
	ports := reserve(t, b.host, hostport.TCP, 8080, any6, any4)
	serve(t, b.port6, ports...)
	var open []*net.TCPConn
	for i := range 20 {
		c := dial(t, []netip.Addr{loop6, loop4}[i%2])
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	closeAll(t, ports)
	closeAll(t, ports) // And again does nothing.
	for _, c := range open {
		wantReset(t, c)
		c.Close()
	}
	await(t, before)
}

func wantReset(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want %v", err, syscall.ECONNRESET)
	}
}

// there is where tests knock.
const there = "[::1]:8080"

// wantRefused connects to a port that has nobody for us. The news may come
// before dial returns.
func wantRefused(t *testing.T) {
	t.Helper()
	c, err := net.DialTimeout("tcp", there, wait)
	if err == nil {
		defer c.Close()
		_, err = io.Copy(io.Discard, c)
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connect: %v, want %v", err, syscall.ECONNRESET)
	}
}
