package firewall_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	// generous is how long a probe that should be answered waits at most.
	generous = 20 * time.Second
	// silence is how long one that should not be answered is repeated.
	silence = 1200 * time.Millisecond
)

// serve has a host answer TCP and UDP on ports with its name and the address
// that it sees.
func (l *lab) serve(host string, ports ...uint16) {
	l.tb.Helper()
	var running sync.WaitGroup
	l.tb.Cleanup(running.Wait) // Runs last, when all are closed.
	for _, port := range ports {
		for _, wildcard := range []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()} {
			version, at := "6", netip.AddrPortFrom(wildcard, port)
			if wildcard.Is4() {
				version = "4"
			}
			var stream net.Listener
			var packets *net.UDPConn
			l.enter(host, func() (err error) {
				if stream, err = net.Listen("tcp"+version, at.String()); err != nil {
					return err
				}
				packets, err = net.ListenUDP("udp"+version, net.UDPAddrFromAddrPort(at))
				return err
			})
			running.Go(func() { serveTCP(stream, host) })
			running.Go(func() { serveUDP(packets, host) })
			l.tb.Cleanup(func() {
				stream.Close()
				packets.Close()
			})
		}
	}
}

func sees(host string, from net.Addr) string {
	return host + " sees " + nameOf(netip.MustParseAddrPort(from.String()).Addr().Unmap())
}

// serveTCP answers and then echoes until the client is done.
func serveTCP(l net.Listener, host string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			fmt.Fprintln(conn, sees(host, conn.RemoteAddr()))
			_ = conn.SetDeadline(time.Now().Add(2 * generous))
			_, _ = io.Copy(conn, conn)
		}()
	}
}

func serveUDP(conn *net.UDPConn, host string) {
	buf := make([]byte, 64)
	for {
		_, from, err := conn.ReadFromUDP(buf)
		if err != nil {
			return
		}
		_, _ = conn.WriteToUDP([]byte(sees(host, from)), from)
	}
}

// A probe is "FROM TO PORT/PROTO", such as "lan1 nd1/4 80/udp", and for UDP optionally
// " from PORT", the source port.
type probe string

func (p probe) parse() (from string, to netip.AddrPort, network string, source int) {
	var host, port string
	if _, err := fmt.Sscan(string(p), &from, &host, &port); err != nil {
		panic(err)
	}
	number, proto, _ := strings.Cut(port, "/")
	var n uint16
	if _, err := fmt.Sscan(number, &n); err != nil {
		panic(err)
	}
	if _, text, ok := strings.Cut(string(p), " from "); ok {
		if _, err := fmt.Sscan(text, &source); err != nil {
			panic(err)
		}
	}
	return from, netip.AddrPortFrom(addr(host), n), proto, source
}

// expect probes everything in want at once: what should answer, and with what,
// or "" where nothing should.
func (l *lab) expect(when string, want map[probe]string) {
	l.tb.Helper()
	var mu sync.Mutex
	got := make(map[probe]string)
	var running sync.WaitGroup
	for p, answer := range want {
		patience := silence
		if answer != "" {
			patience = generous
		}
		from, to, network, source := p.parse()
		var ask func(time.Duration) string
		l.enter(from, func() (err error) {
			ask, err = question(network, to, source)
			return err
		})
		running.Go(func() {
			text := ask(patience)
			mu.Lock()
			defer mu.Unlock()
			got[p] = text
		})
	}
	running.Wait()
	if diff := cmp.Diff(want, got); diff != "" {
		l.tb.Errorf("%s:\n%s\ncounters %v", when, diff, l.counters())
	}
}

// question opens sockets in the namespace of the thread.
func question(network string, to netip.AddrPort, source int) (func(time.Duration) string, error) {
	if network == "tcp" {
		return dialer(to)
	}
	conn, err := net.DialUDP("udp", &net.UDPAddr{Port: source}, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, err
	}
	return func(patience time.Duration) string {
		defer conn.Close()
		buf := make([]byte, 64)
		for end := time.Now().Add(patience); time.Now().Before(end); {
			_, _ = conn.Write([]byte("?"))
			_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if n, err := conn.Read(buf); err == nil {
				return string(buf[:n])
			} else if errors.Is(err, net.ErrClosed) {
				break
			}
		}
		return ""
	}, nil
}

func readAnswer(conn net.Conn, patience time.Duration) string {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 64)
	n, _ := conn.Read(buf)
	return strings.TrimSpace(string(buf[:n]))
}

// TestProbes checks what the other tests measure with.
func TestProbes(t *testing.T) {
	l := newLab(t, false)
	l.serve("nd1", 80)
	l.expect("without rules", map[probe]string{
		"lan1 nd1 80/tcp":         "nd1 sees lan1",
		"lan1 nd1 80/udp":         "nd1 sees lan1",
		"lan1 nd1/4 80/tcp":       "nd1 sees lan1/4",
		"lan1 nd1/4 80/udp":       "nd1 sees lan1/4",
		"lan1 nd1 80/udp from 53": "nd1 sees lan1",
		"host nd1 80/tcp":         "nd1 sees host.nd",
		"lan1 nd1 81/tcp":         "",
		"lan1 host.lan/4 80/udp":  "",
	})
}

// deadline waits for something that happens at once on an idle machine.
func deadline(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	for end := time.Now().Add(generous); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("not so: %s", what)
		}
	}
}
