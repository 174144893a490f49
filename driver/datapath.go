package driver

import (
	"fmt"

	"github.com/ndp6/ndp6/driver/plan"
)

// checkFastPath says why a network that asks for the fast path has none on this
// host, nil if it has, or asks for none.
func (d *Driver) checkFastPath(n plan.Network) error {
	if !n.UsesFastPath() {
		return nil
	}
	if err := d.config.Host.FastPath(); err != nil {
		return fmt.Errorf("option %s=%q: %w: give ndp6 what it lacks, or make the network without the option", keyDatapath, DatapathBPF, err)
	}
	return nil
}

// datapath is what forwards for published ports of n, empty where the kernel does.
func (d *Driver) datapath(n plan.Network) string {
	if n.UsesFastPath() && d.config.Host.FastPath() == nil {
		return DatapathBPF
	}
	return ""
}
