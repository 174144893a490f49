package peer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/ndp6/ndp6/netutil/inet"
	"github.com/ndp6/ndp6/netutil/kernel"
	"github.com/ndp6/ndp6/netutil/netns"
	"github.com/ndp6/ndp6/netutil/responder"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// Recipe has a host answer for its proxy entries on a link as the documentation
// of Docker said: with the one sysctl that it names.
func Recipe(h *lab.Node, link string) error {
	return set(h, "net/ipv6/conf/"+link+"/proxy_ndp=1")
}

// Kernel has it answer for them as ndp6 does with the kernel's responder.
func Kernel(h *lab.Node, link string) error {
	return set(h, "net/ipv6/conf/"+link+"/proxy_ndp=1", "net/ipv6/conf/all/proxy_ndp=1", "net/ipv6/neigh/"+link+"/proxy_delay=0")
}

// BPF has it answer for addresses as ndp6 does with its own responder. The
// kernel's entries, which are behind that and keep the groups, are not made.
// The caller closes it.
func BPF(h *lab.Node, link string, addrs []netip.Addr) (*responder.Responder, error) {
	if err := set(h, "net/ipv6/conf/"+link+"/proxy_ndp=1", "net/ipv6/neigh/"+link+"/proxy_delay=0"); err != nil {
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

// set makes a host forward, and sets sysctls, such as net/ipv4/ip_forward=1.
func set(h *lab.Node, sysctls ...string) error {
	for _, s := range append([]string{"net/ipv6/conf/all/forwarding=1"}, sysctls...) {
		key, value := s[:len(s)-2], s[len(s)-1:]
		if err := h.SetSysctl(key, value); err != nil {
			return err
		}
	}
	return nil
}

// AddEntries makes proxy entries on a link of a host. The kernel has one table
// of them for all namespaces: what many entries cost one host, they cost all.
func AddEntries(h *lab.Node, link string, addrs []netip.Addr) error {
	return change(h, link, slices.Values(addrs), (*kernel.Conn).SetNeighbor)
}

// RemoveEntries removes them. The last added go first, as the kernel finds
// those at once.
func RemoveEntries(h *lab.Node, link string, addrs []netip.Addr) error {
	return change(h, link, backward(addrs), (*kernel.Conn).DeleteNeighbor)
}

func backward(addrs []netip.Addr) func(yield func(netip.Addr) bool) {
	return func(yield func(netip.Addr) bool) {
		for _, a := range slices.Backward(addrs) {
			if !yield(a) {
				return
			}
		}
	}
}

func change(h *lab.Node, link string, addrs func(yield func(netip.Addr) bool), do func(*kernel.Conn, kernel.Neighbor) error) error {
	err := netns.Do(h.NetNS(), func() error {
		conn, err := kernel.Open()
		if err != nil {
			return err
		}
		for a := range addrs {
			if err := do(conn, kernel.Neighbor{Addr: a, Link: link, Proxy: true}); err != nil {
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
