package e2e_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// Numbers of hosts that share the LAN's prefix with the bed's own.
const (
	secondHost = 70
	thirdHost  = 71
)

// How soon a container answers where it moved to, and a new one at all.
const (
	movedLimit = 200 * time.Millisecond
	firstLimit = 5 * time.Millisecond
	moves      = 3 // there and back
)

// TestSharedLink has three hosts of one LAN that have nothing but its /64: T11 of
// the design. It measures, and so has the machine for itself.
func TestSharedLink(t *testing.T) {
	tryAll(t, []scenario{{name: "three hosts", run: threeHosts, once: true}}, nil)
}

func threeHosts(b *bed) {
	b.elsewhere(secondHost, nil, func(second *bed) {
		b.elsewhere(thirdHost, nil, func(third *bed) {
			third.network("n", "--subnet", "2001:db8:1:0:c::/80")
			third.web("onlooker", "n")
			s := newSharedLink(b, second, third)
			if first := median(s.firstPackets()); first > firstLimit {
				s.Errorf("the first packet takes %s, want at most %s", first, firstLimit)
			}
			s.moves(moves, "--ip6", "2001:db8:1:0:a:0:1:2")
			s.moves(moves, "--mac-address", "02:42:aa:bb:cc:21")
			s.outlives("--ip6", "2001:db8:1:0:a:0:1:2")
			for _, h := range []*bed{third, second} {
				h.removeAll()
			}
		})
	})
}

// sharedLink is two hosts with one pool, between which containers move, and
// those that look on, by the LAN and from behind the router.
type sharedLink struct {
	*bed

	hosts     []*bed
	onlookers []*lab.Node
}

// newSharedLink gives two hosts a network "n" with one pool. On the third a
// container looks on.
func newSharedLink(first, second, third *bed) *sharedLink {
	first.Helper()
	s := &sharedLink{bed: first, hosts: []*bed{first, second}}
	for _, h := range s.hosts {
		h.network("n", "--subnet", pool)
	}
	sandbox, err := third.host.Sandbox(s.ctx(), "onlooker")
	s.ok(err)
	s.onlookers = []*lab.Node{s.Router, s.neighbor, third.host.Node, sandbox, s.Outside}
	return s
}

// firstPackets is how long the router takes to reach addresses that it never
// heard of.
func (s *sharedLink) firstPackets() (took []time.Duration) {
	s.Helper()
	for range 5 {
		c := s.web("c1", "n")
		// What was announced is forgotten.
		_, err := s.Router.Exec(s.ctx(), "ip", "-6", "neigh", "flush", "dev", "lan", "to", c.addr.String())
		s.ok(err)
		first, err := s.Router.Ping(s.ctx(), c.addr, time.Second)
		s.ok(err)
		took = append(took, first)
		s.docker("rm", "-f", "c1")
	}
	s.Logf("first packets: %v, limit %s", took, firstLimit)
	return took
}

// median is the one in the middle.
func median(all []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// moves starts a container with a chosen address or MAC on one host, which the
// other refuses to have as well, and moves it there and back so many times. It
// returns how long each move took until all saw it.
func (s *sharedLink) moves(times int, choice ...string) (took []time.Duration) {
	s.Helper()
	run := append([]string{"run", "--rm", "--network", "n"}, choice...)
	c := s.hosts[0].web("c1", "n", choice...)
	for i := range 2 * times {
		from, to := s.hosts[i%2], s.hosts[(i+1)%2]
		s.seen(c.addr, time.Second) // They know where it is.
		to.refused([]string{c.addr.String(), lab.MAC(from.host.Number)}, append(run, lab.Image, "true")...)
		from.docker("rm", "-f", "c1")
		to.runWeb("c1", "n", choice...)
		returned := time.Now()
		moved := to.inspect("c1", "n")
		if moved.addr != c.addr {
			s.Fatalf("address %s on %s, want %s as on %s", moved.addr, to.host.Name, c.addr, from.host.Name)
		}
		longest := s.seen(c.addr, movedLimit)
		took = append(took, time.Since(returned))
		s.Logf("%v moved to %s: answers all within %s, %s after docker run returned", choice, to.host.Name, longest, took[i])
		s.reach(s.Outside, moved, moved.addr)
	}
	s.hosts[0].docker("rm", "-f", "c1")
	return took
}

// outlives starts a container on one host when the other, which has it, is
// dead without a word.
func (s *sharedLink) outlives(choice ...string) {
	s.Helper()
	dead, alive := s.hosts[0], s.hosts[1]
	c := dead.web("c1", "n", choice...)
	s.seen(c.addr, time.Second)
	s.ok(s.Unplug(s.ctx(), dead.host))
	alive.web("c1", "n", choice...)
	s.Logf("%v is on %s after its host died: answers all within %s", choice, alive.host.Name, s.seen(c.addr, movedLimit))
	alive.docker("rm", "-f", "c1")
	dead.docker("rm", "-f", "c1")
	s.ok(s.Plug(s.ctx(), dead.host))
}

// seen wants the address to answer each onlooker within the limit, and returns
// the longest that it took.
func (s *sharedLink) seen(addr netip.Addr, limit time.Duration) time.Duration {
	s.Helper()
	var longest time.Duration
	for _, n := range s.onlookers {
		took, err := n.Ping(s.ctx(), addr, limit)
		s.ok(err)
		longest = max(longest, took)
	}
	return longest
}
