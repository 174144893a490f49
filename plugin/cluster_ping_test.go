package plugin_test

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv6"

	"github.com/ndp6/ndp6/netutil/netns"
)

const (
	echoID     = 166
	echoPeriod = 5 * time.Millisecond
	// echoWait is how long an answer may take before it counts as lost.
	echoWait = 2 * time.Second
)

// A pinger sends echo requests from a container, and notes which are answered.
type pinger struct {
	conn *icmp.PacketConn
	to   net.Addr

	mu       sync.Mutex
	sent     int
	answered map[int]bool
	news     chan struct{}
}

func (c labContainer) pinger(to netip.Addr) *pinger {
	c.host.t.Helper()
	p := &pinger{to: &net.IPAddr{IP: to.AsSlice()}, answered: make(map[int]bool), news: make(chan struct{}, 1)}
	if err := netns.Do(c.space, func() (err error) {
		p.conn, err = icmp.ListenPacket("ip6:ipv6-icmp", "::")
		return err
	}); err != nil {
		c.host.t.Fatal(err)
	}
	go p.listen()
	return p
}

func (p *pinger) listen() {
	buf := make([]byte, 1500)
	for {
		n, _, err := p.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		m, err := icmp.ParseMessage(ipv6.ICMPTypeEchoReply.Protocol(), buf[:n])
		if err != nil || m.Type != ipv6.ICMPTypeEchoReply {
			continue
		}
		if echo, ok := m.Body.(*icmp.Echo); ok && echo.ID == echoID {
			p.mu.Lock()
			p.answered[echo.Seq] = true
			p.mu.Unlock()
			select {
			case p.news <- struct{}{}:
			default:
			}
		}
	}
}

func (p *pinger) send() {
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := (&icmp.Message{Type: ipv6.ICMPTypeEchoRequest, Body: &icmp.Echo{ID: echoID, Seq: p.sent & 0xffff}}).Marshal(nil)
	if err == nil {
		p.sent++
		_, _ = p.conn.WriteTo(text, p.to) // What is not sent is not answered.
	}
}

func (p *pinger) missing() (sent, missing int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent, p.sent - len(p.answered)
}

// settle waits for answers that are under way, and returns what is missing.
func (p *pinger) settle() (sent, missing int) {
	for end := time.After(echoWait); ; {
		if sent, missing = p.missing(); missing == 0 {
			return sent, 0
		}
		select {
		case <-p.news:
		case <-end:
			return sent, missing
		}
	}
}

// reaches sends echo requests until one is answered.
func (c labContainer) reaches(to netip.Addr) bool {
	p := c.pinger(to)
	defer p.conn.Close()
	again := time.NewTicker(echoWait / 4)
	defer again.Stop()
	for end := time.After(5 * echoWait); ; {
		p.send()
		select {
		case <-p.news:
			return true
		case <-again.C:
		case <-end:
			return false
		}
	}
}

// stream sends echo requests until the returned function is called, which fails
// the test where one has no answer.
func (c labContainer) stream(to netip.Addr) (check func(t *testing.T)) {
	c.host.t.Helper()
	p := c.pinger(to)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(echoPeriod)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.send()
			case <-done:
				return
			}
		}
	}()
	return func(t *testing.T) {
		t.Helper()
		close(done)
		<-stopped
		defer p.conn.Close()
		sent, missing := p.settle()
		t.Logf("%d packets between containers, %d lost", sent, missing)
		if missing > 0 || sent == 0 {
			t.Error("packets are lost")
		}
	}
}
