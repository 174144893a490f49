package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/plugin/e2e/bench/ask"
	"github.com/ndp6/ndp6/plugin/e2e/bench/peer"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// A shop is a host that answers, or not, for many addresses.
type shop struct {
	name    string
	host    *lab.Node
	entries bool // its kernel has proxy entries
	link    *ask.Link
	mac     inet.MAC
	addrs   []netip.Addr
	process *peer.Process // that answers, if it is one

	took                                stat.Sample // a value for each question; the others have one for each round
	group, alone, share, cost, capacity stat.Sample
	perQuestion                         time.Duration // CPU time of the last round, with that of who asks
}

// openShop makes a host with a link of its own to the router, whose own IPv6
// does not hear the answers.
func (b *bench) openShop(ctx context.Context, st stand, number, n int) (*shop, error) {
	h, err := b.lab.AddNode(ctx, fmt.Sprintf("shop%d", number), number)
	if err != nil {
		return nil, err
	}
	if err := b.wire(ctx, h, number); err != nil {
		return nil, err
	}
	pool := netip.MustParsePrefix(fmt.Sprintf("2001:db8:%d:0:a::/80", number))
	s := &shop{name: st.name, host: h}
	if s.addrs, err = addresses(pool, st.mode, n); err != nil {
		return nil, err
	}
	if err := h.IP(ctx, "link add br0 type bridge", "link set br0 addrgenmode none up", fmt.Sprintf("route add %s dev br0", pool)); err != nil {
		return nil, err
	}
	if s.mac, err = macOf(h.NetNS(), "eth0"); err != nil {
		return nil, err
	}
	link := fmt.Sprintf("p%d", number)
	if err := b.lab.Router.SetSysctl("net/ipv6/conf/"+link+"/disable_ipv6", "1"); err != nil {
		return nil, err
	}
	// Nobody is there to say where the router is.
	router, err := macOf(b.lab.Router.NetNS(), link)
	if err != nil {
		return nil, err
	}
	if err := h.IP(ctx, fmt.Sprintf("neigh replace %s lladdr %s dev eth0 nud permanent", hostAddr(number).Prev(), router)); err != nil {
		return nil, err
	}
	if err := st.open(ctx, b, s, pool); err != nil {
		return nil, err
	}
	if s.link, err = ask.Open(b.lab.Router.NetNS(), link, hostAddr(number).Prev()); err == nil {
		b.later(s.link.Close)
	}
	return s, err
}

// opened waits until a process answers, which takes it a moment at its start,
// or has had two seconds.
func (s *shop) opened() error {
	for end := time.Now().Add(2 * time.Second); s.process != nil && time.Now().Before(end); {
		if took, err := s.link.Each(s.addrs[:1], inet.MAC{}, 0, 100*time.Millisecond); err != nil || len(took) > 0 {
			return err
		}
	}
	return nil
}

// macOf is the address of a link of the network namespace at path.
func macOf(path, link string) (mac inet.MAC, err error) {
	return mac, netns.Do(path, func() error {
		ifi, err := net.InterfaceByName(link)
		if err == nil {
			mac = inet.MAC(ifi.HardwareAddr)
		}
		return err
	})
}

// few are the questions one by one.
const few = 20

// round asks a host in all ways. Its proxy entries are there meanwhile, and
// nobody else's.
func (s *shop) round(silent *shop, duration time.Duration) (err error) {
	if s.entries {
		if err := peer.AddEntries(s.host, "eth0", s.addrs); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, peer.RemoveEntries(s.host, "eth0", s.addrs)) }()
	}
	late := 50 * time.Millisecond
	if s != silent {
		// Who answers all does not take so long. The recipe answers after up to 0.8 s.
		took, err := s.link.Each(s.addrs[:few], inet.MAC{}, 2*time.Millisecond, 1500*time.Millisecond)
		if err != nil {
			return err
		}
		s.took = append(s.took, stat.Of(took, time.Millisecond)...)
		s.group = append(s.group, float64(len(took)))
		if took, err = s.link.Each(s.addrs[:few], s.mac, 2*time.Millisecond, 300*time.Millisecond); err != nil {
			return err
		}
		s.alone = append(s.alone, float64(len(took)))
	}
	if s.name == nameRecipe {
		late = time.Second
	}
	before, err := s.cpu()
	if err != nil {
		return err
	}
	f, err := s.link.Flood(s.addrs, floodRate, duration, late)
	if err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	s.perQuestion = (f.CPU + after - before) / time.Duration(f.Asked)
	s.cost = append(s.cost, float64(s.perQuestion-silent.perQuestion)/float64(time.Microsecond))
	if s == silent {
		s.cost[len(s.cost)-1] = float64(s.perQuestion) / float64(time.Microsecond)
		return nil
	}
	s.share = append(s.share, 100*f.Share())
	if f, err = s.link.Flood(s.addrs, 0, duration/2, late); err != nil {
		return err
	}
	s.capacity = append(s.capacity, float64(f.Answered)/f.Elapsed.Seconds())
	if s.process != nil {
		return s.process.Ended()
	}
	return nil
}

// cpu is the time so far of what works beside the thread that asks: the process
// that answers, and the kernel's threads that go on with packets.
func (s *shop) cpu() (time.Duration, error) {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return 0, err
	}
	var all time.Duration
	for _, name := range names {
		comm, err := os.ReadFile(name)
		if err != nil || !strings.HasPrefix(string(comm), "ksoftirqd/") {
			continue // It ended, or is another.
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return 0, err
		}
		used, err := peer.CPU(pid)
		if err != nil {
			return 0, err
		}
		all += used
	}
	if s.process == nil {
		return all, nil
	}
	used, err := s.process.CPU()
	return all + used, err
}
