package firewall_test

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/driver/firewall"
)

// TestSteady makes and removes networks, and renumbers one, beside Docker, while
// a container of another is sent packets of no established flow. None is lost.
func TestSteady(t *testing.T) {
	l := newLab(t, true)
	l.likeDocker()
	box := endpoint("nd1")
	box.Published = []firewall.Published{{Proto: unix.IPPROTO_UDP, Port: 80, HostAddr: netip.IPv6Unspecified(), Direct: true}}
	translated := func(k int) firewall.Policy {
		p := behindPrefixes(k)
		p.Networks = slices.Concat(policy().Networks[:1], p.Networks[1:])
		return p
	}
	few := policy()
	few.Networks = few.Networks[:1]
	policies := []firewall.Policy{few, policy(), translated(1), translated(2)}
	l.apply(few, box)

	var server, client *net.UDPConn
	open := func(host string, do func() (*net.UDPConn, error), conn **net.UDPConn) {
		l.enter(host, func() (err error) {
			*conn, err = do()
			return err
		})
		t.Cleanup(func() { (*conn).Close() })
	}
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr("nd1"), 80))
	open("nd1", func() (*net.UDPConn, error) { return net.ListenUDP("udp6", to) }, &server)
	open("lan1", func() (*net.UDPConn, error) { return net.DialUDP("udp6", nil, to) }, &client)
	begun, ended, result := make(chan struct{}), make(chan struct{}), make(chan int)
	go func() {
		sent := 0
		once := sync.OnceFunc(func() { close(begun) })
		defer func() {
			once()
			result <- sent
		}()
		for b := make([]byte, 1); ; sent++ {
			select {
			case <-ended:
				return
			default:
			}
			if _, err := client.Write(b); err != nil {
				t.Error(err)
				return
			}
			if err := server.SetReadDeadline(time.Now().Add(generous)); err != nil {
				t.Error(err)
				return
			}
			if _, err := server.Read(b); err != nil {
				t.Errorf("packet %d is lost: %v", sent, err)
				return
			}
			once()
		}
	}()
	<-begun
	const rounds = 400
	for i := range rounds {
		l.apply(policies[i%len(policies)], box)
	}
	close(ended)
	t.Logf("%d packets arrived beside %d changes of the policy", <-result, rounds)
}
