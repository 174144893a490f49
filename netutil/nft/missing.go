package nft

import "errors"

// Missing returns what the kernel's nftables lack: ErrNoNftables, ErrNoNAT and
// ErrNoBridge, joined, or nil. It changes nothing.
func (c *Conn) Missing() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, err := c.socket.probe()
	if err != nil {
		return err
	}
	var errs []error
	if !f.nat {
		errs = append(errs, ErrNoNAT)
	}
	if !f.bridge {
		errs = append(errs, ErrNoBridge)
	}
	return errors.Join(errs...)
}
