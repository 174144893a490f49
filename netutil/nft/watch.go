package nft

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Watch calls changed once it listens, so that nothing since the caller's last
// look is missed, and after every transaction in the namespace that is not of
// this Conn. Lost events count as one. It returns nil when ctx ends. A
// firewall's start is dozens of transactions: changed should only take note.
func (c *Conn) Watch(ctx context.Context, changed func()) error {
	if err := c.events.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	if err := c.events.JoinGroup(unix.NFNLGRP_NFTABLES); err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	// Events that nobody reads would only fill the socket.
	defer c.events.LeaveGroup(unix.NFNLGRP_NFTABLES) //nolint:errcheck // the group was joined, and a closed socket left it.
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		c.events.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // a closed socket ends Receive as well.
	})
	defer func() {
		if !stop() {
			<-woken // or it would end the next Watch
		}
	}()

	changed()
	for {
		msgs, err := c.events.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			changed()
		case err != nil:
			return fmt.Errorf("watch nftables: %w", err)
		case c.byOthers(msgs):
			changed()
		}
	}
}

// byOthers reports whether one of msgs ends a transaction of another socket.
func (c *Conn) byOthers(msgs []netlink.Message) bool {
	for _, m := range msgs {
		if m.Header.Type == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN && m.Header.PID != c.port {
			return true
		}
	}
	return false
}
