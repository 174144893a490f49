package e2e_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// fleet is containers of each way to get an address, on one network.
type fleet struct {
	network string
	has     map[string]container // by name, as they were seen last
}

// The members of a fleet. Docker starts all but the last one again.
const (
	givenMAC  = "given-mac"
	givenAddr = "given-addr"
	automatic = "automatic"
	runsOnce  = "runs-once"
)

// newFleet starts a fleet, which must be the only one of its network.
func (b *bed) newFleet(network string) *fleet {
	b.Helper()
	f := &fleet{network: network, has: map[string]container{}}
	for name, args := range map[string][]string{
		givenMAC:  {"--restart", "always", "--mac-address", "02:42:aa:bb:cc:11"},
		givenAddr: {"--restart", "always", "--ip6", "2001:db8:1:0:a:0:1:11"},
		automatic: {"--restart", "always"},
		runsOnce:  nil,
	} {
		f.has[name] = b.web(name, network, args...)
	}
	b.hasOnly(f.list()...)
	return f
}

// list is the containers in the order of their names.
func (f *fleet) list() []container {
	var all []container
	for _, name := range []string{automatic, givenAddr, givenMAC, runsOnce} {
		if c, ok := f.has[name]; ok {
			all = append(all, c)
		}
	}
	return all
}

// cameBack wants the containers with a restart policy to run again and to be
// reachable, an address that was asked for to be the same, and nothing to be
// left of the rest.
func (b *bed) cameBack(f *fleet) {
	b.Helper()
	before := f.list()
	delete(f.has, runsOnce)
	for name, old := range f.has {
		b.eventually(func() error { return b.running(name) })
		c := b.inspect(name, f.network)
		f.has[name] = c
		if name != automatic && c.addr != old.addr {
			b.Errorf("%s has the address %s, want %s again", name, c.addr, old.addr)
		}
		b.reach(b.Router, c, c.addr)
		b.reach(b.Outside, c, c.addr)
	}
	b.isMACAddress(f.has[automatic], pool)
	b.isMACAddress(f.has[givenMAC], pool)
	var gone []netip.Addr
	for _, old := range before {
		if !slices.ContainsFunc(f.list(), func(c container) bool { return c.addr == old.addr }) {
			gone = append(gone, old.addr)
		}
	}
	b.Logf("%d containers are back, %d addresses are gone", len(f.has), len(gone))
	b.allSilent(gone)
	b.hasOnly(f.list()...)
}

// allSilent is silent for many addresses at once.
func (b *bed) allSilent(addrs []netip.Addr) {
	b.Helper()
	var g errgroup.Group
	g.SetLimit(50)
	for _, a := range addrs {
		g.Go(func() error {
			b.silent(b.Router, a)
			return nil
		})
	}
	_ = g.Wait() // silent reports.
}

// hasOnly wants the host to have proxy entries on its uplink and links for
// these containers alone, once the plugin found what Docker has not told.
func (b *bed) hasOnly(containers ...container) {
	b.Helper()
	var want []string
	for _, c := range containers {
		want = append(want, c.addr.String())
	}
	slices.Sort(want)
	b.eventually(func() error {
		proxies, err := b.host.Exec(b.ctx(), "ip", "-6", "neigh", "show", "proxy", "dev", "eth0")
		if err != nil {
			return err
		}
		var got []string
		for line := range strings.Lines(proxies) {
			got = append(got, strings.Fields(line)[0])
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("proxy entries of the uplink (-want +got):\n%s", diff)
		}
		links, err := b.host.Exec(b.ctx(), "ip", "-o", "link", "show", "type", "veth")
		if err != nil {
			return err
		}
		if got, want := strings.Count(links, "\n"), len(containers)+1; got != want {
			return fmt.Errorf("%d veth links, want %d with the uplink:\n%s", got, want, links)
		}
		return nil
	})
}
