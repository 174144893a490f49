package kernel

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/ndp6/ndp6/netutil/inet"
)

// A Bridge is what AddBridge makes. A zero MTU or MAC is the kernel's choice.
type Bridge struct {
	Name  string
	Alias string
	MTU   int
	// MAC stays when ports come and go, which the kernel's choice does not.
	MAC inet.MAC
}

// AddBridge makes a bridge without spanning tree, multicast snooping and
// addresses of its own, and leaves it down. A bridge with this name and alias
// is adjusted; any other link with this name is kept, and is an error.
func (c *Conn) AddBridge(b Bridge) error {
	settings := []nl.NetlinkRequestData{ipv6Settings()}
	settings = append(settings, nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(b.Alias)))
	if b.MTU != 0 {
		settings = append(settings, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(b.MTU))))
	}
	if !b.MAC.IsZero() {
		settings = append(settings, nl.NewRtAttr(unix.IFLA_ADDRESS, b.MAC[:]))
	}
	data := nl.NewRtAttr(nl.IFLA_INFO_DATA, nil)
	data.AddRtAttr(nl.IFLA_BR_STP_STATE, nl.Uint32Attr(0))
	data.AddRtAttr(nl.IFLA_BR_MCAST_SNOOPING, boolean(false))
	if err := c.addLink(kindBridge, b.Name, b.Alias, data, settings); err != nil {
		return fmt.Errorf("add bridge %s: %w", b.Name, err)
	}
	return nil
}

// A Veth is a pair of links as AddVeth makes it. A zero MTU or PeerMAC is the
// kernel's choice, an empty Master is none.
type Veth struct {
	// Name and Alias are those of the host side.
	Name, Alias string
	// Peer is the name of the container side until it moves to a sandbox.
	Peer string
	// Master is the bridge that the host side is a port of.
	Master  string
	MTU     int
	PeerMAC inet.MAC
	// Isolated ports of the bridge do not reach each other.
	Isolated bool
	// Up sets the host side up, when all else is as it should be.
	Up bool
}

// AddVeth makes a pair of links of which the host side has no addresses of its
// own and the container side is down. A veth with the same name and alias is
// adjusted, its peer left as it is; any other link with this name is kept, and
// is an error.
func (c *Conn) AddVeth(v Veth) error {
	if err := c.addVeth(v); err != nil {
		return fmt.Errorf("add veth %s peer %s: %w", v.Name, v.Peer, err)
	}
	return nil
}

func (c *Conn) addVeth(v Veth) error {
	if err := checkName(v.Peer); err != nil {
		return err
	}
	settings := []nl.NetlinkRequestData{ipv6Settings()}
	settings = append(settings, nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(v.Alias)))
	if v.Master != "" {
		master, err := c.Index(v.Master)
		if err != nil {
			return fmt.Errorf("master %w", err)
		}
		settings = append(settings, nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(master))))
	}
	data := nl.NewRtAttr(nl.IFLA_INFO_DATA, nil)
	peer := data.AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.Peer))
	addQueues(peer.AddChild)
	if !v.PeerMAC.IsZero() {
		peer.AddRtAttr(unix.IFLA_ADDRESS, v.PeerMAC[:])
	}
	if v.MTU != 0 {
		mtu := nl.Uint32Attr(uint32(v.MTU))
		peer.AddRtAttr(unix.IFLA_MTU, mtu)
		settings = append(settings, nl.NewRtAttr(unix.IFLA_MTU, mtu))
	}
	var last []*nl.NetlinkRequest
	if v.Isolated {
		last = append(last, isolate(true))
	}
	if v.Up {
		last = append(last, setUp(true))
	}
	return c.addLink(kindVeth, v.Name, v.Alias, data, settings, last...)
}

// addLink makes a link, gives it its settings and carries out what comes last,
// all in one system call: the kernel takes an alias only for a link that exists,
// and a link without one would never be known for ours again if the process died
// in between.
func (c *Conn) addLink(kind, name, alias string, data *nl.RtAttr, settings []nl.NetlinkRequestData, last ...*nl.NetlinkRequest) error {
	set := newLink(nil, 0)
	create := newLink(nil, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ECHO)
	changes := append([]*nl.NetlinkRequest{set}, last...)
	for _, req := range append(changes, create) {
		if err := nameLink(req, name); err != nil {
			return err
		}
	}
	for _, s := range settings {
		set.AddData(s)
	}
	// Refused creations do not stop the settings, so another's link of this name must be seen before.
	switch _, err := c.Index(name); {
	case err == nil:
		return c.adjustLink(kind, name, alias, data, changes)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	if kind == kindVeth {
		addQueues(create.AddData)
	}
	info := linkInfo(create, kind)
	info.AddChild(data)
	errs := c.requests.batch(append([]*nl.NetlinkRequest{create}, changes...)...)
	if errs[0] != nil {
		return errs[0]
	}
	if err := errors.Join(errs[1:]...); err != nil {
		return errors.Join(err, c.DeleteLink(name))
	}
	return nil
}

// adjustLink changes a link that is there, if it is ours.
func (c *Conn) adjustLink(kind, name, alias string, data *nl.RtAttr, changes []*nl.NetlinkRequest) error {
	have, err := c.Link(name)
	if err != nil {
		return err
	}
	if have.Kind != kind || have.Alias != alias {
		return fmt.Errorf("another link has this name (kind %q, alias %q): rename or delete it", have.Kind, have.Alias)
	}
	if kind == kindBridge {
		info := linkInfo(changes[0], kind)
		info.AddChild(data)
	}
	return errors.Join(c.requests.batch(changes...)...)
}

// ipv6Settings keeps the kernel from giving a link addresses of its own, which
// would need duplicate address detection and have no use.
func ipv6Settings() *nl.RtAttr {
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	inet6 := spec.AddRtAttr(unix.AF_INET6, nil)
	inet6.AddRtAttr(unix.IFLA_INET6_ADDR_GEN_MODE, nl.Uint8Attr(addrGenModeNone))
	return spec
}

// addQueues asks for one queue each way. The default, one for every possible
// CPU, costs memory and sysfs objects and serves only XDP and qdiscs.
func addQueues(add func(nl.NetlinkRequestData)) {
	add(nl.NewRtAttr(unix.IFLA_NUM_TX_QUEUES, nl.Uint32Attr(1)))
	add(nl.NewRtAttr(unix.IFLA_NUM_RX_QUEUES, nl.Uint32Attr(1)))
}
