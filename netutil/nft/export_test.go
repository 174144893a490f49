package nft

import "testing"

// Features is what a kernel can do, for tests of kernels that cannot.
type Features struct{ Owned, Bridge, NAT, Labels bool }

// Pretend makes c take the kernel for one with other features.
func (c *Conn) Pretend(change func(*Features)) {
	f := Features{Owned: true, Bridge: true, NAT: true, Labels: true}
	change(&f)
	c.features = &features{bridge: f.Bridge, nat: f.NAT, labels: f.Labels}
	if f.Owned {
		c.features.flags = tableOwned | tablePersist
	}
}

// IsOwned reports whether the kernel lets c own its tables.
func (c *Conn) IsOwned() bool { return c.features != nil && c.features.flags != 0 }

// Generation returns the number of the last transaction.
func (c *Conn) Generation(tb testing.TB) uint32 {
	tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.socket.generation()
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
