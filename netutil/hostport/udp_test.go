package hostport_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ndp6/ndp6/netutil/hostport"
	"github.com/ndp6/ndp6/netutil/netns"
)

// A client asks from one port and takes answers from anywhere.
type client struct{ *net.UDPConn }

func newClient(tb testing.TB) client {
	tb.Helper()
	c, err := net.ListenUDP("udp", nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return client{c}
}

// ask sends text to a port of the host and returns the answer and who gave it.
// It asks again: UDP may lose datagrams, and a container may need its time.
func (c client) ask(tb testing.TB, at netip.Addr, text string) (answer string, from netip.AddrPort) {
	tb.Helper()
	buf := make([]byte, 1<<16)
	for end := time.Now().Add(wait); time.Now().Before(end); {
		if _, err := c.WriteToUDPAddrPort([]byte(text), netip.AddrPortFrom(at, 53)); err != nil {
			tb.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second / 4)); err != nil {
			tb.Fatal(err)
		}
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err == nil {
			return string(buf[:n]), netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			tb.Fatal(err)
		}
	}
	tb.Fatalf("no answer from %s", at)
	return "", netip.AddrPort{}
}

// TestUDP: each client gets its own answers, from the address that it asked.
func TestUDP(t *testing.T) {
	b := newLab(t, hostport.Limits{})
	b.echo(t, b.port4)
	b.echo(t, b.port6)
	ports := reserve(t, b.host, hostport.UDP, 53, any6, any4)
	serve(t, b.port6, ports[0])
	serve(t, b.port4, ports[1])
	one, two := newClient(t), newClient(t)
	for _, at := range []netip.Addr{loop6, loop4, host6, second6, host4, second4} {
		for i, c := range []client{one, two} {
			text := fmt.Sprintf("client %d at %s", i, at)
			answer, from := c.ask(t, at, text)
			if want := netip.AddrPortFrom(at, 53); answer != text || from != want {
				t.Errorf("asked %s %q, got %q from %s", want, text, answer, from)
			}
		}
	}
	large := string(make([]byte, 60000))
	if answer, _ := one.ask(t, loop6, large); answer != large {
		t.Errorf("%d bytes of %d came back", len(answer), len(large))
	}
	if answer, _ := one.ask(t, loop6, ""); answer != "" {
		t.Errorf("an empty datagram came back as %q", answer)
	}
}

// TestUDPAcross relays to containers of the other family.
func TestUDPAcross(t *testing.T) {
	b := newLab(t, hostport.Limits{})
	b.echo(t, b.port4)
	b.echo(t, b.port6)
	ports := reserve(t, b.host, hostport.UDP, 53, any6, any4)
	serve(t, b.port4, ports[0])
	serve(t, b.port6, ports[1])
	c := newClient(t)
	for _, at := range []netip.Addr{loop6, loop4} {
		if answer, from := c.ask(t, at, "across"); answer != "across" || from.Addr() != at {
			t.Errorf("asked %s, got %q from %s", at, answer, from)
		}
	}
}

// TestUDPHearsNothing until Serve: datagrams from before are not relayed later.
func TestUDPHearsNothing(t *testing.T) {
	b := newLab(t, hostport.Limits{})
	b.echo(t, b.port6)
	ports := reserve(t, b.host, hostport.UDP, 53, any6)
	c := newClient(t)
	if _, err := c.WriteToUDPAddrPort([]byte("early"), netip.AddrPortFrom(loop6, 53)); err != nil {
		t.Fatal(err)
	}
	serve(t, b.port6, ports...)
	if answer, _ := c.ask(t, loop6, "late"); answer != "late" {
		t.Errorf("got %q", answer)
	}
}

// TestUDPRefused: a container that refused at first is reached later.
func TestUDPRefused(t *testing.T) {
	b := newLab(t, hostport.Limits{})
	serve(t, b.port6, reserve(t, b.host, hostport.UDP, 53, any6)...)
	c := newClient(t)
	for range 3 {
		if _, err := c.WriteToUDPAddrPort([]byte("early"), netip.AddrPortFrom(loop6, 53)); err != nil {
			t.Fatal(err)
		}
	}
	b.echo(t, b.port6)
	if answer, _ := c.ask(t, loop6, "late"); answer == "" {
		t.Errorf("got %q", answer)
	}
}

// TestUDPForgets what is silent, and then serves it anew.
func TestUDPForgets(t *testing.T) {
	b := newLab(t, hostport.Limits{Idle: 20 * time.Millisecond})
	b.echo(t, b.port6)
	c := newClient(t)
	serve(t, b.port6, reserve(t, b.host, hostport.UDP, 53, any6)...)
	before := using(t)
	for range 3 {
		c.ask(t, loop6, "x")
		await(t, before)
	}
}

// TestUDPLimit: a client too many takes the place of the one that was silent longest.
func TestUDPLimit(t *testing.T) {
	b := newLab(t, hostport.Limits{Flows: 2})
	sources := b.sources(t)
	before := using(t)
	serve(t, b.port6, reserve(t, b.host, hostport.UDP, 53, any6)...)
	one, two, three := newClient(t), newClient(t), newClient(t)
	asked := 0
	ask := func(c client) string {
		asked++
		text := strconv.Itoa(asked)
		c.ask(t, loop6, text)
		for q := range sources {
			if q.text == text {
				return q.from
			} // Else it is one that was asked twice.
		}
		return ""
	}
	first, second := ask(one), ask(two)
	if again := ask(one); again != first {
		t.Errorf("the first client came from %s and then from %s", first, again)
	}
	ask(three)
	if again := ask(one); again != first {
		t.Errorf("the first client, who spoke after the second, came from %s and then from %s", first, again)
	}
	if again := ask(two); again == second {
		t.Error("the second client was not forgotten")
	}
	// The listener, its reader and two of three flows; the clients themselves.
	await(t, use{before.goroutines + 1 + 2, before.files + 1 + 2 + 3})
}

// question is what the container was asked, and where that came from.
type question struct{ text, from string }

// sources answers in the container and tells what it was asked.
func (b *lab) sources(t *testing.T) <-chan question {
	t.Helper()
	var c *net.UDPConn
	err := netns.Do(b.container, func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(b.port6))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	questions := make(chan question, 1000)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, addr, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			questions <- question{string(buf[:n]), addr.String()}
			_, _ = c.WriteToUDPAddrPort(buf[:n], addr)
		}
	}()
	return questions
}

// TestUDPClose leaves nothing behind.
func TestUDPClose(t *testing.T) {
	b := newLab(t, hostport.Limits{})
	b.echo(t, b.port6)
	var clients []client
	for range 10 {
		clients = append(clients, newClient(t))
	}
	before := using(t)
	ports := reserve(t, b.host, hostport.UDP, 53, any6, any4)
	serve(t, b.port6, ports...)
	for i, c := range clients {
		c.ask(t, []netip.Addr{loop6, loop4}[i%2], "x")
	}
	busy := using(t)
	if diff := cmp.Diff(use{before.goroutines + 12, before.files + 12}, busy, cmp.AllowUnexported(use{})); diff != "" {
		t.Error(diff)
	}
	closeAll(t, ports)
	await(t, before)
}
