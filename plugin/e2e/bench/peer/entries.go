package peer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/responder"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// Recipe has a host answer on a link as the documentation of Docker said: one
// proxy entry for each address, and the one sysctl that it names.
func Recipe(h *lab.Node, link string, addrs []netip.Addr) error {
	return entries(h, link, addrs, "net/ipv6/conf/"+link+"/proxy_ndp=1")
}

// Kernel has it answer as ndp6 does with the kernel's responder.
func Kernel(h *lab.Node, link string, addrs []netip.Addr) error {
	return entries(h, link, addrs,
		"net/ipv6/conf/"+link+"/proxy_ndp=1", "net/ipv6/conf/all/proxy_ndp=1", "net/ipv6/neigh/"+link+"/proxy_delay=0")
}

// BPF has it answer as ndp6 does with its own responder: the kernel's entries
// are behind it, and keep the groups. The caller closes it, with the namespace.
func BPF(h *lab.Node, link string, addrs []netip.Addr) (io.Closer, error) {
	if err := entries(h, link, addrs, "net/ipv6/conf/"+link+"/proxy_ndp=1", "net/ipv6/neigh/"+link+"/proxy_delay=0"); err != nil {
		return nil, err
	}
	var r *responder.Responder
	err := netns.Do(h.NetNS(), func() error {
		ifi, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		r, err = responder.New(responder.Config{Index: ifi.Index, Name: link, MAC: inet.MAC(ifi.HardwareAddr)})
		if err != nil {
			return err
		}
		if err := errors.Join(r.Add(addrs...), r.Attach()); err != nil {
			return errors.Join(err, r.Close())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.Name, err)
	}
	return r, nil
}

// entries makes a host forward, sets sysctls, such as net/ipv4/ip_forward=1,
// and adds proxy entries.
func entries(h *lab.Node, link string, addrs []netip.Addr, sysctls ...string) error {
	for _, s := range append([]string{"net/ipv6/conf/all/forwarding=1"}, sysctls...) {
		key, value := s[:len(s)-2], s[len(s)-1:]
		if err := h.SetSysctl(key, value); err != nil {
			return err
		}
	}
	err := netns.Do(h.NetNS(), func() error {
		conn, err := kernel.Open()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if err := conn.SetNeighbor(kernel.Neighbor{Addr: a, Link: link, Proxy: true}); err != nil {
				return errors.Join(err, conn.Close())
			}
		}
		return conn.Close()
	})
	if err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return nil
}
