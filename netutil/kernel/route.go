package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Protocols of routes and neighbors that the kernel sets itself.
const (
	// ProtocolKernel marks routes that follow from addresses.
	ProtocolKernel = unix.RTPROT_KERNEL
	// ProtocolRA marks routes that come from router advertisements.
	ProtocolRA = unix.RTPROT_RA
)

// Types of routes.
const (
	// Unicast routes lead to a link.
	Unicast = unix.RTN_UNICAST
	// Unreachable, Prohibit and Blackhole routes say that there is no way: what
	// is sent to them is answered so, answered as forbidden, or dropped. They
	// have no link.
	Unreachable = unix.RTN_UNREACHABLE
	Prohibit    = unix.RTN_PROHIBIT
	Blackhole   = unix.RTN_BLACKHOLE
)

// MainTable is the table of ordinary routes.
const MainTable = unix.RT_TABLE_MAIN

// A Route is one way to a destination; a route with several next hops is as
// many of them. It is comparable.
type Route struct {
	// Dst is ::/0 or 0.0.0.0/0 for a default route.
	Dst  netip.Prefix
	Link string
	// Via is the next hop, not valid for what is on the link.
	Via      netip.Addr
	Protocol int
	// Metric is as the kernel shows it: an IPv6 route added with 0 gets 1024.
	Metric int
	// Preference tells routes of one metric apart: -1 low, 0 medium, 1 high, as
	// their routers advertised (RFC 4191). Only Routes fills it.
	Preference int
	// Table and Type are MainTable and Unicast where ReplaceRoute and
	// DeleteRoute find 0. Routes fills them always.
	Table int
	Type  int
	// Left is how long it is until the route expires, 0 where it does not.
	Left time.Duration
}

// Routes returns the routes of the types above in the main table, of both
// families, but for those that have expired.
func (c *Conn) Routes() ([]Route, error) {
	var routes []Route
	name := c.namer()
	for _, fam := range []uint8{unix.AF_INET, unix.AF_INET6} {
		found, err := c.routes(fam)
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, f := range found {
			f.Link = name(f.index)
			if f.Type == Unicast && f.Link == "" {
				continue // Its link went away after the dump.
			}
			routes = append(routes, f.Route)
		}
	}
	return routes, nil
}

// hop is a route whose link is known by index only.
type hop struct {
	Route
	index int
}

func (c *Conn) routes(fam uint8) ([]hop, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, 0)
	req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: fam}})
	req.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(MainTable)))
	var hops []hop
	err := c.dumps.dump(req, func() { hops = nil }, func(r reply) {
		hops = append(hops, parseRoute(r)...)
	})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil // The kernel makes the table with its first route.
	}
	return hops, err
}

// ReplaceRoute adds a route in place of any with the same destination, table and metric.
func (c *Conn) ReplaceRoute(r Route) error {
	if err := c.changeRoute(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, r); err != nil {
		return fmt.Errorf("replace %s: %w", r, err)
	}
	return nil
}

// DeleteRoute removes a route that agrees with r in all that r says. It
// succeeds if the route or its link is gone.
func (c *Conn) DeleteRoute(r Route) error {
	err := c.changeRoute(unix.RTM_DELROUTE, 0, r)
	if err != nil && !isAny(err, []error{unix.ESRCH, unix.ENODEV, ErrNotFound}) {
		return fmt.Errorf("delete %s: %w", r, err)
	}
	return nil
}

// dead is what "ip route" writes before the destination of a route without a
// link, empty for other types.
func (r Route) dead() string {
	switch r.Type {
	case Unreachable:
		return "unreachable "
	case Prohibit:
		return "prohibit "
	case Blackhole:
		return "blackhole "
	}
	return ""
}

// String returns the route as "ip route" writes it.
func (r Route) String() string {
	s := "route " + r.dead() + r.Dst.String()
	if r.Via.IsValid() {
		s += " via " + r.Via.String()
	}
	if r.Link != "" {
		s += " dev " + r.Link
	}
	if r.Metric != 0 {
		s += fmt.Sprintf(" metric %d", r.Metric)
	}
	return s
}

func (c *Conn) changeRoute(typ, flags int, r Route) error {
	if !r.Dst.IsValid() || r.Dst.Addr().Is4In6() {
		return errors.New("the destination is not an IPv4 or IPv6 prefix")
	}
	if r.Table == 0 {
		r.Table = MainTable
	}
	if r.Type == 0 {
		r.Type = Unicast
	}
	dst := r.Dst.Masked()
	msg := &nl.RtMsg{RtMsg: unix.RtMsg{
		Family:   uint8(family(dst.Addr())),
		Dst_len:  uint8(dst.Bits()),
		Protocol: uint8(r.Protocol),
		Type:     uint8(r.Type),
	}}
	switch {
	case typ == unix.RTM_DELROUTE:
		msg.Scope = unix.RT_SCOPE_NOWHERE // That is any.
	case r.Type == Unicast && !r.Via.IsValid() && dst.Addr().Is4():
		msg.Scope = unix.RT_SCOPE_LINK
	}
	req := nl.NewNetlinkRequest(typ, flags)
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(uint32(r.Table))))
	if dst.Bits() > 0 {
		req.AddData(nl.NewRtAttr(unix.RTA_DST, dst.Addr().AsSlice()))
	}
	if r.Metric != 0 {
		req.AddData(nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(uint32(r.Metric))))
	}
	switch {
	case !r.Via.IsValid():
	case family(r.Via) == int(msg.Family):
		req.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, r.Via.AsSlice()))
	default:
		via := append(nl.Uint16Attr(uint16(family(r.Via))), r.Via.AsSlice()...)
		req.AddData(nl.NewRtAttr(unix.RTA_VIA, via))
	}
	if r.Link != "" && r.Type == Unicast {
		index, err := c.Index(r.Link)
		if err != nil {
			return err
		}
		req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
	}
	return c.requests.execute(req)
}

// parseRoute returns the hops of a route of the main table, none for other messages.
func parseRoute(r reply) []hop {
	if r.typ != unix.RTM_NEWROUTE && r.typ != unix.RTM_DELROUTE || len(r.data) < unix.SizeofRtMsg {
		return nil
	}
	msg := nl.DeserializeRtMsg(r.data)
	h := hop{Route: Route{Table: int(msg.Table), Protocol: int(msg.Protocol), Type: int(msg.Type)}}
	var dst netip.Addr
	switch msg.Family {
	case unix.AF_INET:
		dst = netip.IPv4Unspecified()
	case unix.AF_INET6:
		dst = netip.IPv6Unspecified()
	default:
		return nil
	}
	var several []byte
	attrs := r.data[unix.SizeofRtMsg:]
	for typ, v := range attributes(attrs) {
		switch typ {
		case unix.RTA_DST:
			if a, ok := address(msg.Family, v); ok {
				dst = a
			}
		case unix.RTA_PRIORITY:
			h.Metric = number(v)
		case unix.RTA_PREF:
			h.Preference = preference(number(v))
		case unix.RTA_TABLE:
			h.Table = number(v)
		case unix.RTA_MULTIPATH:
			several = v
		case unix.RTA_CACHEINFO:
			h.Left = left(v)
		}
	}
	h.setHop(msg.Family, attrs)
	h.Dst = netip.PrefixFrom(dst, int(msg.Dst_len))
	switch {
	case h.Table != MainTable || msg.Flags&unix.RTM_F_CLONED != 0:
		return nil
	case h.Left < 0:
		return nil // The kernel does not use it any more, and removes it within a minute.
	case h.dead() != "":
		h.index = 0 // For IPv6 the kernel says lo, for IPv4 nothing.
	case h.Type != Unicast:
		return nil
	}
	if several == nil {
		return []hop{h}
	}
	return parseHops(h, msg.Family, several)
}

// left reads the third field of a struct rta_cacheinfo, which is in hundredths
// of a second, and negative once they have passed.
func left(info []byte) time.Duration {
	if len(info) < 12 {
		return 0
	}
	return time.Duration(int32(binary.NativeEndian.Uint32(info[8:]))) * (time.Second / 100)
}

// preference reads the two bits of RFC 4191 2.1.
func preference(bits int) int {
	switch bits {
	case 1:
		return 1
	case 3:
		return -1
	}
	return 0
}

// parseHops returns one copy of h for each struct rtnexthop in b.
func parseHops(h hop, fam uint8, b []byte) []hop {
	var hops []hop
	for len(b) >= unix.SizeofRtNexthop {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtNexthop || n > len(b) {
			break
		}
		one := h
		one.Via = netip.Addr{}
		one.index = number(b[4:8])
		one.setHop(fam, b[unix.SizeofRtNexthop:n])
		hops = append(hops, one)
		b = b[min(aligned(n), len(b)):]
	}
	return hops
}

// setHop takes the link and the next hop from attributes.
func (h *hop) setHop(fam uint8, attrs []byte) {
	for typ, v := range attributes(attrs) {
		switch typ {
		case unix.RTA_OIF:
			h.index = number(v)
		case unix.RTA_GATEWAY:
			h.Via, _ = address(fam, v)
		case unix.RTA_VIA:
			if len(v) > 2 {
				h.Via, _ = address(uint8(binary.NativeEndian.Uint16(v)), v[2:])
			}
		}
	}
}
