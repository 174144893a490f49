package kernel

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Flows counts the flows with addr as source of either direction.
func (c *Conn) Flows(addr netip.Addr) (int, error) {
	family := uint8(unix.AF_INET)
	if addr.Is6() {
		family = unix.AF_INET6
	}
	tuples, err := c.flows.tuples(family, func(source, _ netip.Addr) bool { return source == addr })
	return len(tuples), err
}
