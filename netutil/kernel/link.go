package kernel

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/inet"
)

const (
	kindBridge = "bridge"
	kindVeth   = "veth"

	// Of linux/if_link.h and linux/rtnetlink.h; x/sys does not have them.
	addrGenModeNone = 1
	filterSkipStats = 1 << 3
)

// A Link is a network interface. It is comparable.
type Link struct {
	Index int
	Name  string
	// Kind is what the kernel calls the driver of a virtual link, such as
	// "bridge" or "veth". It is empty for hardware and loopback.
	Kind string
	// Alias is the free text by which we know our own links.
	Alias string
	MAC   inet.MAC
	MTU   int
	// Master is the name of the bridge or bond that the link is a port of.
	Master string
	// McastSnooping is whether a bridge looks into MLD and IGMP.
	McastSnooping bool
	// Isolated ports of a bridge do not reach each other.
	Isolated bool
	// Up is the operator's wish, Running whether the link carries packets now.
	Up, Running bool
}

// Links returns all links in the order of their index.
func (c *Conn) Links() ([]Link, error) {
	var links []Link
	var masters []int
	err := c.dumps.dump(getLink(0, ""), func() { links, masters = nil, nil }, func(r reply) {
		if l, master, ok := parseLink(r); ok {
			links = append(links, l)
			masters = append(masters, master)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Index] = l.Name
	}
	for i := range links {
		links[i].Master = names[masters[i]]
	}
	slices.SortFunc(links, func(a, b Link) int { return cmp.Compare(a.Index, b.Index) })
	return links, nil
}

// Link returns the link with this name. The error wraps ErrNotFound if there is none.
func (c *Conn) Link(name string) (Link, error) {
	if err := checkName(name); err != nil {
		return Link{}, fmt.Errorf("get %w", err)
	}
	var link Link
	var master int
	err := c.requests.get(getLink(0, name), func(r reply) {
		if l, index, ok := parseLink(r); ok {
			link, master = l, index
		}
	})
	if err != nil {
		return Link{}, fmt.Errorf("get %w", linkError(name, err))
	}
	if master != 0 {
		link.Master = c.name(master)
	}
	return link, nil
}

// SetUp sets a link up or down.
func (c *Conn) SetUp(name string, up bool) error {
	verb := "set down"
	if up {
		verb = "set up"
	}
	return c.changeLink(verb, name, setUp(up))
}

func setUp(up bool) *nl.NetlinkRequest {
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	info.Change = unix.IFF_UP
	if up {
		info.Flags = unix.IFF_UP
	}
	return newLink(info, 0)
}

// SetMTU sets the MTU of a link.
func (c *Conn) SetMTU(name string, mtu int) error {
	req := newLink(nil, 0)
	req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))))
	return c.changeLink(fmt.Sprintf("set mtu %d of", mtu), name, req)
}

// SetMAC sets the Ethernet address of a link.
func (c *Conn) SetMAC(name string, mac inet.MAC) error {
	req := newLink(nil, 0)
	req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, mac[:]))
	return c.changeLink(fmt.Sprintf("set MAC %s of", mac), name, req)
}

// SetMaster makes a link a port of the master, and of none if master is empty.
func (c *Conn) SetMaster(name, master string) error {
	index := 0
	if master != "" {
		var err error
		if index, err = c.Index(master); err != nil {
			return fmt.Errorf("set master of link %q: %w", name, err)
		}
	}
	req := newLink(nil, 0)
	req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(index))))
	return c.changeLink(fmt.Sprintf("set master %q of", master), name, req)
}

// SetMcastSnooping switches a bridge's multicast snooping. Without a querier
// on the link, snooping loses solicitations.
func (c *Conn) SetMcastSnooping(name string, on bool) error {
	req := newLink(nil, 0)
	info := linkInfo(req, kindBridge)
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	data.AddRtAttr(nl.IFLA_BR_MCAST_SNOOPING, boolean(on))
	return c.changeLink("set mcast_snooping of", name, req)
}

// SetIsolated says whether a port of a bridge reaches others that are isolated.
func (c *Conn) SetIsolated(name string, on bool) error {
	return c.changeLink("set isolated of", name, isolate(on))
}

func isolate(on bool) *nl.NetlinkRequest {
	req := newLink(nil, 0)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated(kindBridge))
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_DATA, nil).AddRtAttr(nl.IFLA_BRPORT_ISOLATED, boolean(on))
	req.AddData(info)
	return req
}

// changeLink completes a request with the name of its link and sends it.
func (c *Conn) changeLink(verb, name string, req *nl.NetlinkRequest) error {
	if err := nameLink(req, name); err != nil {
		return fmt.Errorf("%s %w", verb, err)
	}
	if err := c.requests.execute(req); err != nil {
		return fmt.Errorf("%s %w", verb, linkError(name, err))
	}
	return nil
}

// nameLink says in a request which link it is about.
func nameLink(req *nl.NetlinkRequest, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	return nil
}

// isAny reports whether err is one of targets.
func isAny(err error, targets []error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// checkName says why no link can have this name, nil if one can.
func checkName(name string) error {
	switch {
	case name == "", name == ".", name == "..", strings.ContainsAny(name, "/: \t\n\x00"):
		return fmt.Errorf("link %q: not a name of a link", name)
	case len(name) >= unix.IFNAMSIZ:
		return fmt.Errorf("link %q: the name is longer than %d octets", name, unix.IFNAMSIZ-1)
	}
	return nil
}

// getLink asks for the link with this index or name, or for all, without statistics.
func getLink(index int, name string) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	info.Index = int32(index)
	req.AddData(info)
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(filterSkipStats)))
	if name != "" {
		req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	}
	return req
}

// newLink makes or changes a link. A nil info changes no flags.
func newLink(info *nl.IfInfomsg, flags int) *nl.NetlinkRequest {
	if info == nil {
		info = nl.NewIfInfomsg(unix.AF_UNSPEC)
	}
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, flags)
	req.AddData(info)
	return req
}

func linkInfo(req *nl.NetlinkRequest, kind string) *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(kind))
	req.AddData(info)
	return info
}

func boolean(on bool) []byte {
	if on {
		return []byte{1}
	}
	return []byte{0}
}

// parseLink reads a message about a link. It is not ok for other messages,
// such as those about a bridge's ports.
func parseLink(r reply) (l Link, master int, ok bool) {
	if r.typ != unix.RTM_NEWLINK && r.typ != unix.RTM_DELLINK || len(r.data) < unix.SizeofIfInfomsg {
		return Link{}, 0, false
	}
	info := nl.DeserializeIfInfomsg(r.data)
	if info.Family != unix.AF_UNSPEC {
		return Link{}, 0, false
	}
	l = Link{
		Index:   int(info.Index),
		Up:      info.Flags&unix.IFF_UP != 0,
		Running: info.Flags&unix.IFF_RUNNING != 0,
	}
	for typ, v := range attributes(r.data[unix.SizeofIfInfomsg:]) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.Name = unix.ByteSliceToString(v)
		case unix.IFLA_IFALIAS:
			l.Alias = unix.ByteSliceToString(v)
		case unix.IFLA_ADDRESS:
			if len(v) == len(l.MAC) {
				l.MAC = inet.MAC(v)
			}
		case unix.IFLA_MTU:
			l.MTU = number(v)
		case unix.IFLA_MASTER:
			master = number(v)
		case unix.IFLA_LINKINFO:
			l.setInfo(v)
		}
	}
	return l, master, true
}

// setInfo takes what the kernel knows of a virtual link of its kind.
func (l *Link) setInfo(info []byte) {
	var data, port []byte
	var master string
	for typ, v := range attributes(info) {
		switch typ {
		case nl.IFLA_INFO_KIND:
			l.Kind = unix.ByteSliceToString(v)
		case nl.IFLA_INFO_DATA:
			data = v
		case nl.IFLA_INFO_SLAVE_KIND:
			master = unix.ByteSliceToString(v)
		case nl.IFLA_INFO_SLAVE_DATA:
			port = v
		}
	}
	if master == kindBridge {
		for typ, v := range attributes(port) {
			if typ == nl.IFLA_BRPORT_ISOLATED {
				l.Isolated = number(v) != 0
			}
		}
	}
	if l.Kind != kindBridge {
		return
	}
	for typ, v := range attributes(data) {
		if typ == nl.IFLA_BR_MCAST_SNOOPING {
			l.McastSnooping = number(v) != 0
		}
	}
}
