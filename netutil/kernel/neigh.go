package kernel

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/inet"
)

// sizeofNdmsg is the size of struct ndmsg of the kernel.
const sizeofNdmsg = 12

// A Neighbor is a permanent neighbor or a proxy entry. It is comparable.
type Neighbor struct {
	Addr netip.Addr
	Link string
	// MAC is where a permanent neighbor is. A proxy entry has none.
	MAC inet.MAC
	// Protocol says whose entry it is, 0 where nobody said.
	Protocol int
	// Proxy entries make the kernel answer for Addr on Link.
	Proxy bool
}

// Neighbors returns the permanent neighbors and the proxy entries of both families.
func (c *Conn) Neighbors() ([]Neighbor, error) {
	permanent, err := c.neighbors(nil, unix.AF_UNSPEC, 0)
	if err != nil {
		return nil, fmt.Errorf("list neighbors: %w", err)
	}
	proxies, err := c.neighbors(nil, unix.AF_UNSPEC, netlink.NTF_PROXY)
	if err != nil {
		return nil, fmt.Errorf("list neighbors proxy: %w", err)
	}
	return append(permanent, proxies...), nil
}

// Proxies returns the IPv6 proxy entries in the memory of last, which may be
// nil. The kernel tells nobody when one goes, so who must know looks often: it
// is the cheapest of the dumps.
func (c *Conn) Proxies(last []Neighbor) ([]Neighbor, error) {
	proxies, err := c.neighbors(last, unix.AF_INET6, netlink.NTF_PROXY)
	if err != nil {
		return nil, fmt.Errorf("list neighbors proxy: %w", err)
	}
	return proxies, nil
}

func (c *Conn) neighbors(last []Neighbor, fam, flags uint8) ([]Neighbor, error) {
	neighbors := last[:0]
	indexes := make([]int, 0, cap(last))
	req := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, 0)
	req.AddData(&netlink.Ndmsg{Family: fam, Flags: flags})
	err := c.dumps.dump(req, func() { neighbors, indexes = neighbors[:0], indexes[:0] }, func(r reply) {
		if n, state, index, ok := parseNeighbor(r); ok && (n.Proxy || state&netlink.NUD_PERMANENT != 0) {
			neighbors = append(neighbors, n)
			indexes = append(indexes, index)
		}
	})
	if err != nil {
		return nil, err
	}
	name := c.namer()
	kept := neighbors[:0]
	for i, n := range neighbors {
		if n.Link = name(indexes[i]); n.Link != "" {
			kept = append(kept, n)
		}
	}
	return kept, nil
}

// SetNeighbor makes the kernel know a neighbor for good, or answer for it. It
// replaces any entry for the same address on the same link. When the link is
// set down, the kernel forgets its proxy entries and, on a bridge, its
// permanent neighbors.
func (c *Conn) SetNeighbor(n Neighbor) error {
	if err := c.changeNeighbor(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, n); err != nil {
		return fmt.Errorf("add %s: %w", n, err)
	}
	return nil
}

// DeleteNeighbor removes the entry for n's address from n's link, whatever its
// MAC and protocol. It succeeds if the entry or the link is gone.
func (c *Conn) DeleteNeighbor(n Neighbor) error {
	err := c.changeNeighbor(unix.RTM_DELNEIGH, 0, n)
	if err != nil && !isAny(err, []error{unix.ENOENT, unix.ENODEV, unix.ENXIO, unix.ESRCH, ErrNotFound}) {
		return fmt.Errorf("delete %s: %w", n, err)
	}
	return nil
}

// String returns the entry as "ip neigh" writes it.
func (n Neighbor) String() string {
	if n.Proxy {
		return fmt.Sprintf("neigh proxy %s dev %s", n.Addr, n.Link)
	}
	return fmt.Sprintf("neigh %s dev %s lladdr %s", n.Addr, n.Link, n.MAC)
}

// SetForwarding has the bridge of a port know for good that a MAC is there. Else
// it forgets who sends nothing by it, and floods what is for them to all ports.
func (c *Conn) SetForwarding(port string, mac inet.MAC) error {
	index, err := c.Index(port)
	if err == nil {
		req := nl.NewNetlinkRequest(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
		req.AddData(&netlink.Ndmsg{Family: unix.AF_BRIDGE, Index: uint32(index), State: netlink.NUD_NOARP, Flags: netlink.NTF_MASTER})
		req.AddData(nl.NewRtAttr(unix.NDA_LLADDR, mac[:]))
		err = c.requests.execute(req)
	}
	if err != nil {
		return fmt.Errorf("add fdb %s dev %s: %w", mac, port, err)
	}
	return nil
}

func (c *Conn) changeNeighbor(typ, flags int, n Neighbor) error {
	if !n.Addr.IsValid() || n.Addr.Is4In6() || n.Addr.Zone() != "" {
		return errors.New("not an IPv4 or IPv6 address")
	}
	index, err := c.Index(n.Link)
	if err != nil {
		return err
	}
	msg := netlink.Ndmsg{Family: uint8(family(n.Addr)), Index: uint32(index)}
	req := nl.NewNetlinkRequest(typ, flags)
	req.AddData(&msg)
	req.AddData(nl.NewRtAttr(unix.NDA_DST, n.Addr.AsSlice()))
	if n.Proxy {
		msg.Flags = netlink.NTF_PROXY
	}
	if typ == unix.RTM_NEWNEIGH {
		msg.State = netlink.NUD_PERMANENT
		if !n.Proxy {
			if n.MAC.IsZero() {
				return errors.New("a permanent neighbor needs a MAC")
			}
			req.AddData(nl.NewRtAttr(unix.NDA_LLADDR, n.MAC[:]))
		}
		if n.Protocol != 0 {
			req.AddData(nl.NewRtAttr(netlink.NDA_PROTOCOL, nl.Uint8Attr(uint8(n.Protocol))))
		}
	}
	return c.requests.execute(req)
}

func parseNeighbor(r reply) (n Neighbor, state uint16, index int, ok bool) {
	if r.typ != unix.RTM_NEWNEIGH && r.typ != unix.RTM_DELNEIGH || len(r.data) < sizeofNdmsg {
		return Neighbor{}, 0, 0, false
	}
	// Field by field: the library's struct has no exported decoder.
	fam := r.data[0]
	index = number(r.data[4:8])
	state = uint16(number(r.data[8:10]))
	n.Proxy = r.data[10]&netlink.NTF_PROXY != 0
	for typ, v := range attributes(r.data[sizeofNdmsg:]) {
		switch typ {
		case unix.NDA_DST:
			n.Addr, _ = address(fam, v)
		case unix.NDA_LLADDR:
			if len(v) == len(n.MAC) {
				n.MAC = inet.MAC(v)
			}
		case netlink.NDA_PROTOCOL:
			n.Protocol = number(v)
		}
	}
	return n, state, index, n.Addr.IsValid()
}
