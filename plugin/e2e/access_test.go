package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// places are the clients and servers of a scenario, by the names that its
// tables have for them. The IPv4 address of "c1" is "c1.4".
type places struct {
	*bed
	nodes map[string]*lab.Node
	addrs map[string]netip.Addr
}

// newPlaces is places with "host2", another address of the host's uplink.
func (b *bed) newPlaces() *places {
	b.Helper()
	p := b.places(b.host.Addr())
	p.addrs["host2"], p.addrs["host2.4"] = netip.MustParseAddr("2001:db8:1::aa"), netip.MustParseAddr("192.0.2.100")
	const second = " dev eth0"
	// Not preferred: it is no source of anything.
	b.ok(b.host.IP(b.ctx(), "addr add 2001:db8:1::aa/128"+second+" nodad preferred_lft 0", "addr add 192.0.2.100/32"+second))
	b.closers = append(b.closers, closer(func() error {
		return b.host.IP(b.ctx(), "addr del 2001:db8:1::aa/128"+second, "addr del 192.0.2.100/32"+second)
	}))
	return p
}

// places has "outside", "neighbor" and "host", loopback included. The host's
// address may be empty.
func (b *bed) places(host string) *places {
	b.Helper()
	p := &places{bed: b, nodes: map[string]*lab.Node{}, addrs: map[string]netip.Addr{}}
	p.place("outside", b.Outside, lab.Outside, lab.OutsideIPv4)
	p.place("neighbor", b.neighbor, lab.HostAddr(neighborNumber).String(), fmt.Sprintf("192.0.2.%d", neighborNumber))
	p.place("host", b.host.Node, host, fmt.Sprintf("192.0.2.%d", b.host.Number))
	p.addrs["loopback"], p.addrs["loopback.4"] = netip.IPv6Loopback(), netip.MustParseAddr("127.0.0.1")
	return p
}

type closer func() error

func (c closer) Close() error { return c() }

// place gives a name to a node and its addresses.
func (p *places) place(name string, n *lab.Node, addr, addr4 string) {
	p.nodes[name] = n
	for name, text := range map[string]string{name: addr, name + ".4": addr4} {
		if a, err := netip.ParseAddr(text); err == nil {
			p.addrs[name] = a
		}
	}
}

// start starts a container under a name of the tables, which serves ports such as
// "80/tcp" and "53/udp" and tells clients their addresses.
func (p *places) start(name, network string, ports []string, args ...string) container {
	p.Helper()
	p.docker(append(append([]string{"run", "-d", "--stop-signal", "KILL", "--name", name, "--network", network}, args...), lab.Image, "sleep", "1h")...)
	return p.settle(name, network, ports...)
}

// settle gives a running container its place, and serves its ports.
func (p *places) settle(name, network string, ports ...string) container {
	p.Helper()
	c := p.inspect(name, network)
	sandbox, err := p.host.Sandbox(p.ctx(), name)
	p.ok(err)
	p.place(name, sandbox, c.addr.String(), c.addr4.String())
	p.serve(name, ports...)
	return c
}

// serve has a place tell clients their addresses, until the scenario ends or
// what is returned is closed.
func (p *places) serve(name string, ports ...string) io.Closer {
	p.Helper()
	t, err := p.nodes[name].Tell(p.ctx(), netip.IPv6Unspecified(), ports...)
	p.ok(err)
	once := closer(sync.OnceValue(t.Close))
	p.closers = append(p.closers, once)
	return once
}

// How long an answer may take, and how long silence must last.
const (
	answerTime  = 10 * time.Second
	silenceTime = 700 * time.Millisecond
)

// access is one line of a table: "outside c1.4:80 open", "c1 host:53/udp closed".
type access struct{ from, to, want string }

// want tries what a table says, all lines at once. A port is
//
//	open    where the server sees the client's own address
//	served  where it answers, whatever it sees
//	refused where nobody serves it, and the client hears of it
//	silent  where the client hears nothing
//	closed  either of the two, or no way there
//
// or the place whose address the server must see.
func (p *places) want(title, table string) {
	p.Helper()
	var all sync.WaitGroup
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 {
			p.Fatalf("%s: the line %q is not CLIENT SERVER:PORT RESULT", title, line)
		}
		all.Go(func() {
			if err := p.try1(access{f[0], f[1], f[2]}); err != nil {
				p.Errorf("%s: %v", title, err)
			}
		})
	}
	all.Wait()
}

// try1 tries one line.
func (p *places) try1(a access) error {
	place, port, _ := strings.Cut(a.to, ":")
	port, network, _ := strings.Cut(port, "/")
	if network == "" {
		network = "tcp"
	}
	node, addr := p.nodes[a.from], p.addrs[place]
	to, err := netip.ParseAddrPort(netip.AddrPortFrom(addr, 0).String())
	if err == nil {
		to, err = netip.ParseAddrPort(strings.TrimSuffix(to.String(), "0") + port)
	}
	if err != nil || node == nil {
		return fmt.Errorf("%v: no such place: %w", a, err)
	}
	timeout := answerTime
	if a.want == "silent" || a.want == "closed" {
		timeout = silenceTime
	}
	seen, err := node.Ask(p.ctx(), network, to, timeout)
	got := result(seen, err)
	self := p.addrs[a.from]
	if addr.Is4() {
		self = p.addrs[a.from+".4"]
	}
	switch {
	case p.addrs[a.want].IsValid() && got == p.addrs[a.want].String():
	case a.want == "open" && got == self.String(), a.want == "served" && err == nil, a.want == got:
	case a.want == "closed" && (got == "silent" || got == "refused" || got == "unreachable"):
	default:
		return fmt.Errorf("%s at %s (%s) meets %s, want %s", a.from, a.to, to, got, a.want)
	}
	return nil
}

// result says in a word what an Ask met: the address that the server saw, or
// why there is none.
func result(seen netip.Addr, err error) string {
	switch {
	case err == nil:
		return seen.String()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silent"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EACCES):
		return "unreachable"
	}
	return err.Error()
}

// wantSoon is want for what has to be so again after a moment.
func (p *places) wantSoon(title, table string) {
	p.Helper()
	p.eventually(func() error {
		var errs []error
		for line := range strings.Lines(table) {
			if f := strings.Fields(line); len(f) == 3 {
				errs = append(errs, p.try1(access{f[0], f[1], f[2]}))
			}
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("%s: %w", title, err)
		}
		return nil
	})
}
