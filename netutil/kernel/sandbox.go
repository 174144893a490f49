package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/inet"
)

// A Sandbox is a connection to a container's namespace, for the addresses of
// its links. There are thousands of these namespaces, so it is one socket that
// is opened for one change.
//
// Docker renames the links that it moves into a sandbox, so a link is that of
// its MAC. Of several, such as a bridge inside and its port, it is the veth.
type Sandbox struct {
	requests *socket
}

// OpenSandbox connects to the network namespace of the calling thread. The
// caller closes the Sandbox.
func OpenSandbox() (*Sandbox, error) {
	s, err := openSocket(unix.NETLINK_ROUTE, receiveSize)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return &Sandbox{s}, nil
}

// Close closes the connection.
func (s *Sandbox) Close() error { return s.requests.close() }

// Up reports whether the link with this MAC is up. The error wraps ErrNotFound
// if there is none.
func (s *Sandbox) Up(mac inet.MAC) (bool, error) {
	l, err := s.link(mac)
	return l.Up, err
}

// SetAddress gives the link with this MAC an IPv6 address with the length of
// its on-link prefix and a route to it, usable at once, or changes the one that
// it has. A deprecated address is not the source of new connections as long as
// there is another (RFC 4862 5.5.4). The error wraps ErrNotFound if there is no
// such link.
func (s *Sandbox) SetAddress(mac inet.MAC, p netip.Prefix, deprecated bool) error {
	err := s.changeAddress(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, mac, p, func(req *nl.NetlinkRequest) {
		req.AddData(nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(unix.IFA_F_NODAD)))
		req.AddData(nl.NewRtAttr(unix.IFA_CACHEINFO, lifetimes(deprecated)))
	})
	if err != nil {
		return fmt.Errorf("set address %s of the link with MAC %s: %w", p, mac, err)
	}
	return nil
}

// DeleteAddress removes an address from the link with this MAC. It succeeds if
// either is gone.
func (s *Sandbox) DeleteAddress(mac inet.MAC, p netip.Prefix) error {
	err := s.changeAddress(unix.RTM_DELADDR, 0, mac, p, func(*nl.NetlinkRequest) {})
	if err != nil && !isAny(err, []error{unix.EADDRNOTAVAIL, unix.ENODEV, ErrNotFound}) {
		return fmt.Errorf("delete address %s of the link with MAC %s: %w", p, mac, err)
	}
	return nil
}

func (s *Sandbox) changeAddress(typ, flags int, mac inet.MAC, p netip.Prefix, complete func(*nl.NetlinkRequest)) error {
	l, err := s.link(mac)
	if err != nil {
		return err
	}
	req, err := addressRequest(typ, flags, l.Index, p)
	if err != nil {
		return err
	}
	complete(req)
	return s.requests.execute(req)
}

// link returns the link with this MAC.
func (s *Sandbox) link(mac inet.MAC) (Link, error) {
	var found Link
	err := s.requests.dump(getLink(0, ""), func() { found = Link{} }, func(r reply) {
		l, _, ok := parseLink(r)
		if ok && l.MAC == mac && found.Kind != kindVeth {
			found = l
		}
	})
	if err == nil && found.Index == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Link{}, fmt.Errorf("link with MAC %s: %w", mac, err)
	}
	return found, nil
}

// lifetimes is struct ifa_cacheinfo of linux/if_addr.h: preferred, valid, and
// two times that the kernel fills in.
func lifetimes(deprecated bool) []byte {
	preferred := uint32(math.MaxUint32) // for ever
	if deprecated {
		preferred = 0
	}
	b := make([]byte, 16)
	binary.NativeEndian.PutUint32(b, preferred)
	binary.NativeEndian.PutUint32(b[4:], math.MaxUint32)
	return b
}
