package kernel

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// DeleteLink removes a link, and with a veth its peer. It succeeds if there is none.
func (c *Conn) DeleteLink(name string) error {
	// From Linux 6.2 an echo makes the kernel ascribe the notification to us, so that Watch leaves it out.
	req := nl.NewNetlinkRequest(unix.RTM_DELLINK, unix.NLM_F_ECHO)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	if err := nameLink(req, name); err != nil {
		return fmt.Errorf("delete %w", err)
	}
	if err := c.removals.execute(req); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete %w", linkError(name, err))
	}
	return nil
}

// DeleteLinks is DeleteLink of several, in the time that one takes: the kernel
// waits until every CPU has let go of a link, in some 20 ms, and once for a
// group. After an error all may still be there.
func (c *Conn) DeleteLinks(names ...string) error {
	if len(names) == 0 {
		return nil
	}
	if len(names) == 1 {
		return c.DeleteLink(names[0])
	}
	// Whoever has groups of links knows them by small numbers.
	group := nl.Uint32Attr(1<<30 | rand.Uint32()>>2)
	var reqs []*nl.NetlinkRequest
	for _, name := range names {
		req := newLink(nil, 0)
		if err := nameLink(req, name); err != nil {
			return fmt.Errorf("delete %w", err)
		}
		req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, group))
		reqs = append(reqs, req)
	}
	all := nl.NewNetlinkRequest(unix.RTM_DELLINK, 0)
	all.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	all.AddData(nl.NewRtAttr(unix.IFLA_GROUP, group))
	errs := c.removals.batch(append(reqs, all)...)
	for i, err := range errs {
		// Without such a link, or any of the group, there is nothing to remove.
		if errors.Is(err, unix.ENODEV) {
			errs[i] = nil
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("delete links %v: %w", names, err)
	}
	return nil
}
