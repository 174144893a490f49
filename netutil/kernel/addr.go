package kernel

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Of linux/if_addr.h; x/sys does not have it.
const attrAddrProtocol = 11

// AddressByRA is the protocol of addresses that the kernel made of a router
// advertisement.
const AddressByRA = 2

// An Address is an address of a link. It is comparable.
type Address struct {
	Link string
	// Prefix is the address with the length of its on-link prefix.
	Prefix netip.Prefix
	// Deprecated addresses are past their preferred lifetime, tentative ones
	// not yet known to be unique, and temporary ones made for some hours or
	// days of privacy (RFC 8981).
	Deprecated, Tentative, Temporary bool
	// Protocol says who set the address: 1 for loopback, AddressByRA,
	// 3 for link-local ones made by the kernel. It is 0 before
	// Linux 5.18, and where nobody said.
	Protocol int
}

// Addresses returns the IPv4 and IPv6 addresses of all links, of each link in
// the kernel's order: of IPv6 addresses with one scope the newest first, which
// is how the kernel chooses the source of a packet where nothing else decides.
func (c *Conn) Addresses() ([]Address, error) {
	var addrs []Address
	name := c.namer()
	var indexes []int
	req := nl.NewNetlinkRequest(unix.RTM_GETADDR, 0)
	req.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
	err := c.dumps.dump(req, func() { addrs, indexes = nil, nil }, func(r reply) {
		if a, index, ok := parseAddress(r); ok {
			addrs = append(addrs, a)
			indexes = append(indexes, index)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	kept := addrs[:0]
	for i, a := range addrs {
		// A link without a name went away after the dump, and its addresses with it.
		if a.Link = name(indexes[i]); a.Link != "" {
			kept = append(kept, a)
		}
	}
	return kept, nil
}

// AddAddress adds an address to a link without duplicate address detection, so
// that it can be used at once. Only a link-local address comes with the route
// to its prefix. An IPv6 address that the link has with another prefix length
// is replaced.
func (c *Conn) AddAddress(link string, p netip.Prefix) error {
	err := c.changeAddress(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, link, p)
	if errors.Is(err, unix.EEXIST) {
		err = c.replaceAddress(link, p)
	}
	if err != nil {
		return fmt.Errorf("add address %s dev %s: %w", p, link, err)
	}
	return nil
}

// replaceAddress is AddAddress for an address that the link has. The kernel
// would leave the prefix length of an IPv6 address as it is, without a word.
func (c *Conn) replaceAddress(link string, p netip.Prefix) error {
	have, err := c.Addresses()
	if err != nil {
		return err
	}
	for _, a := range have {
		if a.Link == link && p.Addr().Is6() && a.Prefix.Addr() == p.Addr() && a.Prefix != p {
			if err := c.DeleteAddress(link, a.Prefix); err != nil {
				return err
			}
		}
	}
	return c.changeAddress(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, link, p)
}

// DeleteAddress removes an address from a link. It succeeds if either is gone.
func (c *Conn) DeleteAddress(link string, p netip.Prefix) error {
	err := c.changeAddress(unix.RTM_DELADDR, 0, link, p)
	if err != nil && !isAny(err, []error{unix.EADDRNOTAVAIL, unix.ENODEV, ErrNotFound}) {
		return fmt.Errorf("delete address %s dev %s: %w", p, link, err)
	}
	return nil
}

func (c *Conn) changeAddress(typ, flags int, link string, p netip.Prefix) error {
	index, err := c.Index(link)
	if err != nil {
		return err
	}
	req, err := addressRequest(typ, flags, index, p)
	if err != nil {
		return err
	}
	if typ == unix.RTM_NEWADDR {
		flags := uint32(unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE)
		if p.Addr().IsLinkLocalUnicast() {
			// Every link has this prefix, so the route to it cannot be told from
			// those of others by destination: the kernel keeps it.
			flags = unix.IFA_F_NODAD
		}
		req.AddData(nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(flags)))
	}
	return c.requests.execute(req)
}

// addressRequest is a request about an address of the link with this index.
func addressRequest(typ, flags, index int, p netip.Prefix) (*nl.NetlinkRequest, error) {
	if !p.IsValid() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
		return nil, errors.New("not an IPv4 or IPv6 address with a prefix length")
	}
	req := nl.NewNetlinkRequest(typ, flags)
	msg := nl.NewIfAddrmsg(family(p.Addr()))
	msg.Index = uint32(index)
	msg.Prefixlen = uint8(p.Bits())
	if p.Addr().IsLinkLocalUnicast() {
		msg.Scope = unix.RT_SCOPE_LINK
	}
	req.AddData(msg)
	addr := p.Addr().AsSlice()
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, addr))
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, addr))
	return req, nil
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// address returns the address in v if it has the size of this family's.
func address(family uint8, v []byte) (netip.Addr, bool) {
	switch {
	case family == unix.AF_INET && len(v) == 4:
		return netip.AddrFrom4([4]byte(v)), true
	case family == unix.AF_INET6 && len(v) == 16:
		return netip.AddrFrom16([16]byte(v)), true
	}
	return netip.Addr{}, false
}

func parseAddress(r reply) (a Address, index int, ok bool) {
	if r.typ != unix.RTM_NEWADDR && r.typ != unix.RTM_DELADDR || len(r.data) < unix.SizeofIfAddrmsg {
		return Address{}, 0, false
	}
	msg := nl.DeserializeIfAddrmsg(r.data)
	flags := int(msg.Flags)
	var local, remote netip.Addr
	for typ, v := range attributes(r.data[unix.SizeofIfAddrmsg:]) {
		switch typ {
		case unix.IFA_LOCAL:
			local, _ = address(msg.Family, v)
		case unix.IFA_ADDRESS:
			remote, _ = address(msg.Family, v)
		case unix.IFA_FLAGS:
			flags = number(v)
		case unix.IFA_CACHEINFO:
			// struct ifa_cacheinfo of linux/if_addr.h. A router advertisement clears the
			// flag for a moment even where it leaves no preferred lifetime.
			a.Deprecated = len(v) >= 4 && number(v[:4]) == 0
		case attrAddrProtocol:
			a.Protocol = number(v)
		}
	}
	if !local.IsValid() {
		local = remote // On a link that is not point-to-point the kernel names the address only once.
	}
	a.Prefix = netip.PrefixFrom(local, int(msg.Prefixlen))
	a.Deprecated = a.Deprecated || flags&unix.IFA_F_DEPRECATED != 0
	a.Tentative = flags&unix.IFA_F_TENTATIVE != 0
	// Of IPv4 addresses the same bit says that they are not a link's first.
	a.Temporary = flags&unix.IFA_F_TEMPORARY != 0 && msg.Family == unix.AF_INET6
	return a, int(msg.Index), a.Prefix.IsValid()
}
