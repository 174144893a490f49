package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// A subject starts containers on a host of the LAN, whose router asks the host
// for their addresses.
type subject struct {
	name string
	pool netip.Prefix // of the containers
	// start starts container i as a user would, and returns what stops it, when
	// everything that the user does is done.
	start func(ctx context.Context, i int) (stop func(context.Context) error, err error)
}

// mac is that of container i. A chosen MAC tells the address beforehand, so
// that nothing stands between its start and what is measured.
func (s subject) mac(i int) inet.MAC { return inet.MAC{0x02, 0x42, 0, 0, byte(i >> 8), byte(i)} }

// addr is the address of container i.
func (s subject) addr(i int) (netip.Addr, error) { return inet.EmbedMAC(s.pool, s.mac(i)) }

// poolOf is the prefix of the containers of the host with this number.
func poolOf(number int) netip.Prefix {
	return netip.MustParsePrefix(fmt.Sprintf("2001:db8:1:0:%x::/80", number))
}

// street is a LAN with the hosts of subjects.
type street struct {
	*lab.Lab
	o    options
	root string
	done []func() error // what to call at the end, in reverse
}

// newStreet makes the LAN alone.
func newStreet(ctx context.Context, o options) (*street, error) {
	s := &street{o: o}
	var err error
	for _, release := range lab.Releases() {
		if release.Docker == dockerOfPaths {
			if s.root, err = lab.Root(ctx, release, os.Stderr); err != nil {
				return nil, err
			}
		}
	}
	s.Lab, err = lab.New(ctx, lab.Options{})
	return s, err
}

// close ends everything.
func (s *street) close() error {
	var errs []error
	for i := range s.done {
		errs = append(errs, s.done[len(s.done)-1-i]())
	}
	return errors.Join(append(errs, s.Close())...)
}

// ndp6 is a host with the plugin, started with these flags. Networks do not
// wait for duplicates, as they do not for the random MACs that containers have
// unless one is chosen.
func (s *street) ndp6(ctx context.Context, name string, number int, pool netip.Prefix, flags ...string) (subject, error) {
	sub := subject{name: name, pool: pool}
	h, err := s.AddHost(ctx, number, s.root)
	if err != nil {
		return sub, err
	}
	if err := h.StartPlugin(ctx, s.o.binary, append([]string{"--log-level=info"}, flags...)...); err != nil {
		return sub, err
	}
	if err := h.StartEngine(ctx); err != nil {
		return sub, err
	}
	create := "network create -d ndp6 --ipam-driver ndp6 --ipv6 -o ndp6.dad=async --subnet " + pool.String() + " subject"
	if _, err := h.Docker(ctx, strings.Fields(create)...); err != nil {
		return sub, err
	}
	sub.start = func(ctx context.Context, i int) (func(context.Context) error, error) {
		return runContainer(ctx, h, "--mac-address", sub.mac(i).String())
	}
	return sub, nil
}

// bridge is a host with a network of Docker's own bridge, for whose addresses
// somebody else answers. After, if not nil, is what the user does when a container runs.
func (s *street) bridge(ctx context.Context, name string, number int, pool netip.Prefix, after func(ctx context.Context, h *lab.Host, verb string, addr netip.Addr) error) (subject, *lab.Host, error) {
	sub := subject{name: name, pool: pool}
	h, err := s.AddHost(ctx, number, s.root)
	if err != nil {
		return sub, nil, err
	}
	if err := h.StartEngine(ctx); err != nil {
		return sub, nil, err
	}
	create := "network create --ipv6 -o com.docker.network.bridge.gateway_mode_ipv6=routed --subnet " + pool.String() + " subject"
	if _, err := h.Docker(ctx, strings.Fields(create)...); err != nil {
		return sub, nil, err
	}
	sub.start = func(ctx context.Context, i int) (func(context.Context) error, error) {
		addr, err := sub.addr(i)
		if err != nil {
			return nil, err
		}
		stop, err := runContainer(ctx, h, "--ip6", addr.String())
		if err != nil || after == nil {
			return stop, err
		}
		return func(ctx context.Context) error {
			return errors.Join(after(ctx, h, "del", addr), stop(ctx))
		}, after(ctx, h, "add", addr)
	}
	return sub, h, nil
}

// runContainer starts a container that does nothing, and returns when docker does.
func runContainer(ctx context.Context, h *lab.Host, args ...string) (func(context.Context) error, error) {
	id, err := h.Docker(ctx, append(append([]string{"run", "-d", "--network", "subject"}, args...), lab.Image, "sleep", "1h")...)
	return func(ctx context.Context) error {
		_, err := h.Docker(ctx, "rm", "-f", strings.TrimSpace(id))
		return err
	}, err
}

// recipe is what the documentation of Docker said to do by hand.
func (s *street) recipe(ctx context.Context, name string, number int, pool netip.Prefix) (subject, error) {
	sub, h, err := s.bridge(ctx, name, number, pool, func(ctx context.Context, h *lab.Host, verb string, addr netip.Addr) error {
		return h.IP(ctx, fmt.Sprintf("neigh %s proxy %s dev eth0", verb, addr))
	})
	if err != nil {
		return sub, err
	}
	return sub, h.SetSysctl("net/ipv6/conf/eth0/proxy_ndp", "1")
}

// process is Docker's bridge with a process that answers for its prefix.
func (s *street) process(ctx context.Context, name string, number int, start startProcess) (subject, error) {
	sub, h, err := s.bridge(ctx, name, number, poolOf(number), nil)
	if err != nil {
		return sub, err
	}
	p, err := start(ctx, h.NetNS(), "eth0", sub.pool)
	if err != nil {
		return sub, err
	}
	s.done = append(s.done, p.Close)
	return sub, nil
}

// plain is a node of the LAN that has the addresses itself, so that the kernel
// answers for them without a proxy.
func (s *street) plain(ctx context.Context, name string, number int) (subject, error) {
	sub := subject{name: name, pool: poolOf(number)}
	n, err := s.AddNode(ctx, "plain", number)
	if err != nil {
		return sub, err
	}
	sub.start = func(ctx context.Context, i int) (func(context.Context) error, error) {
		addr, err := sub.addr(i)
		if err != nil {
			return nil, err
		}
		if err := n.IP(ctx, fmt.Sprintf("addr add %s/64 dev eth0 nodad", addr)); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return n.IP(ctx, fmt.Sprintf("addr del %s/64 dev eth0", addr)) }, settled(ctx, n)
	}
	return sub, nil
}

// settled waits until a node uses all of its addresses. The kernel finishes a
// new one in another thread, also without duplicate address detection.
func settled(ctx context.Context, n *lab.Node) error {
	for ctx.Err() == nil {
		tentative, err := n.Exec(ctx, "ip", "-6", "addr", "show", "tentative")
		if err != nil || tentative == "" {
			return err
		}
	}
	return ctx.Err()
}
