package main

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/ndp6/ndp6/ipam/alloc"
	"github.com/ndp6/ndp6/netutil/responder"
	"github.com/ndp6/ndp6/plugin/e2e/bench/peer"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// stand is how a shop begins to answer, with addresses of a mode.
type stand struct {
	name string
	mode alloc.Mode
	open func(ctx context.Context, b *bench, s *shop, pool netip.Prefix) error
}

// byEntries is a stand whose kernel answers for its proxy entries.
func byEntries(name string, mode alloc.Mode, set func(h *lab.Node, link string) error) stand {
	return stand{name, mode, func(_ context.Context, _ *bench, s *shop, _ netip.Prefix) error {
		s.entries = true
		return set(s.host, "eth0")
	}}
}

// startProcess starts what answers for a pool on a link of the network namespace at path.
type startProcess func(ctx context.Context, path, link string, pool netip.Prefix) (*peer.Process, error)

// other is what the command line adds: its name and how it is started, nil
// where it adds nothing.
func (o options) other() (string, startProcess) {
	words := strings.Fields(o.command)
	if len(words) == 0 {
		return "", nil
	}
	return filepath.Base(words[0]), func(ctx context.Context, path, link string, pool netip.Prefix) (*peer.Process, error) {
		return peer.Start(ctx, path, o.command, link, pool)
	}
}

// byProcess is a stand where a process answers for the whole pool.
func byProcess(name string, start startProcess) stand {
	return stand{name, alloc.MAC, func(ctx context.Context, b *bench, s *shop, pool netip.Prefix) (err error) {
		if err := s.host.SetSysctl("net/ipv6/conf/all/forwarding", "1"); err != nil {
			return err
		}
		if s.process, err = start(ctx, s.host.NetNS(), "eth0", pool); err == nil {
			b.later(s.process.Close)
		}
		return err
	}}
}

// stands are all there are, in the order of the table. At the first, nobody
// answers.
func (o options) stands() []stand {
	all := []stand{{nameSilent, alloc.MAC, func(_ context.Context, _ *bench, s *shop, _ netip.Prefix) error {
		return s.host.SetSysctl("net/ipv6/conf/eth0/disable_ipv6", "1")
	}}}
	if responder.Available() == nil {
		all = append(all, stand{nameBPF, alloc.MAC, func(_ context.Context, b *bench, s *shop, _ netip.Prefix) error {
			s.entries = true // They keep the groups.
			r, err := peer.BPF(s.host, "eth0", s.addrs)
			if err == nil {
				b.later(r.Close)
			}
			return err
		}})
	}
	all = append(all,
		byEntries(nameKernel+", packed", alloc.Packed, peer.Kernel),
		byEntries(nameKernel, alloc.MAC, peer.Kernel),
		byProcess(nameNdppd, peer.Ndppd),
		byEntries(nameRecipe, alloc.MAC, peer.Recipe),
	)
	if name, start := o.other(); start != nil {
		all = append(all, byProcess(name, start))
	}
	return all
}
