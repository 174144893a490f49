package firewall_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/driver/firewall"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/nettest"
)

// call is a TCP connection to a server that echoes.
type call struct {
	tb testing.TB
	fd int
}

// call connects two hosts of the lab and checks whom the server sees.
func (l *lab) call(from, to string, want string) call {
	l.tb.Helper()
	c := call{tb: l.tb}
	l.enter(from, func() (err error) {
		c.fd, err = startStream(netip.AddrPortFrom(addr(to), 80))
		return err
	})
	l.tb.Cleanup(func() { unix.Close(c.fd) })
	if !connected(c.fd, generous) {
		l.tb.Fatalf("%s has no connection to %s", from, to)
	}
	if got := c.read(len(want) + 1); strings.TrimSpace(got) != want {
		l.tb.Fatalf("%s to %s: %q, want %q", from, to, got, want)
	}
	return c
}

func (c call) write() error {
	_, err := unix.Write(c.fd, []byte("x"))
	return err
}

func (c call) read(n int) string {
	c.tb.Helper()
	buf := make([]byte, n)
	got := 0
	deadline(c.tb, "answered", func() bool {
		more, err := unix.Read(c.fd, buf[got:])
		got += max(more, 0)
		return got == n || err != nil && !errors.Is(err, unix.EAGAIN)
	})
	return string(buf[:got])
}

// goesOn checks that the connection still leads to who answers.
func (c call) goesOn(when string) {
	c.tb.Helper()
	if err := c.write(); err != nil {
		c.tb.Fatalf("%s: %v", when, err)
	}
	if got := c.read(1); got != "x" {
		c.tb.Fatalf("%s: no answer", when)
	}
}

// ends checks that whoever has the connection is told that it ended.
func (c call) ends(who string) {
	c.tb.Helper()
	deadline(c.tb, who+" is reset", func() bool { return errors.Is(c.write(), unix.ECONNRESET) })
}

// TestRenumber changes the prefix outside while connections are open.
func TestRenumber(t *testing.T) {
	l := newLab(t, false)
	nettest.Run(t, "ip -6 route add default dev lan") // The uplink's.
	l.serveAll()
	containers := []firewall.Endpoint{publishDirect(endpoint("nd1")), endpoint("nb1")}
	l.apply(behindPrefixes(1), containers...)
	out := l.call("nd1", "lan1", "lan1 sees nd1@1")
	in := l.call("lan1", "nd1@1", "nd1 sees lan1")

	// The old prefix is deprecated: nothing new leaves under it.
	l.apply(behindPrefixes(2, 1), containers...)
	out.goesOn("out, with a new prefix")
	in.goesOn("in, with a new prefix")
	l.expect("with a new prefix", map[probe]string{
		"nd1 lan1 80/tcp": "lan1 sees nd1@2", "lan1 nd1@2 80/tcp": "nd1 sees lan1", "lan1 nd1@1 80/tcp": "nd1 sees lan1",
	})

	// It is not valid any more, but its flows are known.
	l.apply(behindPrefixes(2), containers...)
	out.goesOn("out, without the old prefix")
	in.goesOn("in, without the old prefix")
	l.expect("without the old prefix", map[probe]string{
		"nd1 lan1 80/udp": "lan1 sees nd1@2", "lan1 nd1@2 80/udp": "", "lan1 nd1@1 80/tcp": "",
	})
	for _, e := range containers {
		want := firewall.Elements(e)
		if got, ok := l.rules.Group(e.Port); !ok || got.String() != want.String() {
			t.Errorf("elements of %s:\n%s\nwant\n%s", e.Port, got, want)
		}
	}

	conn, err := kernel.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	old := outside("2001:db8:0:a::", 1) + "/64"
	if err := conn.ForgetFlowsTo(netip.MustParsePrefix(old)); err != nil {
		t.Fatal(err)
	}
	out.ends("who called from the container")

	// Who called the old address is told by the host, as long as it hears of it.
	p := behindPrefixes(2)
	p.Networks[0].Withdrawn = prefixes(old)
	p.Guard = true
	l.apply(p, containers...)
	in.ends("who called the container")
}
