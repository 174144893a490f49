package e2e_test

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// window creates and removes a container while each of its ports is knocked at
// every millisecond, from outside, and by a neighbor that knows the host's MAC
// and so needs no answer to find the way. At every second time the container
// publishes nothing.
func window(b *bed) { b.window() }

// fastWindow is window where published ports are in front of the kernel.
func fastWindow(b *bed) { b.window(strings.Fields(fastPathOptions)...) }

func (b *bed) window(options ...string) {
	b.Helper()
	const cycles = 100
	const mac = "02:42:aa:bb:cc:22"
	b.network("n", append([]string{"--subnet", pool, "-o", "ndp6.dad=off"}, options...)...)
	first := b.web("c1", "n", "--mac-address", mac)
	b.docker("rm", "-f", "c1")
	b.ok(b.neighbor.IP(b.ctx(), fmt.Sprintf("neigh replace %s lladdr %s nud permanent dev eth0", first.addr, lab.MAC(hostNumber))))
	defer func() { b.ok(b.neighbor.IP(b.ctx(), fmt.Sprintf("neigh del %s dev eth0", first.addr))) }()

	web, hidden, absent := netip.AddrPortFrom(first.addr, 80), netip.AddrPortFrom(first.addr, 81), netip.AddrPortFrom(first.addr, 82)
	all := map[string]*lab.Knocks{}
	for name, node := range map[string]*lab.Node{"outside": b.Outside, "neighbor": b.neighbor} {
		k, err := node.Knock(b.ctx(), web, hidden, absent)
		b.ok(err)
		all[name] = k
	}
	start := time.Now()
	for i := range cycles {
		args := []string{"run", "-d", "--stop-signal", "KILL", "--name", "c1", "--network", "n", "--mac-address", mac}
		if i%2 == 0 {
			args = append(args, "-p", "8080:80")
		}
		before := map[string]lab.Knocked{}
		for name, k := range all {
			before[name] = k.Seen(web)
		}
		b.docker(append(args, lab.Image, "sh", "-c", "httpd -p 81 -h /etc; exec httpd -f -p 80 -h /etc")...)
		if i%2 == 0 {
			for name, k := range all {
				b.eventually(func() error {
					if k.Seen(web).Open == before[name].Open {
						return fmt.Errorf("cycle %d: the published port does not answer %s", i, name)
					}
					return nil
				})
			}
		}
		b.docker("rm", "-f", "c1")
		for name, k := range all {
			time.Sleep(10 * time.Millisecond) // An answer under way is one of this cycle.
			if seen := k.Seen(web); i%2 == 1 && seen != before[name] && seen.Open+seen.Refused != before[name].Open+before[name].Refused {
				b.Errorf("cycle %d: port 80, now unpublished, answered %s: %+v, before %+v", i, name, seen, before[name])
			}
		}
	}
	took := time.Since(start)
	for name, k := range all {
		seen, err := k.Stop()
		b.ok(err)
		for _, port := range []netip.AddrPort{hidden, absent} {
			if s := seen[port]; s.Open+s.Refused > 0 || s.Sent == 0 {
				b.Errorf("unpublished %s answered %s: %+v", port, name, s)
			}
		}
		b.Logf("%d cycles in %s; %s knocked %d times at each port: published %+v, unpublished %+v, not served %+v",
			cycles, took.Round(time.Millisecond), name, seen[web].Sent, seen[web], seen[hidden], seen[absent])
	}
}
