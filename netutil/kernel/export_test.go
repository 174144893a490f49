package kernel

import "net/netip"

// Flows counts the flows with addr as source of either direction.
func (c *Conn) Flows(addr netip.Addr) (int, error) {
	found, err := c.flows.find(func(source, _ netip.Addr) bool { return source == addr })
	return len(found), err
}
